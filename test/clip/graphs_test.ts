import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Modality, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { decodeImage } from "../../runtime/media/decode.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { buildGraph, maxDifference, tensorOf } from "../kit/run_graph.ts";
import { checkpointOf, DIGITS, deviation, FIXTURES, openClip, readJson, towerOf } from "./model_kit.ts";

/** Rows of [batch, tokens, width] that the mask shows. */
function unmasked(t: RefTensor, mask: RefTensor | undefined): RefTensor {
  if (mask === undefined || t.shape.length !== 3) return t;
  const width = t.shape[2];
  const rows = [...mask.data.keys()].filter((row) => mask.data[row] !== 0);
  const data = Float64Array.from(rows.flatMap((row) => [...t.data.subarray(row * width, (row + 1) * width)]));
  return { dtype: t.dtype, shape: [rows.length, width], data };
}

for (const name of ["clip", "clip-eos2", "metaclip_2", "llava", "llava_next"]) {
  const folder = join(FIXTURES, name);
  for (const file of readdirSync(folder).filter((f) => f.startsWith("case-"))) {
    test(`clip: the graphs of ${name} give the outputs of ${file}`, () => {
      const model = openClip(readJson(join(folder, "config.json")));
      const tensors = [...readSafetensors(join(folder, file))];
      const named = (prefix: string): [string, RefTensor][] =>
        tensors.flatMap(([key, t]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), t]] : []));
      const inputs: Tensors = Object.fromEntries(named("input.").map(([key, t]) => [key, tensorOf(t)]));
      const expected = named("output.");
      const modality: Modality = "pixel_values" in inputs ? "vision" : "text";
      const tower = towerOf(model, modality);
      assert.deepEqual(expected.map(([key]) => key).sort(), [...tower.outputs].sort());
      const checkpoint = checkpointOf(folder, model);
      const outputs = evaluateTower(tower, inputs, tower.outputs, checkpoint);
      const mask = Object.fromEntries(named("input.")).attention_mask;
      for (const [key, want] of expected) {
        const difference = maxDifference(unmasked(outputs[key], mask), unmasked(want, mask));
        const limit = 2e-5 * deviation(want);
        assert.ok(difference <= limit, `${key}: ${difference} over ${limit}`);
        // Asked for alone, an output is the same.
        assert.equal(maxDifference(evaluateTower(tower, inputs, [key], checkpoint)[key], outputs[key]), 0);
      }
    });
  }
}

test("clip: pictures and prompts of the digits model give its reference embeddings", async () => {
  const model = openClip(readJson(join(DIGITS, "config.json")));
  const files = Object.fromEntries(
    ["preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"].map((f) => [f, readJson(join(DIGITS, f))]),
  );
  const { images, texts } = model.processors(files);
  const about = readJson(join(DIGITS, "about.json")) as { prompt: string; words: string[] };
  const reference = readSafetensors(join(DIGITS, "reference.safetensors"));
  const checkpoint = checkpointOf(DIGITS);
  const names = readdirSync(join(DIGITS, "images")).sort().slice(0, 8);
  const pixels = await Promise.all(
    names.map((name) => decodeImage(new Uint8Array(readFileSync(join(DIGITS, "images", name))))),
  );
  assert.ok(images !== undefined && texts !== undefined);
  const prompts = await texts(about.words.map((word) => about.prompt.replace("{}", word)));
  const given: [Modality, Tensors, string][] = [
    ["vision", images(pixels), "image_embeds"],
    ["text", prompts, "text_embeds"],
  ];
  for (const [modality, inputs, output] of given) {
    const got = evaluateTower(towerOf(model, modality), inputs, [output], checkpoint)[output];
    const all = reference.get(output) as RefTensor;
    const want = { ...all, shape: got.shape, data: all.data.subarray(0, got.data.length) };
    const limit = 2e-3 * deviation(want);
    const difference = maxDifference(got, want);
    assert.ok(difference <= limit, `${output}: ${difference} over ${limit}`);
  }
});

test("clip: 24 equal layers are one component, and one structure whatever the checkpoint calls them", () => {
  const config = readJson(join(FIXTURES, "configs/clip-vit-large-patch14-336/config.json"));
  const digests = (tag: string, json: typeof config): string[] =>
    openClip(json)
      .towers.flatMap((t) => t.components)
      .filter((c) => c.tag === tag)
      .map((c) => digestJson(graphToData(buildGraph(c.symbols, c.build))));
  const blocks = towerOf(openClip(config), "vision").components.filter((c) => c.tag === "clip/vision.block");
  assert.equal(blocks.length, 1);
  assert.equal(blocks[0].instances.length, 24);
  assert.equal(new Set(blocks[0].instances).size, 24);
  assert.equal(blocks[0].instances[23], "vision_model.encoder.layers.23.");
  const shallow = { ...config, vision_config: { ...(config.vision_config as object), num_hidden_layers: 2 } };
  assert.deepEqual(digests("clip/vision.block", config), digests("clip/vision.block", shallow));
  const sharper = { ...config, vision_config: { ...(config.vision_config as object), layer_norm_eps: 1e-6 } };
  assert.notDeepEqual(digests("clip/vision.block", config), digests("clip/vision.block", sharper));
});

test("clip: a text without mask runs as one whose mask is all ones, and padding changes no visible row", () => {
  const folder = join(FIXTURES, "clip");
  const tower = towerOf(openClip(readJson(join(folder, "config.json"))), "text");
  const checkpoint = checkpointOf(folder);
  const i32 = (shape: readonly number[], values: readonly number[]): Tensor => ({
    dtype: "i32",
    shape,
    data: Int32Array.from(values),
  });
  const ids = [97, 5, 6, 98];
  const plain = evaluateTower(tower, { input_ids: i32([1, 4], ids) }, tower.outputs, checkpoint);
  const ones = { input_ids: i32([1, 4], ids), attention_mask: i32([1, 4], [1, 1, 1, 1]) };
  const masked = evaluateTower(tower, ones, tower.outputs, checkpoint);
  for (const name of tower.outputs) assert.equal(maxDifference(plain[name], masked[name]), 0);
  const padded = { input_ids: i32([1, 6], [...ids, 98, 3]), attention_mask: i32([1, 6], [1, 1, 1, 1, 0, 0]) };
  const longer = evaluateTower(tower, padded, tower.outputs, checkpoint);
  assert.equal(maxDifference(plain.text_embeds, longer.text_embeds), 0);
  // The mask itself is read: hiding a visible token changes the pooled row.
  const hidden = { input_ids: i32([1, 4], ids), attention_mask: i32([1, 4], [1, 0, 1, 1]) };
  assert.ok(
    maxDifference(plain.text_embeds, evaluateTower(tower, hidden, ["text_embeds"], checkpoint).text_embeds) > 0.01,
  );
});
