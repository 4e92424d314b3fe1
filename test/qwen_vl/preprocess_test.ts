import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parseQwenProcessor, qwenImageProcessor, smartSize } from "../../plugins/qwen_vl/preprocess.ts";
import type { PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { FIXTURES, type Json, readJson } from "../clip/model_kit.ts";
import { hasCode } from "../kit/assertions.ts";
import { decode, fixture, noise } from "../media/media_kit.ts";
import { assertProcessed } from "../media/processor_kit.ts";

const config = (name: string): Json => readJson(join(FIXTURES, "preprocess", name, "preprocessor_config.json"));

/** The same configuration as older files write it. */
function oldSpelling({ size, ...rest }: Json): Json {
  const { shortest_edge, longest_edge } = size as Json;
  return { ...rest, min_pixels: shortest_edge, max_pixels: longest_edge };
}

// Nothing but the rounding to float16 of values up to 4 is left: no pixel is a grey level off.
const equalsReference = (folder: string, name: string, found: Tensors): Promise<void> =>
  assertProcessed(found, folder, name, 2 ** -10);

for (const [folder, name] of [["qwen2_vl", "gray"]] as const) {
  test(`${name} is preprocessed as the Qwen2VLImageProcessor of ${folder} does, in both spellings`, async () => {
    const image = await decode(await fixture(`${name}.png`));
    await equalsReference(folder, name, qwenImageProcessor(config(folder)).values([image]));
    await equalsReference(folder, name, qwenImageProcessor(oldSpelling(config(folder))).values([image]));
    await equalsReference(folder, name, qwenImageProcessor({ image_processor: config(folder) }).values([image]));
  });
}

// The reference's patch counts; its patches are left out of the repository for their size.
for (const [folder, patches, grid] of [
  ["qwen2_vl", 256, [1, 16, 16]],
  ["qwen2_vl-small", 400, [1, 20, 20]],
] as const) {
  test(`a square photograph becomes ${patches} patches by the limits of ${folder}, in both spellings`, async () => {
    const image = await decode(await fixture("astronaut.png"));
    for (const spelling of [config(folder), oldSpelling(config(folder))]) {
      const { pixel_values, image_grid_thw } = qwenImageProcessor(spelling).values([image]);
      assert.deepEqual(pixel_values.shape, [patches, 1176]);
      assert.deepEqual([...image_grid_thw.data], grid);
    }
  });
}

test("qwen_vl's processor: a batch of unlike images is their patches one below the other", async () => {
  const process = qwenImageProcessor({ min_pixels: 784, max_pixels: 784 * 12 }).values;
  const images = [noise(1, 100, 40), noise(2, 28, 28), noise(3, 30, 300)];
  const all = process(images);
  const alone = images.map((image) => process([image]));
  assert.deepEqual(
    [...all.image_grid_thw.data],
    alone.flatMap((a) => [...a.image_grid_thw.data]),
  );
  assert.deepEqual(all.image_grid_thw.shape, [3, 3]);
  const rows = alone.reduce((n, a) => n + a.pixel_values.shape[0], 0);
  assert.deepEqual(all.pixel_values.shape, [rows, 1176]);
  let at = 0;
  for (const { pixel_values: own } of alone) {
    assert.deepEqual(all.pixel_values.data.subarray(at, at + own.data.length), own.data);
    at += own.data.length;
  }
});

test("qwen_vl's processor: every sample stands where the reference's transpose puts it", () => {
  const [height, width, P, m, T] = [12, 18, 3, 2, 2];
  const image = noise(4, width, height);
  const plain = { do_resize: false, do_rescale: false, do_normalize: false };
  const { pixel_values, image_grid_thw } = qwenImageProcessor({ ...plain, patch_size: P, merge_size: m }).values([
    image,
  ]);
  assert.deepEqual([...image_grid_thw.data], [1, 4, 6]);
  // [rows of blocks, columns of blocks, block row, block column, channel, frame, y, x]
  const sizes = [height / P / m, width / P / m, m, m, 3, T, P, P];
  pixel_values.data.forEach((v, i) => {
    const at: number[] = [];
    for (let axis = sizes.length - 1, left = i; axis >= 0; axis--) {
      at[axis] = left % sizes[axis];
      left = Math.floor(left / sizes[axis]);
    }
    const [top, left, row, column, channel, , y, x] = at;
    const pixel = ((top * m + row) * P + y) * width + (left * m + column) * P + x;
    assert.equal(v, image.data[pixel * 3 + channel]);
  });
});

test("qwen_vl's processor: absent fields take its defaults", () => {
  const defaults = parseQwenProcessor({});
  assert.deepEqual(
    [defaults.minPixels, defaults.maxPixels, defaults.patchSize, defaults.temporalPatchSize, defaults.mergeSize],
    [3136, 1003520, 14, 2, 2],
  );
  assert.deepEqual([defaults.filter, defaults.arithmetic, defaults.resizes], ["bicubic", "torchvision", true]);
  const both = parseQwenProcessor({ size: { shortest_edge: 5, longest_edge: 9000 }, max_pixels: 8000 });
  assert.deepEqual([both.minPixels, both.maxPixels], [5, 8000]);
});

test("qwen_vl's processor: sizes are whole blocks within the bounds, and follow the reference's rounding", () => {
  const bounds = { ...parseQwenProcessor({}), minPixels: 3136, maxPixels: 1003520 };
  const sizes = (height: number, width: number, factor = 28): readonly number[] => {
    const { height: h, width: w } = smartSize({ height, width }, factor, bounds);
    return [h, w];
  };
  assert.deepEqual(sizes(644, 896), [644, 896]);
  // Halves go to the even neighbour: 2.5 and 3.5 blocks.
  assert.deepEqual(sizes(70, 98), [56, 112]);
  assert.deepEqual(sizes(1, 1), [56, 56]);
  assert.deepEqual(sizes(1, 200), [28, 812]);
  assert.deepEqual(sizes(3000, 4000), [840, 1148]);
  assert.deepEqual(sizes(20, 3990), [28, 3976]);
  for (let seed = 0; seed < 300; seed++) {
    const [height, width] = [1 + (hash32(seed, 1) % 3000), 1 + (hash32(seed, 2) % 3000)];
    if (Math.max(height, width) > 100 * Math.min(height, width)) continue;
    for (const factor of [28, 32]) {
      const [h, w] = sizes(height, width, factor);
      assert.ok(h % factor === 0 && w % factor === 0 && h > 0 && w > 0);
      assert.ok(h * w >= bounds.minPixels && h * w <= bounds.maxPixels, `${height}x${width} -> ${h}x${w}`);
    }
  }
});

test("qwen_vl's processor: what it cannot take is refused by a sentence", () => {
  const wrong = (fields: Json, pattern: RegExp): void =>
    assert.throws(
      () => qwenImageProcessor(fields),
      (e: FoveaError) => e.code === "invalid_config" && pattern.test(e.message),
    );
  wrong({ size: { shortest_edge: 3136 } }, /preprocessor_config.json: the field `size.longest_edge` is absent/);
  wrong({ size: 448 }, /the field `size` must be an object; it holds 448/);
  wrong({ min_pixels: "3136" }, /`min_pixels` holds "3136"; expected a whole number/);
  wrong({ max_pixels: 100 }, /`max_pixels` holds 100; expected at least as many .* 3136/);
  wrong({ size: { shortest_edge: 9000, longest_edge: 8000 } }, /`size` holds .* 9000/);
  wrong({ patch_size: 0 }, /`patch_size` holds 0/);
  wrong({ merge_size: 1.5 }, /`merge_size` holds 1.5/);
  wrong({ resample: 9 }, /`resample` holds 9/);
  const process = qwenImageProcessor({}).values;
  const refuses = (images: readonly PixelImage[], code: string, pattern: RegExp, p = process): void => {
    assert.throws(() => p(images), hasCode(code, pattern));
  };
  refuses([], "image.empty_batch", /at least one/);
  refuses([noise(1, 201, 1)], "image.shape", /201x1 pixels is more than 200 times as long as wide/);
  const raw = qwenImageProcessor({ do_resize: false }).values;
  refuses([noise(1, 56, 28), noise(1, 56, 30)], "image.shape", /Image 1 is 56x30 .* multiples of 28/, raw);
});
