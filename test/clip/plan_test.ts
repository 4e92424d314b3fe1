import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { DType } from "../../runtime/core/dtype.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { FIXTURES, openClip, readJson, towerOf } from "./model_kit.ts";

const CLIP = openClip(readJson(join(FIXTURES, "clip/config.json")));
const vision = towerOf(CLIP, "vision");
const text = towerOf(CLIP, "text");

const tensor = (dtype: DType, shape: readonly number[], data: Tensor["data"]): Tensor => ({ dtype, shape, data });
const pixels = (shape: readonly number[]): Tensor =>
  tensor("f32", shape, new Float32Array(shape.reduce((a, d) => a * d, 1)));
const ids = (shape: readonly number[], values: readonly number[]): Tensor =>
  tensor("i32", shape, Int32Array.from(values));

function refuses(tower: TowerSpec, inputs: Tensors, pattern: RegExp): void {
  assert.throws(
    () => tower.prepare(inputs),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_input");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

const tags = (tower: TowerSpec, shapes: Record<string, number[]>, outputs: readonly string[]): string[] =>
  tower.plan(shapes, outputs).calls.map((c) => c.tag.replace(/^clip\/\w+\./, ""));

test("clip plan: only the calls that the wanted outputs need", () => {
  const image = { pixel_values: [3, 3, 32, 32] };
  assert.deepEqual(tags(vision, image, ["last_hidden_state"]), ["embed", "block", "block"]);
  assert.deepEqual(tags(vision, image, ["pooler_output"]), ["embed", "block", "block", "pool"]);
  assert.deepEqual(tags(vision, image, ["image_embeds"]), ["embed", "block", "block", "pool", "project"]);
  const words = { input_ids: [2, 7], key_mask: [2, 7], pool_index: [2] };
  assert.deepEqual(tags(text, words, ["last_hidden_state"]), ["embed", "block", "block", "final"]);
  assert.deepEqual(tags(text, words, ["text_embeds"]), ["embed", "block", "block", "pool", "project"]);
  assert.deepEqual(tags(text, words, text.outputs), ["embed", "block", "block", "final", "pool", "project"]);
});

test("llava plan: layers behind the last one that the projector reads do not run for it", () => {
  const { outputs, plan } = towerOf(openClip(readJson(join(FIXTURES, "llava/config.json"))), "vision");
  const image = { pixel_values: [2, 3, 24, 24] };
  assert.deepEqual(outputs, ["projected", "last_hidden_state"]);
  const projected = plan(image, ["projected"]);
  assert.deepEqual(
    projected.calls.map((c) => c.instance),
    ["vision_model.", "vision_model.encoder.layers.0.", "vision_model.encoder.layers.1.", "multi_modal_projector."],
  );
  assert.deepEqual(projected.calls[3].inputs, { "features.0": "hidden_states.2" });
  assert.deepEqual(projected.results, { projected: "projected" });
  const both = plan(image, outputs);
  assert.deepEqual([both.calls.length, both.results.last_hidden_state], [5, "hidden_states.3"]);
  assert.equal(plan(image, ["last_hidden_state"]).calls.length, 4);
});

test("clip plan: sizes, instances, constants and keys follow from the geometry", () => {
  const words = { input_ids: [2, 3], key_mask: [2, 3], pool_index: [2] };
  const plan = text.plan(words, ["text_embeds", "pooler_output"]);
  assert.deepEqual(plan.constants.position_ids, ids([3], [0, 1, 2]));
  assert.deepEqual(
    plan.calls.map((c) => c.instance),
    ["text_model.", "text_model.encoder.layers.0.", "text_model.encoder.layers.1.", "text_model.", ""],
  );
  assert.deepEqual(plan.calls[0].dims, { batch: 2, tokens: 3 });
  assert.deepEqual(plan.calls[4].dims, { batch: 2 });
  assert.deepEqual(plan.results, { text_embeds: "text_embeds", pooler_output: "pooler_output" });
  assert.equal(plan.key, text.plan(words, ["pooler_output", "text_embeds"]).key);
  const others = [
    text.plan(words, ["text_embeds"]),
    text.plan({ ...words, input_ids: [3, 2] }, ["text_embeds", "pooler_output"]),
    vision.plan({ pixel_values: [2, 3, 32, 32] }, ["pooler_output"]),
  ];
  assert.equal(new Set([plan.key, ...others.map((p) => p.key)]).size, 4);
  assert.deepEqual(vision.plan({ pixel_values: [2, 3, 32, 32] }, ["last_hidden_state"]).results, {
    last_hidden_state: "hidden_states.2",
  });
});

test("clip plan: unknown outputs are refused by name", () => {
  const ask = (outputs: readonly string[]) => () => vision.plan({ pixel_values: [1, 3, 32, 32] }, outputs);
  const expect = (pattern: RegExp) => (e: FoveaError) => e.code === "invalid_input" && pattern.test(e.message);
  assert.throws(
    ask(["text_embeds"]),
    expect(/no output "text_embeds"; this tower gives image_embeds, pooler_output, last/),
  );
  assert.throws(ask([]), expect(/No output was asked for/));
});

test("clip plan: every component's ranges are valid and cover 1 to 64 images and all text lengths", () => {
  const large = openClip(readJson(join(FIXTURES, "configs/clip-vit-large-patch14-336/config.json")));
  const digits = openClip(readJson(join(FIXTURES, "../../examples/models/digits-clip/config.json")));
  const ranges = (model: typeof large, tag: string): string[] =>
    model.towers
      .flatMap((t) => t.components)
      .filter((c) => c.tag === tag)
      .flatMap((c) => splitRanges(c.symbols, c.ranges ?? {}, { tag }))
      .map((box) =>
        Object.entries(box)
          .map(([n, i]) => `${n} ${i.min}..${i.max}`)
          .join(", "),
      );
  assert.deepEqual(ranges(large, "clip/vision.block"), ["batch 1..1", "batch 2..8", "batch 9..64"]);
  assert.deepEqual(ranges(large, "clip/text.block"), ["batch 1..64, tokens 1..16", "batch 1..64, tokens 17..77"]);
  assert.deepEqual(ranges(digits, "clip/text.block"), ["batch 1..64, tokens 1..12"]);
  for (const c of large.towers.flatMap((t) => t.components)) assert.ok(ranges(large, c.tag).length > 0);
});

test("clip prepare: images of another shape, type or with odd values are refused", () => {
  const good = pixels([2, 3, 32, 32]);
  assert.equal(vision.prepare({ pixel_values: good }).pixel_values, good);
  refuses(vision, {}, /"pixel_values" is missing/);
  refuses(vision, { pixels: good }, /no input "pixels"; this tower takes pixel_values/);
  refuses(vision, { pixel_values: pixels([1, 3, 32, 48]) }, /shape \[1, 3, 32, 48\], expected \[batch, 3, 32, 32\]/);
  refuses(vision, { pixel_values: pixels([3, 32, 32]) }, /shape \[3, 32, 32\]/);
  refuses(vision, { pixel_values: pixels([0, 3, 32, 32]) }, /shape \[0, 3, 32, 32\]/);
  refuses(vision, { pixel_values: { ...good, shape: [1, 3, 32, 32] } }, /holds 6144 values, .* needs 3072/);
  refuses(vision, { pixel_values: tensor("u8", [1, 3, 32, 32], new Uint8Array(3072)) }, /type u8, expected f32/);
  for (const odd of [NaN, Infinity, -Infinity]) {
    const data = new Float32Array(3072);
    data[7] = odd;
    refuses(vision, { pixel_values: tensor("f32", [1, 3, 32, 32], data) }, new RegExp(`holds ${odd} at element 7`));
  }
});

test("clip prepare: ids, masks and lengths are checked", () => {
  const good = ids([1, 3], [97, 5, 98]);
  refuses(text, { attention_mask: good }, /"input_ids" is missing/);
  refuses(text, { input_ids: good, token_type_ids: good }, /no input "token_type_ids"/);
  refuses(text, { input_ids: ids([3], [97, 5, 98]) }, /shape \[3\], expected \[batch, tokens\]/);
  refuses(text, { input_ids: ids([1, 0], []) }, /shape \[1, 0\]/);
  refuses(
    text,
    { input_ids: ids([1, 25], new Array(25).fill(1)) },
    /has 25 tokens a text, but this model has 24 positions/,
  );
  refuses(text, { input_ids: ids([1, 3], [97, 99, 98]) }, /holds 99 at element 1, outside of the vocabulary 0\.\.98/);
  refuses(text, { input_ids: ids([1, 3], [97, -1, 98]) }, /holds -1 at element 1/);
  refuses(text, { input_ids: ids([1, 3], [97, 98]) }, /holds 2 values, .* needs 3/);
  refuses(text, { input_ids: tensor("f32", [1, 3], new Float32Array(3)) }, /type f32, expected i32/);
  refuses(
    text,
    { input_ids: good, attention_mask: ids([1, 2], [1, 1]) },
    /"attention_mask" has shape \[1, 2\], .*\[1, 3\]/,
  );
  refuses(text, { input_ids: good, attention_mask: ids([1, 3], [1, 2, 0]) }, /"attention_mask" holds 2 at element 1/);
});

test("clip prepare: both pooling rules, masks as f32, 64-bit ids", () => {
  const rows = ids([2, 4], [97, 98, 5, 98, 97, 3, 4, 5]);
  const modern = text.prepare({ input_ids: rows });
  // The first end token, and 0 where there is none.
  assert.deepEqual(modern.pool_index, ids([2], [1, 0]));
  assert.deepEqual(modern.key_mask, tensor("f32", [2, 4], new Float32Array(8).fill(1)));
  const legacy = towerOf(openClip(readJson(join(FIXTURES, "clip-eos2/config.json"))), "text");
  // The first of the largest ids.
  assert.deepEqual(legacy.prepare({ input_ids: ids([2, 4], [0, 5, 98, 98, 0, 2, 1, 1]) }).pool_index, ids([2], [2, 1]));
  const masks = [Int32Array, Uint8Array, Float32Array].map((A) =>
    tensor("i32", [2, 4], A.from([1, 1, 1, 0, 1, 1, 0, 0])),
  );
  for (const attention_mask of masks) {
    const { key_mask } = text.prepare({ input_ids: rows, attention_mask });
    assert.deepEqual(key_mask.data, Float32Array.from([1, 1, 1, 0, 1, 1, 0, 0]));
  }
  const wide = { dtype: "i64", shape: [1, 3], data: BigInt64Array.from([97n, 5n, 98n]) } as unknown as Tensor;
  assert.deepEqual(text.prepare({ input_ids: wide }).input_ids, ids([1, 3], [97, 5, 98]));
});

test("clip example: seeded inputs that prepare takes", () => {
  const a = vision.example({ batch: 2, seed: 1 });
  assert.deepEqual(vision.prepare(a).pixel_values.shape, [2, 3, 32, 32]);
  assert.deepEqual(vision.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(vision.example({ batch: 2, seed: 2 }), a);
  assert.throws(() => vision.example({ batch: 1, seed: 1, size: [64, 32] }), /images of 32x32 pixels, found 64x32/);
  assert.deepEqual(text.prepare(text.example({ batch: 3, seed: 1 })).input_ids.shape, [3, 24]);
  assert.deepEqual(text.prepare(text.example({ batch: 1, seed: 1, tokens: 5 })).pool_index.shape, [1]);
});
