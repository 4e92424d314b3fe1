import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Modality, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import { hash32, normal } from "../../runtime/core/random.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { checkpointOf, deviation, FIXTURES, type Json, readJson, towerOf } from "../clip/model_kit.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { buildGraph, maxDifference, tensorOf } from "../kit/run_graph.ts";
import { f32, firstTokens, i32, openSiglip, randomCheckpoint, rowsOf, smallConfig } from "./model_kit.ts";

/** What each model gives beside its last hidden state. */
const RESULTS: Readonly<Record<string, readonly string[]>> = {
  siglip: ["pooler_output"],
  siglip2: ["pooler_output"],
  gemma3: ["projected"],
  paligemma: ["pooler_output", "projected"],
  "llava-siglip": ["projected"],
};

for (const [name, results] of Object.entries(RESULTS)) {
  const folder = join(FIXTURES, name);
  for (const file of readdirSync(folder).filter((f) => f.startsWith("case-"))) {
    test(`siglip: the graphs of ${name} give the outputs of ${file}`, () => {
      const tensors = [...readSafetensors(join(folder, file))];
      const named = (prefix: string): [string, RefTensor][] =>
        tensors.flatMap(([key, t]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), t]] : []));
      const inputs: Tensors = Object.fromEntries(named("input.").map(([key, t]) => [key, integersOf(key, t)]));
      const modality: Modality = "pixel_values" in inputs ? "vision" : "text";
      const model = openSiglip(readJson(join(folder, "config.json")));
      const tower = towerOf(model, modality);
      const checkpoint = checkpointOf(folder, model);
      const outputs = evaluateTower(tower, inputs, tower.outputs, checkpoint);
      const expected = named("output.");
      assert.deepEqual(expected.map(([key]) => key).sort(), ["last_hidden_state", ...results]);
      for (const [key, want] of expected) {
        const difference = maxDifference(outputs[key], want);
        const limit = 2e-5 * deviation(want);
        assert.ok(difference <= limit, `${key}: ${difference} over ${limit}`);
        // Asked for alone, an output is the same.
        assert.equal(maxDifference(evaluateTower(tower, inputs, [key], checkpoint)[key], outputs[key]), 0);
      }
      const embeds = modality === "vision" ? "image_embeds" : "text_embeds";
      if (results.includes("pooler_output")) assert.equal(maxDifference(outputs[embeds], outputs.pooler_output), 0);
      else assert.equal(outputs[embeds], undefined);
    });
  }
}

/** Shapes and masks are integers whatever the reader makes of them. */
function integersOf(name: string, t: RefTensor): Tensor {
  return name === "pixel_values" ? tensorOf(t) : i32(t.shape, Array.from(t.data));
}

const NAFLEX = smallConfig("siglip2");
const PATCH = 3 * 8 * 8;

interface NaflexImage {
  readonly rows: number;
  readonly columns: number;
  readonly seed: number;
}

/** Images side by side, each padded to `patches` with what no model should look at. */
function naflexInputs(images: readonly NaflexImage[], patches: number): Tensors {
  const row = patches * PATCH;
  const value = (i: number): number => {
    const { rows, columns, seed } = images[Math.floor(i / row)];
    const at = i % row;
    return at < rows * columns * PATCH ? normal(seed, at) : 1000 + at;
  };
  return {
    pixel_values: f32([images.length, patches, PATCH], value),
    spatial_shapes: i32(
      [images.length, 2],
      images.flatMap(({ rows, columns }) => [rows, columns]),
    ),
  };
}

test("siglip2: a batch of grids gives what each image gives alone, whatever its padding", () => {
  const tower = towerOf(openSiglip(NAFLEX), "vision");
  const outputs = ["pooler_output", "last_hidden_state"];
  const images: NaflexImage[] = [
    { rows: 1, columns: 2, seed: 1 },
    { rows: 3, columns: 3, seed: 2 },
    { rows: 1, columns: 11, seed: 3 },
    ...[4, 5].map((seed) => ({ rows: 1 + (hash32(seed, 0) % 4), columns: 1 + (hash32(seed, 1) % 3), seed })),
  ];
  const all = evaluateTower(tower, naflexInputs(images, 12), outputs, randomCheckpoint);
  for (const [i, image] of images.entries()) {
    const count = image.rows * image.columns;
    const alone = evaluateTower(tower, naflexInputs([image], count), outputs, randomCheckpoint);
    assert.equal(maxDifference(rowsOf(all.pooler_output, i, i + 1), alone.pooler_output), 0);
    const own = firstTokens(rowsOf(all.last_hidden_state, i, i + 1), count);
    assert.equal(maxDifference(own, alone.last_hidden_state), 0);
  }
});

test("siglip2: the mask hides patches of the grid from the layers and from the pool", () => {
  const tower = towerOf(openSiglip(NAFLEX), "vision");
  const inputs = naflexInputs([{ rows: 2, columns: 3, seed: 9 }], 8);
  const run = (mask: readonly number[]): Record<string, RefTensor> =>
    evaluateTower(tower, { ...inputs, pixel_attention_mask: i32([1, 8], mask) }, tower.outputs, randomCheckpoint);
  const plain = evaluateTower(tower, inputs, tower.outputs, randomCheckpoint);
  const grid = run([1, 1, 1, 1, 1, 1, 0, 0]);
  for (const name of tower.outputs) assert.equal(maxDifference(plain[name], grid[name]), 0);
  const hidden = run([1, 1, 1, 1, 0, 1, 0, 0]);
  assert.ok(maxDifference(plain.pooler_output, hidden.pooler_output) > 0.01);
  const first = (t: RefTensor): RefTensor => firstTokens(t, 1);
  assert.ok(maxDifference(first(plain.last_hidden_state), first(hidden.last_hidden_state)) > 0.001);
});

test("siglip: pixels beyond the last whole patch are not looked at", () => {
  const run = (size: number): RefTensor => {
    const tower = towerOf(openSiglip(smallConfig("siglip", { image_size: size })), "vision");
    // A pixel has the same value in images of all sizes.
    const value = (i: number): number =>
      normal(Math.floor(i / (size * size)), (((i / size) % size) | 0) * 64 + (i % size));
    return evaluateTower(tower, { pixel_values: f32([1, 3, size, size], value) }, ["pooler_output"], randomCheckpoint)
      .pooler_output;
  };
  assert.equal(maxDifference(run(24), run(30)), 0);
  assert.ok(Number.isFinite(maxDifference(run(24), run(16))) && maxDifference(run(24), run(16)) > 0.01);
});

test("siglip: texts see their padding unless a mask hides it, and batch as they run alone", () => {
  const tower = towerOf(openSiglip(smallConfig("siglip")), "text");
  const rows = [
    [4, 9, 2, 7, 1],
    [30, 1, 1, 1, 1],
  ];
  const run = (inputs: Tensors): RefTensor =>
    evaluateTower(tower, inputs, ["text_embeds"], randomCheckpoint).text_embeds;
  const both = run({ input_ids: i32([2, 5], rows.flat()) });
  const ones = run({ input_ids: i32([2, 5], rows.flat()), attention_mask: i32([2, 5], Array(10).fill(1)) });
  assert.equal(maxDifference(both, ones), 0);
  for (const [i, row] of rows.entries()) {
    assert.equal(maxDifference(rowsOf(both, i, i + 1), run({ input_ids: i32([1, 5], row) })), 0);
  }
  const masked = run({ input_ids: i32([1, 5], rows[1]), attention_mask: i32([1, 5], [1, 1, 0, 0, 0]) });
  assert.ok(maxDifference(rowsOf(both, 1, 2), masked) > 0.001);
  // No causal mask: a later token changes what an earlier one becomes.
  const states = (ids: readonly number[]): RefTensor =>
    firstTokens(
      evaluateTower(tower, { input_ids: i32([1, 5], ids) }, ["last_hidden_state"], randomCheckpoint).last_hidden_state,
      1,
    );
  assert.ok(maxDifference(states([4, 9, 2, 7, 1]), states([4, 9, 2, 7, 3])) > 0.001);
});

test("siglip: 27 equal layers are one component, and one structure whatever the depth", () => {
  const config = readJson(join(FIXTURES, "configs/siglip-so400m-patch14-384/config.json"));
  const blocks = (json: Json, modality: Modality) =>
    towerOf(openSiglip(json), modality).components.filter((c) => c.tag.endsWith(".block"));
  for (const modality of ["vision", "text"] as const) {
    const [block, ...others] = blocks(config, modality);
    assert.equal(others.length, 0);
    assert.equal(new Set(block.instances).size, 27);
    assert.equal(block.instances[26], `${modality}_model.encoder.layers.26.`);
    const digest = (json: Json): string =>
      digestJson(graphToData(buildGraph(block.symbols, blocks(json, modality)[0].build)));
    const tower = config[`${modality}_config`] as Json;
    const changed = (fields: Json): Json => ({ ...config, [`${modality}_config`]: { ...tower, ...fields } });
    assert.equal(digest(config), digest(changed({ num_hidden_layers: 2 })));
    assert.notEqual(digest(config), digest(changed({ layer_norm_eps: 1e-5 })));
  }
});
