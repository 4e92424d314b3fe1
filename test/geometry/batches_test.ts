/** Towers of all families on seeded weights: a batch gives what each of its items gives alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ExampleOptions, Modality, Tensor } from "../../runtime/abi/encoder.ts";
import { sliceRows } from "../../runtime/session/inputs/batching.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference } from "../kit/run_graph.ts";
import { deviation } from "../kit/tower_fixtures.ts";
import { randomCheckpoint, stacked } from "../qwen_vl/model_kit.ts";
import { fixtureTower } from "./kit.ts";

type Sizes = Pick<ExampleOptions, "size" | "tokens" | "grid">;

const whole = fc.constant<Sizes>({});
const tokens = fc.record({ tokens: fc.integer({ min: 1, max: 12 }) });
const pixels = (patch: number): fc.Arbitrary<Sizes> =>
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })).map(([h, w]) => ({
    size: [h * patch, w * patch] as const,
  }));

const CASES: readonly (readonly [string, Modality, fc.Arbitrary<Sizes>])[] = [
  ["clip", "vision", whole],
  ["clip", "text", tokens],
  ["siglip", "vision", whole],
  ["siglip", "text", tokens],
  ["vit", "vision", whole],
  ["dinov2", "vision", pixels(14)],
  ["dinov2-registers", "vision", pixels(14)],
  ["dinov3", "vision", pixels(16)],
  ["llama4", "vision", whole],
  ["internvl", "vision", pixels(14)],
  ["idefics3-tower", "vision", pixels(8)],
  ["bert", "text", tokens],
  ["sentence-modernbert", "text", tokens],
];

for (const [name, modality, sizes] of CASES) {
  test(`${name} ${modality}: a batch of random size is its items one by one`, () => {
    const tower = fixtureTower(name, modality);
    const check = (own: Sizes, batch: number, seed: number): void => {
      const inputs = tower.example({ ...own, batch, seed }) as Readonly<Record<string, Tensor>>;
      const all = evaluateTower(tower, inputs, tower.outputs, randomCheckpoint);
      const alone = Array.from({ length: batch }, (_, i) =>
        evaluateTower(tower, sliceRows(inputs, i, i + 1), tower.outputs, randomCheckpoint),
      );
      for (const output of tower.outputs) {
        const joined = stacked(alone.map((one) => one[output]));
        assert.deepEqual(all[output].shape, joined.shape);
        assert.ok(maxDifference(all[output], joined) <= 1e-5 * deviation(joined), output);
      }
      // Items differ, so that a batch of copies of the first would be noticed.
      const [output] = tower.outputs;
      assert.ok(maxDifference(alone[0][output], alone[1][output]) > 1e-3 * deviation(alone[0][output]));
    };
    fc.assert(fc.property(sizes, fc.integer({ min: 2, max: 3 }), fc.integer({ min: 0, max: 99 }), check), {
      seed: 20261128,
      numRuns: 2,
    });
  });
}
