import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { EncoderModel, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { boxText, splitRanges } from "../../runtime/core/range.ts";
import { FIXTURES, readJson, towerOf } from "../clip/model_kit.ts";
import { f32, i32, openSiglip, smallConfig } from "./model_kit.ts";

const FIXED = openSiglip(smallConfig("siglip"));
const NAFLEX = openSiglip(smallConfig("siglip2"));
const vision = towerOf(FIXED, "vision");
const naflex = towerOf(NAFLEX, "vision");
const text = towerOf(FIXED, "text");

const zeros = (shape: readonly number[]): Tensor => f32(shape, () => 0);

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
  tower.plan(shapes, outputs).calls.map((c) => c.tag.replace(/^\w+\/\w+\./, ""));

test("siglip plan: only the calls that the wanted outputs need", () => {
  for (const [tower, shapes] of [
    [vision, { pixel_values: [3, 3, 24, 24] }],
    [naflex, { pixel_values: [3, 10, 192] }],
  ] as const) {
    const given = shapes as unknown as Record<string, number[]>;
    assert.deepEqual(tower.outputs, ["image_embeds", "pooler_output", "last_hidden_state"]);
    assert.deepEqual(tags(tower, given, ["last_hidden_state"]), ["embed", "block", "final"]);
    // The pool looks at the normed states.
    assert.deepEqual(tags(tower, given, ["image_embeds"]), ["embed", "block", "final", "pool"]);
    assert.deepEqual(tags(tower, given, tower.outputs), ["embed", "block", "final", "pool"]);
  }
  const words = { input_ids: [2, 7], key_mask: [2, 7] };
  assert.deepEqual(tags(text, words, ["last_hidden_state"]), ["embed", "block", "final"]);
  assert.deepEqual(tags(text, words, ["text_embeds"]), ["embed", "block", "pool"]);
  assert.deepEqual(tags(text, words, text.outputs), ["embed", "block", "final", "pool"]);
});

test("siglip plan: sizes, names, results and keys follow from the geometry", () => {
  const shapes = { pixel_values: [2, 10, 192], key_mask: [2, 10] };
  const plan = naflex.plan(shapes, ["image_embeds", "pooler_output"]);
  assert.deepEqual(plan.results, { image_embeds: "pooler_output", pooler_output: "pooler_output" });
  assert.deepEqual(plan.calls[0].dims, { batch: 2, patches: 10 });
  assert.deepEqual(Object.keys(plan.calls[0].inputs), ["pixel_values", "row_weights", "column_weights"]);
  assert.deepEqual(plan.calls[1].inputs, { hidden_states: "hidden_states.0", key_mask: "key_mask" });
  assert.deepEqual(plan.calls[3].inputs, { last_hidden_state: "last_hidden_state", key_mask: "key_mask" });
  assert.deepEqual(plan.constants, {});
  assert.equal(plan.key, naflex.plan(shapes, ["pooler_output", "image_embeds"]).key);
  const keys = [
    plan,
    naflex.plan(shapes, ["image_embeds"]),
    naflex.plan({ pixel_values: [10, 2, 192] }, ["image_embeds", "pooler_output"]),
    vision.plan({ pixel_values: [2, 3, 24, 24] }, ["image_embeds", "pooler_output"]),
    text.plan({ input_ids: [2, 8] }, ["pooler_output"]),
  ].map((p) => p.key);
  assert.equal(new Set(keys).size, 5);
  assert.deepEqual(vision.plan({ pixel_values: [2, 3, 24, 24] }, ["pooler_output"]).calls[0].dims, { batch: 2 });
  assert.deepEqual(text.plan({ input_ids: [2, 8] }, ["pooler_output"]).calls[0].dims, { batch: 2, tokens: 8 });
  assert.throws(
    () => vision.plan({ pixel_values: [2, 3, 24, 24] }, ["text_embeds"]),
    /no output "text_embeds"; this tower gives image_embeds, pooler_output, last_hidden_state/,
  );
  assert.throws(() => text.plan({ input_ids: [2, 8] }, []), /No output was asked for/);
});

test("siglip plan: every component's ranges cover 1 to 64 inputs and all lengths", () => {
  const base = openSiglip(readJson(join(FIXTURES, "configs/siglip-base-patch16-224/config.json")));
  const flexible = openSiglip({ model_type: "siglip2" });
  const ranges = (model: EncoderModel, tag: string): string[] =>
    model.towers
      .flatMap((t) => t.components)
      .filter((c) => c.tag === tag)
      .flatMap((c) => splitRanges(c.symbols, c.ranges ?? {}, { tag }).map(boxText));
  assert.deepEqual(ranges(base, "siglip/vision.block"), ["batch 1", "batch 2..8", "batch 9..64"]);
  assert.deepEqual(ranges(base, "siglip/text.block"), [
    "batch 1, tokens 1..64",
    "batch 2..8, tokens 1..64",
    "batch 9..64, tokens 1..64",
  ]);
  assert.deepEqual(ranges(flexible, "siglip2/vision.block"), [
    "batch 1..64, patches 1..256",
    "batch 1..64, patches 257..1024",
    "batch 1..64, patches 1025..4096",
  ]);
  for (const c of [...base.towers, ...flexible.towers].flatMap((t) => t.components)) {
    assert.equal(ranges(c.tag.startsWith("siglip2") ? flexible : base, c.tag).length, 3);
  }
});

test("siglip prepare: images of another shape, type or with odd values are refused", () => {
  const good = zeros([2, 3, 24, 24]);
  assert.equal(vision.prepare({ pixel_values: good }).pixel_values, good);
  refuses(vision, {}, /"pixel_values" is missing/);
  refuses(
    vision,
    { pixel_values: good, spatial_shapes: good },
    /no input "spatial_shapes"; this tower takes pixel_val/,
  );
  refuses(vision, { pixel_values: zeros([1, 3, 24, 32]) }, /shape \[1, 3, 24, 32\], expected \[batch, 3, 24, 24\]/);
  refuses(vision, { pixel_values: zeros([3, 24, 24]) }, /shape \[3, 24, 24\].*images of 24x24 pixels/);
  refuses(vision, { pixel_values: zeros([0, 3, 24, 24]) }, /shape \[0, 3, 24, 24\]/);
  refuses(vision, { pixel_values: { ...good, shape: [1, 3, 24, 24] } }, /holds 3456 values, .* needs 1728/);
  const bytes: Tensor = { dtype: "u8", shape: [1, 3, 24, 24], data: new Uint8Array(1728) };
  refuses(vision, { pixel_values: bytes }, /type u8, expected f32/);
  for (const odd of [NaN, Infinity, -Infinity]) {
    const poisoned = f32([1, 3, 24, 24], (i) => (i === 7 ? odd : 0));
    refuses(vision, { pixel_values: poisoned }, new RegExp(`holds ${odd} at element 7`));
  }
});

test("siglip2 prepare: grids, masks and patches must fit each other", () => {
  const good = { pixel_values: zeros([2, 6, 192]), spatial_shapes: i32([2, 2], [2, 3, 1, 4]) };
  const ready = naflex.prepare(good);
  assert.deepEqual(ready.key_mask, {
    dtype: "f32",
    shape: [2, 6],
    data: Float32Array.from([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
  });
  assert.deepEqual(
    [ready.row_weights.shape, ready.column_weights.shape],
    [
      [2, 6, 3],
      [2, 6, 3],
    ],
  );
  const shapes = (values: readonly number[], shape = [2, 2]): Tensors => ({
    ...good,
    spatial_shapes: i32(shape, values),
  });
  const masked = (values: readonly number[]): Tensors => ({ ...good, pixel_attention_mask: i32([2, 6], values) });
  refuses(naflex, { pixel_values: good.pixel_values }, /"spatial_shapes" is missing/);
  refuses(naflex, { ...good, grid_thw: i32([2, 3], [1, 2, 3, 1, 1, 4]) }, /no input "grid_thw"/);
  refuses(naflex, { ...good, pixel_values: zeros([2, 3, 24, 24]) }, /expected \[batch, patches, 192\].*8x8 pixels/);
  refuses(naflex, { ...good, pixel_values: zeros([2, 6, 588]) }, /shape \[2, 6, 588\]/);
  refuses(naflex, { ...good, pixel_values: zeros([0, 6, 192]) }, /shape \[0, 6, 192\]/);
  refuses(naflex, { ...good, pixel_values: f32([2, 6, 192], () => NaN) }, /holds NaN at element 0/);
  refuses(naflex, shapes([2, 4, 1, 4]), /Image 0 has a grid of 2x4 = 8 patches, but "pixel_values" holds 6 an image/);
  refuses(naflex, shapes([2, 3, 0, 4]), /Image 1 has a grid of 0x4 patches; both sides must be at least 1/);
  refuses(naflex, shapes([2, 3, -1, -4]), /Image 1 has a grid of -1x-4/);
  refuses(naflex, shapes([2, 3], [1, 2]), /"spatial_shapes" has shape \[1, 2\], expected \[2, 2\]/);
  refuses(naflex, shapes([1, 2, 3, 1, 1, 4], [2, 3]), /"spatial_shapes" has shape \[2, 3\]/);
  refuses(naflex, { ...good, spatial_shapes: zeros([2, 2]) }, /"spatial_shapes" has type f32, expected i32/);
  refuses(
    naflex,
    masked([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]),
    /shows patch 4 of image 1, whose grid of 1x4 ends before/,
  );
  refuses(naflex, masked([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]), /"pixel_attention_mask" hides all patches of row 1/);
  refuses(naflex, masked([1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]), /holds 2 at element 1; expected 1 for patches, 0/);
  refuses(
    naflex,
    { ...good, pixel_attention_mask: i32([2, 5], Array(10).fill(1)) },
    /has shape \[2, 5\], expected \[2, 6\]/,
  );
  const many = { pixel_values: zeros([1, 4097, 192]), spatial_shapes: i32([1, 2], [1, 1]) };
  refuses(naflex, many, /holds 4097 patches an image; at most 4096/);
});

test("siglip2 prepare: 64-bit shapes and masks of all kinds are read", () => {
  const pixel_values = zeros([1, 6, 192]);
  const wide = (shape: readonly number[], values: readonly number[]): Tensor =>
    ({ dtype: "i64", shape, data: BigInt64Array.from(values, BigInt) }) as unknown as Tensor;
  const plain = naflex.prepare({ pixel_values, spatial_shapes: i32([1, 2], [2, 2]) });
  const masks = [
    wide([1, 6], [1, 1, 1, 1, 0, 0]),
    f32([1, 6], (i) => (i < 4 ? 1 : 0)),
    { dtype: "u8", shape: [1, 6], data: Uint8Array.from([1, 1, 1, 1, 0, 0]) } as Tensor,
  ];
  for (const pixel_attention_mask of masks) {
    assert.deepEqual(
      naflex.prepare({ pixel_values, spatial_shapes: wide([1, 2], [2, 2]), pixel_attention_mask }),
      plain,
    );
  }
});

test("siglip prepare: ids, masks and lengths are checked", () => {
  const good = i32([1, 3], [4, 5, 1]);
  assert.deepEqual(
    text.prepare({ input_ids: good }).key_mask,
    f32([1, 3], () => 1),
  );
  refuses(text, { attention_mask: good }, /"input_ids" is missing/);
  refuses(text, { input_ids: good, position_ids: good }, /no input "position_ids"/);
  refuses(text, { input_ids: i32([3], [4, 5, 1]) }, /shape \[3\], expected \[batch, tokens\]/);
  refuses(text, { input_ids: i32([1, 0], []) }, /shape \[1, 0\]/);
  refuses(text, { input_ids: i32([1, 9], Array(9).fill(1)) }, /has 9 tokens a text, but this model has 8 positions/);
  refuses(text, { input_ids: i32([1, 3], [4, 50, 1]) }, /holds 50 at element 1, outside of the vocabulary 0\.\.49/);
  refuses(text, { input_ids: i32([1, 3], [4, -1, 1]) }, /holds -1 at element 1/);
  refuses(text, { input_ids: i32([1, 3], [4, 1]) }, /holds 2 values, .* needs 3/);
  refuses(text, { input_ids: zeros([1, 3]) }, /type f32, expected i32/);
  refuses(text, { input_ids: good, attention_mask: i32([1, 2], [1, 1]) }, /has shape \[1, 2\], expected \[1, 3\]/);
  refuses(
    text,
    { input_ids: good, attention_mask: i32([1, 3], [0, 0, 0]) },
    /hides all tokens of row 0; at least one must be 1\./,
  );
});

test("siglip example: seeded inputs that prepare takes", () => {
  const image = vision.example({ batch: 2, seed: 1 });
  assert.deepEqual(vision.prepare(image).pixel_values.shape, [2, 3, 24, 24]);
  assert.deepEqual(vision.example({ batch: 2, seed: 1 }), image);
  assert.notDeepEqual(vision.example({ batch: 2, seed: 2 }), image);
  assert.throws(() => vision.example({ batch: 1, seed: 1, size: [24, 32] }), /images of 24x24 pixels, found 24x32/);
  assert.deepEqual(naflex.prepare(naflex.example({ batch: 2, seed: 1 })).pixel_values.shape, [2, 9, 192]);
  const wide = naflex.example({ batch: 1, seed: 1, grid: [1, 2, 7] });
  assert.deepEqual(naflex.prepare(wide).key_mask.shape, [1, 14]);
  assert.deepEqual(wide.spatial_shapes, i32([1, 2], [2, 7]));
  assert.throws(() => naflex.example({ batch: 1, seed: 1, grid: [2, 2, 2] }), /found a grid of 2 frames/);
  assert.deepEqual([vision.exampleSizes, naflex.exampleSizes, text.exampleSizes], [["size"], ["grid"], ["tokens"]]);
  assert.deepEqual(text.prepare(text.example({ batch: 3, seed: 1 })).input_ids.shape, [3, 8]);
  assert.deepEqual(text.prepare(text.example({ batch: 1, seed: 1, tokens: 5 })).key_mask.shape, [1, 5]);
});
