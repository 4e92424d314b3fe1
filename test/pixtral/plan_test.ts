import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pixtralPlugin } from "../../plugins/pixtral/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { FIXTURES, openModelOf, readJson, towerOf } from "../kit/tower_fixtures.ts";

const open = (name: string): TowerSpec =>
  towerOf(openModelOf(pixtralPlugin, readJson(join(FIXTURES, `${name}/config.json`))), "vision");
const alone = open("pixtral");
const merge = open("pixtral-merge");

const pixels = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});
const sizes = (shape: readonly number[], values: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(values),
});
const shapesOf = (t: Tensors): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(t).map(([name, { shape }]) => [name, shape]));

test("pixtral plan: calls and sizes follow from the images", () => {
  const given = { pixel_values: pixels([2, 3, 50, 64]), image_sizes: sizes([2, 2], [48, 64, 32, 32]) };
  const prepared = merge.prepare(given);
  assert.deepEqual(shapesOf(prepared), {
    pixel_values: [2, 3, 50, 64],
    patch_index: [64],
    cu_seqlens: [3],
    longest_segment: [48, 0],
    cos: [64, 8],
    sin: [64, 8],
    merge_index: [16, 4],
  });
  assert.equal(prepared.pixel_values, given.pixel_values);
  const plan = merge.plan(shapesOf(prepared), merge.outputs);
  const blocks = { segments: 2, longest_segment: 48, patches: 64 };
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.dims]),
    [
      ["pixtral/vision.embed", "vision_tower.", { images: 2, height: 50, width: 64, patches: 64 }],
      ["pixtral/vision.block", "vision_tower.transformer.layers.0.", blocks],
      ["pixtral/vision.block", "vision_tower.transformer.layers.1.", blocks],
      ["pixtral/vision.project", "multi_modal_projector.", { patches: 64, tokens: 16 }],
    ],
  );
  const own = alone.plan(shapesOf(alone.prepare(given)), ["last_hidden_state"]);
  assert.deepEqual(
    own.calls.map((c) => c.instance),
    ["", "transformer.layers.0.", "transformer.layers.1."],
  );
  assert.throws(() => alone.plan(shapesOf(prepared), ["projected"]), {
    code: "invalid_input",
    message: /no output "projected"; this tower gives last_hidden_state/,
  });
});

test("pixtral prepare: without sizes images fill the batch, and a rest of no whole patch is left out", () => {
  const { patch_index, cu_seqlens } = alone.prepare({ pixel_values: pixels([2, 3, 17, 31]) });
  assert.deepEqual([...patch_index.data], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual([...cu_seqlens.data], [0, 6, 12]);
  const wide = { dtype: "i64", shape: [1, 2], data: BigInt64Array.from([9n, 24n]) } as unknown as Tensor;
  const { patch_index: own } = alone.prepare({ pixel_values: pixels([1, 3, 16, 32]), image_sizes: wide });
  assert.deepEqual([...own.data], [0, 1, 2]);
});

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

test("pixtral prepare: what are no images of the model is refused", () => {
  const good = pixels([2, 3, 16, 32]);
  const sized = (shape: readonly number[], values: readonly number[]): Tensors => ({
    pixel_values: good,
    image_sizes: sizes(shape, values),
  });
  refuses(alone, {}, /"pixel_values" is missing/);
  refuses(alone, { pixel_values: good, image_grid_thw: good }, /no input "image_grid_thw"/);
  refuses(alone, { pixel_values: pixels([3, 16, 16]) }, /shape \[3, 16, 16\], expected \[images, 3, height, width\]/);
  refuses(alone, { pixel_values: pixels([0, 3, 16, 16]) }, /with at least one image\.$/);
  refuses(alone, { pixel_values: pixels([1, 1, 16, 16]) }, /shape \[1, 1, 16, 16\]/);
  refuses(alone, { pixel_values: { ...good, shape: [1, 3, 16, 9000] } }, /at most 8192x8192 pixels are taken/);
  refuses(alone, sized([1, 2], [16, 16]), /"image_sizes" has shape \[1, 2\], expected \[2, 2\]/);
  refuses(alone, sized([2, 3], [1, 16, 16, 1, 16, 16]), /shape \[2, 3\], expected \[2, 2\]/);
  refuses(alone, sized([2, 2], [16, 32, 24, 32]), /Image 1 has 24x32 pixels .* holds images of 16x32/);
  refuses(
    alone,
    sized([2, 2], [16, 32, 16, 7]),
    /Image 1 has 16x7 pixels .* and no whole patch of 8x8; give images of at least one patch/,
  );
  refuses(alone, sized([2, 2], [16, 32, -8, 8]), /Image 1 has -8x8 pixels .* no whole patch/);
  refuses(alone, { pixel_values: { ...good, shape: [1, 3, 16, 32] } }, /holds 3072 values, .* needs 1536/);
  refuses(alone, { pixel_values: { ...good, dtype: "u8", data: new Uint8Array(3072) } }, /type u8, expected f32/);
  refuses(alone, { pixel_values: { ...good, shape: [1, 3, 8192, 8192] } }, /1 images have 1048576 patches of 8x8/);
  refuses(alone, { pixel_values: { ...good, shape: [300, 3, 8, 8] } }, /300 images have 300 patches .* at most 256/);
  // Odd sides: squares of patches become one token.
  refuses(merge, { pixel_values: pixels([1, 3, 16, 24]) }, /2x3 patches, expected multiples of 2, .* of 16 pixels/);
  good.data[5] = Number.NEGATIVE_INFINITY;
  refuses(alone, { pixel_values: good }, /holds -Infinity at element 5/);
});

test("pixtral example: seeded inputs that prepare takes", () => {
  const a = merge.example({ batch: 2, seed: 1 });
  assert.deepEqual(merge.prepare(a).pixel_values.shape, [2, 3, 48, 48]);
  assert.deepEqual(merge.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(merge.example({ batch: 2, seed: 2 }), a);
  assert.deepEqual(merge.example({ batch: 1, seed: 1, size: [16, 32] }).pixel_values.shape, [1, 3, 16, 32]);
});
