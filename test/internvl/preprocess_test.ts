import assert from "node:assert/strict";
import { test } from "node:test";
import { bestGrid, internVLImageProcessor, parseInternVLProcessor } from "../../plugins/internvl/preprocess.ts";
import { qwenImageProcessor } from "../../plugins/qwen_vl/preprocess.ts";
import { writePlanes } from "../../runtime/media/pixels.ts";
import { cropImage, resizeImage } from "../../runtime/media/resize.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { assertTensors, cropsOf, type PictureCrop, processorConfig, processorTensors } from "../media/processor_kit.ts";

const readJson = async (path: string): Promise<unknown> => JSON.parse(new TextDecoder().decode(await fixture(path)));

for (const [folder, make] of [
  ["internvl", internVLImageProcessor],
  ["internvl-few", internVLImageProcessor],
  ["internvl-whole", internVLImageProcessor],
  ["qwen2_vl-tiny", qwenImageProcessor],
] as const) {
  test(`${folder}: wide, tall and small pictures are processed as the reference does`, async () => {
    const { values } = make(await processorConfig(folder));
    const calls = (await readJson(`${folder}/images.json`)) as Readonly<Record<string, readonly PictureCrop[]>>;
    const expected = await processorTensors(`${folder}/images.safetensors.br`);
    for (const [name, crops] of Object.entries(calls)) {
      assertTensors(values(await cropsOf(crops)), expected, `${name}.`, 2 ** -10);
    }
  });
}

type Canvas = readonly [
  height: number,
  width: number,
  tile: number,
  minTiles: number,
  maxTiles: number,
  rows: number,
  columns: number,
];

test("internvl processor: tiles that are not square are cut one by one", () => {
  const size = { height: 12, width: 20 };
  const { bytes } = internVLImageProcessor({ size, crop_to_patches: true, max_patches: 6 });
  const image = noise(3, 90, 40);
  const { rows, columns } = bestGrid(image, parseInternVLProcessor({ size, crop_to_patches: true, max_patches: 6 }));
  assert.ok(rows * columns > 1);
  const found = bytes?.([image]).pixel_values;
  assert.deepEqual(found?.shape, [rows * columns + 1, 3, 12, 20]);
  const options = { filter: "bicubic", arithmetic: "torchvision" } as const;
  const stretched = resizeImage(image, 20 * columns, 12 * rows, options);
  const tiles = Array.from({ length: rows * columns }, (_, i) =>
    cropImage(stretched, { x: (i % columns) * 20, y: Math.floor(i / columns) * 12, ...size }),
  );
  const expected = new Uint8Array(found?.data.length ?? 0);
  for (const [i, tile] of [...tiles, resizeImage(image, 20, 12, options)].entries())
    writePlanes(tile, expected, i * 720);
  assert.deepEqual(found?.data, expected);
});

test("internvl processor: 406 grids of tiles are the reference's", async () => {
  const canvases = (await readJson("internvl/canvases.json")) as readonly Canvas[];
  assert.equal(canvases.length, 406);
  for (const [height, width, tile, min_patches, max_patches, rows, columns] of canvases) {
    const config = parseInternVLProcessor({ size: tile, min_patches, max_patches });
    assert.deepEqual(bestGrid({ height, width }, config), { rows, columns }, `${height}x${width} of ${tile}`);
  }
});

test("internvl processor: tiles count from the top left, row by row, then comes the thumbnail", () => {
  const image = noise(1, 24, 12);
  const plain = { size: 12, crop_to_patches: true, do_rescale: false, do_normalize: false };
  const { pixel_values, num_patches } = internVLImageProcessor(plain).values([image]);
  assert.deepEqual([pixel_values.shape, [...num_patches.data]], [[3, 3, 12, 12], [3]]);
  for (let i = 0; i < 2 * 3 * 144; i++) {
    const [tile, channel, y, x] = [Math.floor(i / 432), Math.floor(i / 144) % 3, Math.floor(i / 12) % 12, i % 12];
    assert.equal(pixel_values.data[i], image.data[(y * 24 + tile * 12 + x) * 3 + channel]);
  }
});

test("internvl processor: the whole model's processor cuts tiles, the image processor alone where it is told to", () => {
  assert.equal(parseInternVLProcessor({}).crops, false);
  assert.equal(parseInternVLProcessor({ crop_to_patches: true }).crops, true);
  const published = { crop_to_patches: false, processor_class: "InternVLProcessor" };
  assert.equal(parseInternVLProcessor(published).crops, true);
  const nested = { processor_class: "InternVLProcessor", image_processor: { size: { height: 16, width: 16 } } };
  const { crops, tile, minTiles, maxTiles, filter, arithmetic } = parseInternVLProcessor(nested);
  assert.deepEqual(
    [crops, tile, minTiles, maxTiles, filter, arithmetic],
    [true, { height: 16, width: 16 }, 1, 12, "bicubic", "torchvision"],
  );
});

test("internvl processor: wrong configurations and empty batches are named", () => {
  const refuses = (config: unknown, message: RegExp): void =>
    assert.throws(() => internVLImageProcessor(config), { code: "invalid_config", message });
  refuses({ do_resize: false }, /`do_resize` holds false; expected true/);
  refuses({ size: { shortest_edge: 9 } }, /`size` holds .* \{ height, width \} of a tile/);
  refuses({ min_patches: 4, max_patches: 3 }, /`max_patches` holds 3; expected at least min_patches, 4/);
  refuses({ max_patches: 0 }, /`max_patches` holds 0; expected a whole number from 1 to 256/);
  refuses({ crop_to_patches: "yes" }, /`crop_to_patches` holds "yes"/);
  assert.throws(() => internVLImageProcessor({}).values([]), {
    code: "image.empty_batch",
    message: "No image was given to preprocess; expected at least one.",
  });
});
