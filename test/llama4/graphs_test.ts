import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { llama4Plugin } from "../../plugins/llama4/plugin.ts";
import type { Tensor, TowerSpec } from "../../runtime/abi/encoder.ts";
import { bf16ToNumber, numberToBf16 } from "../../runtime/core/half.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";
import { testTowerOnDevice } from "../kit/tower_device.ts";
import {
  checkpointOf,
  deviation,
  FIXTURES,
  openModelOf,
  readCase,
  readJson,
  testTowerFixture,
  towerOf,
} from "../kit/tower_fixtures.ts";

const FOLDER = join(FIXTURES, "llama4");
const tower = towerOf(openModelOf(llama4Plugin, readJson(join(FOLDER, "config.json"))), "vision");

testTowerFixture(llama4Plugin, "llama4", "vision");
testTowerOnDevice("llama4");

/** What is left of the rotary tables of a model that was cast to bfloat16 and back: scaling by cosines. */
function withoutSines(own: TowerSpec): TowerSpec {
  return {
    ...own,
    plan: (shapes, outputs) => {
      const plan = own.plan(shapes, outputs);
      const { cos, sin } = plan.constants;
      const rounded = Float32Array.from(cos.data, (v) => bf16ToNumber(numberToBf16(v)));
      const constants = {
        cos: { ...cos, data: rounded },
        sin: { ...sin, data: new Float32Array(sin.data.length) },
      };
      return { ...plan, constants };
    },
  };
}

test("llama4: without the rotation, the outputs of a reference that had lost it", () => {
  for (const name of ["tiles1", "tiles5"]) {
    const file = `unrotated-${name}.safetensors`;
    const { inputs } = readCase(join(FOLDER, `case-${name}.safetensors`));
    const { outputs } = readCase(join(FOLDER, file));
    assert.equal(outputs.size, 2);
    const found = evaluateTower(withoutSines(tower), inputs, tower.outputs, checkpointOf(FOLDER));
    const rotated = evaluateTower(tower, inputs, tower.outputs, checkpointOf(FOLDER));
    for (const [name, want] of outputs) {
      assert.ok(maxDifference(found[name], want) <= 2e-5 * deviation(want), `${file}, ${name}`);
      assert.ok(maxDifference(rotated[name], want) > 1e-2 * deviation(want), `${file}, ${name}`);
    }
  }
});

/** Rows `from..to` of the first axis. */
function rows(t: RefTensor, from: number, to: number): RefTensor {
  const size = t.data.length / t.shape[0];
  return { ...t, shape: [to - from, ...t.shape.slice(1)], data: t.data.slice(from * size, to * size) };
}

test("llama4: tiles give together what each gives alone", () => {
  const checkpoint = checkpointOf(FOLDER);
  const { pixel_values } = tower.example({ batch: 3, seed: 5 });
  const all = evaluateTower(tower, { pixel_values }, tower.outputs, checkpoint);
  const size = pixel_values.data.length / 3;
  for (let i = 0; i < 3; i++) {
    const data = (pixel_values.data as Float32Array).subarray(i * size, (i + 1) * size);
    const one: Tensor = { ...pixel_values, shape: [1, ...pixel_values.shape.slice(1)], data };
    const alone = evaluateTower(tower, { pixel_values: one }, tower.outputs, checkpoint);
    assert.equal(maxDifference(alone.last_hidden_state, rows(all.last_hidden_state, i, i + 1)), 0);
    assert.equal(maxDifference(alone.projected, rows(all.projected, 4 * i, 4 * i + 4)), 0);
  }
});

test("llama4: the published model has five structures, and two ranges up to the tiles of its processor", () => {
  const folder = join(FIXTURES, "configs/llama-4-scout");
  const spec = llama4Plugin.encoders?.[0];
  const processor = readJson(join(folder, "preprocessor_config.json"));
  const open = (files: Record<string, unknown>): TowerSpec => {
    const model = spec?.open(readJson(join(folder, "config.json")), files);
    return towerOf(model as NonNullable<typeof model>, "vision");
  };
  const scout = open({ "preprocessor_config.json": processor });
  assert.deepEqual(
    scout.components.map((c) => [c.tag, c.instances.length]),
    [
      ["llama4/vision.embed", 1],
      ["llama4/vision.embed_u8", 1],
      ["llama4/vision.block", 34],
      ["llama4/vision.adapt", 1],
      ["llama4/vision.project", 1],
    ],
  );
  for (const c of scout.components) {
    const boxes = splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag });
    assert.deepEqual(boxes, [{ batch: { min: 1, max: 1 } }, { batch: { min: 2, max: 17 } }]);
    for (const box of boxes) assert.equal(buildGraph(box, c.build).outputs.length, 1);
  }
  const most = (own: TowerSpec): number => own.components[0].symbols.batch.max;
  assert.equal(most(open({})), 17);
  assert.equal(most(open({ "preprocessor_config.json": { ...processor, max_patches: 4 } })), 5);
  const single = open({ "processor_config.json": { image_processor: { ...processor, max_patches: 1 } } });
  assert.equal(most(single), 2);
});
