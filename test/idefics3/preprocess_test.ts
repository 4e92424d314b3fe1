import assert from "node:assert/strict";
import { test } from "node:test";
import {
  edgeSize,
  idefics3ImageProcessor,
  parseIdefics3Processor,
  tiledSize,
} from "../../plugins/idefics3/preprocess.ts";
import { resizeImage } from "../../runtime/media/resize.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { assertProcessed, picture, processorConfig } from "../media/processor_kit.ts";

const PICTURES: Readonly<Record<string, readonly string[]>> = {
  smolvlm: ["astronaut", "coffee", "gray"],
  "idefics3-whole": ["coffee", "gray"],
};

for (const [folder, names] of Object.entries(PICTURES)) {
  test(`${folder}: pictures are processed as the reference does`, async () => {
    const { values } = idefics3ImageProcessor(await processorConfig(folder));
    await assertProcessed(values(await Promise.all(names.map(picture))), folder, "batch", 2 ** -11);
  });
}

type Sizes = readonly [given: readonly number[], found: readonly number[]];

test("idefics3 processor: 300 sizes of pictures and their tiles are the reference's", async () => {
  const sizes = JSON.parse(new TextDecoder().decode(await fixture("smolvlm/sizes.json"))) as readonly Sizes[];
  assert.equal(sizes.length, 300);
  for (const [[height, width, edge, tile], want] of sizes) {
    const first = edgeSize({ height, width }, edge);
    const second = tiledSize(first, tile);
    const found = [first.height, first.width, second.height, second.width];
    assert.deepEqual(found, want, `${height}x${width} to ${edge} in tiles of ${tile}`);
  }
});

const PLAIN = { do_rescale: false, do_normalize: false };

test("idefics3 processor: tiles count from the top left, row by row, then comes the whole picture", () => {
  const image = noise(1, 24, 12);
  const plain = { ...PLAIN, size: { longest_edge: 24 }, max_image_size: { longest_edge: 12 } };
  const { pixel_values, rows, cols } = idefics3ImageProcessor(plain).values([image]);
  assert.deepEqual([pixel_values.shape, [...rows.data], [...cols.data]], [[3, 3, 12, 12], [1], [2]]);
  const small = resizeImage(image, 12, 12, { filter: "lanczos" });
  for (let i = 0; i < 3 * 3 * 144; i++) {
    const [tile, channel, y, x] = [Math.floor(i / 432), Math.floor(i / 144) % 3, Math.floor(i / 12) % 12, i % 12];
    const whole = tile === 2;
    const at = whole ? y * 12 + x : y * 24 + tile * 12 + x;
    assert.equal(pixel_values.data[i], (whole ? small : image).data[at * 3 + channel]);
  }
});

test("idefics3 processor: one tile is the whole picture, and has no rows and columns", () => {
  const image = noise(2, 31, 17);
  const tile = { longest_edge: 16 };
  const twice = (first: readonly [number, number]): Uint8Array =>
    resizeImage(resizeImage(image, ...first, { filter: "lanczos" }), 16, 16, { filter: "lanczos" }).data;
  for (const [config, first] of [
    [{ size: { longest_edge: 16 }, max_image_size: tile }, [16, 8]],
    [{ size: { longest_edge: 40 }, max_image_size: tile, do_image_splitting: false }, [40, 22]],
    [{ size: { height: 9, width: 50 }, max_image_size: tile, do_image_splitting: false }, [50, 9]],
    [{ size: 20, max_image_size: tile, do_image_splitting: false }, [20, 20]],
  ] as const) {
    const { pixel_values, rows, cols } = idefics3ImageProcessor({ ...PLAIN, ...config }).values([image]);
    assert.deepEqual([pixel_values.shape, [...rows.data], [...cols.data]], [[1, 3, 16, 16], [0], [0]]);
    const want = twice(first);
    assert.ok(pixel_values.data.every((v, i) => v === want[(i % 256) * 3 + Math.floor(i / 256)]));
  }
  const { pixel_values } = idefics3ImageProcessor({ ...PLAIN, do_resize: false, max_image_size: tile }).values([image]);
  assert.deepEqual(pixel_values.shape, [5, 3, 16, 16]);
});

test("idefics3 processor: defaults, and a configuration inside of the whole processor's", () => {
  assert.deepEqual(parseIdefics3Processor({}), {
    ...{ size: 1456, tile: 364, splits: true, filter: "lanczos", arithmetic: "torchvision" },
    values: { rescaleFactor: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  const own = { image_processor_type: "Idefics3ImageProcessorPil", size: { longest_edge: 40 }, resample: 3 };
  const { size, filter, arithmetic } = parseIdefics3Processor({ image_processor: own });
  assert.deepEqual([size, filter, arithmetic], [40, "bicubic", "pillow"]);
});

test("idefics3 processor: wrong configurations and empty batches are named", () => {
  const refuses = (config: unknown, message: RegExp): void =>
    assert.throws(() => idefics3ImageProcessor(config), { code: "invalid_config", message });
  refuses({ size: { shortest_edge: 9 } }, /`size` holds .* expected \{ longest_edge \} or \{ height, width \}/);
  refuses({ size: { longest_edge: 0 } }, /`size.longest_edge` holds 0; expected a whole number from 1 to 8192/);
  refuses({ max_image_size: 364 }, /`max_image_size` holds 364; expected \{ longest_edge \} of a square tile/);
  refuses({ max_image_size: { height: 9, width: 9 } }, /`max_image_size` holds .* of a square tile/);
  refuses({ do_image_splitting: "yes" }, /`do_image_splitting` holds "yes"/);
  refuses(
    { do_center_crop: true, crop_size: 9 },
    /`do_center_crop` holds true; expected false; this model takes whole pictures/,
  );
  assert.throws(() => idefics3ImageProcessor({}).values([]), {
    code: "image.empty_batch",
    message: "No image was given to preprocess; expected at least one.",
  });
});
