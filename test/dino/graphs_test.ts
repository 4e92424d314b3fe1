import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import { hash32, normal } from "../../runtime/core/random.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { type CheckpointValues, evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";
import { seededCheckpoint } from "../kit/seeded_checkpoint.ts";
import {
  deviation,
  FIXTURES,
  type Json,
  openModelOf,
  readJson,
  testTowerFixture,
  towerOf,
} from "../kit/tower_fixtures.ts";

for (const name of [
  ...["dinov2", "dinov2-registers", "dinov2-outliers", "dinov3"],
  ...["dinov2-ragged", "dinov2-registers-ragged", "dinov3-gated"],
]) {
  testTowerFixture(dinoPlugin, name, "vision");
}

const tower = (config: Json): TowerSpec => towerOf(openModelOf(dinoPlugin, config), "vision");

const SMALL = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, image_size: 24, patch_size: 6 };
const FAMILIES: readonly Json[] = [
  { model_type: "dinov2", ...SMALL },
  { model_type: "dinov2_with_registers", ...SMALL, num_register_tokens: 2 },
  { model_type: "dinov3_vit", ...SMALL, intermediate_size: 24, num_register_tokens: 3 },
];

/** Seeded weights by name. */
const weights: CheckpointValues = seededCheckpoint(0.3);

function image(shape: readonly number[], seed: number): Tensor {
  const count = shape.reduce((a, d) => a * d, 1);
  return { dtype: "f32", shape, data: Float32Array.from({ length: count }, (_, i) => normal(seed, i)) };
}

const run = (of: TowerSpec, inputs: Tensors): Record<string, RefTensor> =>
  evaluateTower(of, inputs, of.outputs, weights);

test("dino: a batch holds what its images give alone, on random grids", () => {
  for (const [at, config] of FAMILIES.entries()) {
    const one = tower(config);
    for (let seed = 0; seed < 3; seed++) {
      const side = (i: number): number => 6 * (1 + (hash32(seed + 10 * at, i) % 6)) + (hash32(seed, i + 9) % 6);
      const shape = [2, 3, side(0), side(1)];
      const both = image(shape, seed);
      const found = run(one, { pixel_values: both });
      const half = both.data.length / 2;
      for (const i of [0, 1]) {
        const single: Tensor = {
          dtype: "f32",
          shape: [1, ...shape.slice(1)],
          data: both.data.slice(i * half, (i + 1) * half),
        };
        const alone = run(one, { pixel_values: single });
        for (const name of one.outputs) {
          const size = alone[name].data.length;
          const part = { ...alone[name], data: found[name].data.slice(i * size, (i + 1) * size) };
          assert.equal(maxDifference(part, alone[name]), 0, `${config.model_type} ${name}`);
        }
      }
    }
  }
});

test("dino: pixels beyond the last whole patch are not read", () => {
  for (const config of FAMILIES) {
    const one = tower(config);
    const whole = image([1, 3, 12, 18], 5);
    const shape = [1, 3, 17, 20];
    const ragged = image(shape, 6);
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < 12; y++) {
        for (let x = 0; x < 18; x++) ragged.data[(c * 17 + y) * 20 + x] = whole.data[(c * 12 + y) * 18 + x];
      }
    }
    const [a, b] = [whole, ragged].map((pixel_values) => run(one, { pixel_values }));
    for (const name of one.outputs) assert.equal(maxDifference(a[name], b[name]), 0);
  }
});

test("dino: the pooled output is the first token of the last hidden state", () => {
  for (const config of FAMILIES) {
    const { last_hidden_state: all, pooler_output: first } = run(tower(config), {
      pixel_values: image([1, 3, 24, 12], 2),
    });
    assert.equal(maxDifference({ ...first, data: all.data.slice(0, 16) }, first), 0);
    assert.ok(deviation(first) > 0.01);
  }
});

test("dino: places matter: an image and its mirror differ after the patches are put back", () => {
  for (const config of FAMILIES) {
    const one = tower(config);
    // Two patches, exchanged.
    const pixels = image([1, 3, 6, 12], 3);
    const swapped = { ...pixels, data: pixels.data.map((_, i) => pixels.data[i - (i % 12) + ((i + 6) % 12)]) };
    const [a, b] = [pixels, swapped].map((pixel_values) => run(one, { pixel_values }).pooler_output);
    assert.ok(maxDifference(a, b) > 1e-4, `${config.model_type}: ${maxDifference(a, b)}`);
  }
});

test("dino: all layers are one structure, whatever the checkpoint calls them", () => {
  const config = readJson(join(FIXTURES, "configs/dinov2-small/config.json"));
  const digests = (json: Json): string[] =>
    tower(json)
      .components.filter((c) => c.tag === "dinov2/vision.block")
      .map((c) => digestJson(graphToData(buildGraph(c.symbols, c.build))));
  const small = tower(config);
  assert.deepEqual(
    small.components.map((c) => [c.tag, c.instances.length]),
    [
      ["dinov2/vision.embed", 1],
      ["dinov2/vision.block", 12],
      ["dinov2/vision.final", 1],
      ["dinov2/vision.pool", 1],
    ],
  );
  assert.equal(small.components[1].instances[11], "encoder.layer.11.");
  // The image size of the training is in the embedding alone.
  assert.deepEqual(digests(config), digests({ ...config, num_hidden_layers: 2, image_size: 224 }));
  assert.notDeepEqual(digests(config), digests({ ...config, layer_norm_eps: 1e-5 }));
  const ranges = splitRanges(small.components[1].symbols, small.components[1].ranges ?? {}, { tag: "block" });
  assert.deepEqual(
    ranges.map((box) => [box.tokens.min, box.tokens.max]),
    [
      [2, 320],
      [321, 1536],
      [1537, 65537],
    ],
  );
});
