import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pixtralPlugin } from "../../plugins/pixtral/plugin.ts";
import { parsePixtralProcessor, pixtralImageProcessor, pixtralSize } from "../../plugins/pixtral/preprocess.ts";
import { FIXTURES, type Json, openModelOf, readJson } from "../kit/tower_fixtures.ts";
import { noise } from "../media/media_kit.ts";
import { assertProcessed, picture, processorConfig } from "../media/processor_kit.ts";

/** Nothing but the rounding to float16 of values up to 2.2 is left: no pixel is a grey level off. */
const HALF_STEP = 2 ** -10;

test("pixtral processor: pictures and a padded batch are those of PixtralImageProcessor", async () => {
  const process = pixtralImageProcessor(await processorConfig("pixtral")).values;
  const names = ["astronaut", "coffee", "gray"];
  const pictures = await Promise.all(names.map(picture));
  const batch = process(pictures);
  await assertProcessed(batch, "pixtral", "batch", HALF_STEP);
  // The reference gives for a picture alone what the batch holds of it before the padding.
  for (const [i, image] of pictures.entries()) {
    const { pixel_values: alone, image_sizes } = process([image]);
    const [height, width] = batch.image_sizes.data.subarray(2 * i, 2 * i + 2);
    assert.deepEqual(
      [alone.shape, [...image_sizes.data]],
      [
        [1, 3, height, width],
        [height, width],
      ],
      names[i],
    );
    const [, , rows, columns] = batch.pixel_values.shape;
    const lines = Array.from({ length: 3 * height }, (_, at) => {
      const from = ((3 * i + Math.floor(at / height)) * rows + (at % height)) * columns;
      return batch.pixel_values.data.subarray(from, from + width);
    });
    assert.deepEqual(
      Array.from(alone.data),
      lines.flatMap((line) => [...line]),
      names[i],
    );
  }
});

test("pixtral processor: sides shrink to fit and are rounded up to whole patches", () => {
  const config = parsePixtralProcessor({});
  assert.deepEqual(
    [config.most, config.patch, config.filter],
    [{ height: 1024, width: 1024 }, { height: 16, width: 16 }, "bicubic"],
  );
  const size = (height: number, width: number): readonly number[] => {
    const found = pixtralSize({ height, width }, config);
    return [found.height, found.width];
  };
  assert.deepEqual(size(16, 17), [16, 32]);
  assert.deepEqual(size(1024, 1024), [1024, 1024]);
  assert.deepEqual(size(2048, 1000), [1024, 512]);
  assert.deepEqual(size(1, 5000), [16, 1024]);
  // 1000 / (3000 / 1024) = 341.3
  assert.deepEqual(size(3000, 1000), [1024, 352]);
});

test("pixtral processor: spellings of sizes, and the squares of the model", () => {
  const patch = (json: Json, step?: number): unknown => parsePixtralProcessor(json, step).patch;
  assert.deepEqual(patch({ patch_size: 14 }), { height: 14, width: 14 });
  assert.deepEqual(patch({ patch_size: { height: 12, width: 14 } }), { height: 12, width: 14 });
  assert.deepEqual(patch({ patch_size: 14 }, 28), { height: 28, width: 28 });
  const most = (size: unknown): unknown => parsePixtralProcessor({ size }).most;
  assert.deepEqual(most({ longest_edge: 1540 }), { height: 1540, width: 1540 });
  assert.deepEqual(most({ height: 100, width: 200 }), { height: 100, width: 200 });
  const nested = parsePixtralProcessor({ image_processor: { size: { longest_edge: 60 }, resample: 2 } });
  assert.deepEqual([nested.most.height, nested.filter], [60, "bilinear"]);
  const model = openModelOf(pixtralPlugin, readJson(join(FIXTURES, "pixtral-merge/config.json")));
  const { images } = model.processors({ "preprocessor_config.json": { patch_size: 8, size: { longest_edge: 40 } } });
  assert.deepEqual(images?.([noise(1, 30, 20)]).pixel_values.shape, [1, 3, 32, 32]);
  assert.deepEqual(model.processors({}), {});
});

test("pixtral processor: images that are not resized keep their sizes", () => {
  const process = pixtralImageProcessor({ do_resize: false, do_normalize: false }).values;
  const { pixel_values, image_sizes } = process([noise(1, 5, 3), noise(2, 2, 4)]);
  assert.deepEqual(
    [pixel_values.shape, [...image_sizes.data]],
    [
      [2, 3, 4, 5],
      [3, 5, 4, 2],
    ],
  );
  // Beside and below the second image there are zeros.
  const plane = pixel_values.data.subarray(60, 80);
  assert.deepEqual([...plane.subarray(2, 5)], [0, 0, 0]);
  assert.throws(() => process([]), { code: "image.empty_batch" });
});

test("pixtral processor: wrong configurations name the field", () => {
  const refuses = (config: Json, message: RegExp): void =>
    assert.throws(() => pixtralImageProcessor(config), { code: "invalid_config", message });
  refuses({ size: { longest_edge: 0 } }, /`size.longest_edge` holds 0/);
  refuses({ size: { height: 20 } }, /`size.width` is absent/);
  refuses({ size: "large" }, /`size` holds "large"/);
  refuses({ patch_size: [16, 16] }, /`patch_size` must be an object; it holds \[16,16\]/);
  refuses({ do_center_crop: true, crop_size: 20 }, /`do_center_crop` holds true; expected false/);
  refuses({ image_std: [1, 0, 1] }, /`image_std` holds \[1,0,1\]/);
});
