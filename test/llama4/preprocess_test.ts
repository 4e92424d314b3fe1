import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bestCanvas,
  llama4ImageProcessor,
  parseLlama4Processor,
  sizeOnCanvas,
} from "../../plugins/llama4/preprocess.ts";
import type { Json } from "../kit/tower_fixtures.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { assertProcessed, picture, processorConfig } from "../media/processor_kit.ts";

test("llama4: tiles and aspect ratios are those of Llama4ImageProcessor, bit for bit", async () => {
  const process = llama4ImageProcessor(await processorConfig("llama4")).values;
  for (const name of ["astronaut", "gray"]) await assertProcessed(process([await picture(name)]), "llama4", name, 0);
});

test("llama4-max-canvas: several images follow each other, each with its overview, as it is alone", async () => {
  const process = llama4ImageProcessor(await processorConfig("llama4-max-canvas")).values;
  const images = [await picture("coffee"), await picture("gray")];
  const both = process(images);
  await assertProcessed(both, "llama4-max-canvas", "batch", 0);
  const alone = images.map((image) => process([image]));
  for (const name of ["pixel_values", "aspect_ratios"]) {
    const rows = alone.flatMap((one) => [...one[name].data]);
    assert.deepEqual(Array.from(both[name].data), rows, name);
  }
});

type Canvas = readonly [
  readonly [height: number, width: number, tile: number, maxTiles: number, toMaxCanvas: number],
  readonly [rows: number, columns: number, height: number, width: number],
];

test("llama4 processor: 600 canvases and sizes are the reference's", async () => {
  const json = new TextDecoder().decode(await fixture("llama4-max-canvas/canvases.json"));
  const canvases = JSON.parse(json) as readonly Canvas[];
  assert.equal(canvases.length, 600);
  for (const [[height, width, tile, maxTiles, most], [rows, columns, ...size]] of canvases) {
    const config = { ...parseLlama4Processor({}), tile, maxTiles, toMaxCanvas: most === 1 };
    const grid = bestCanvas({ height, width }, config);
    assert.deepEqual(grid, { rows, columns }, `${height}x${width} in ${maxTiles} of ${tile}`);
    const found = sizeOnCanvas({ height, width }, grid, config);
    assert.deepEqual([found.height, found.width], size, `${height}x${width} in ${maxTiles} of ${tile}`);
  }
});

test("llama4 processor: defaults, one step alone, nested configurations", () => {
  const { values, ...rest } = parseLlama4Processor({});
  assert.deepEqual(rest, { tile: 336, maxTiles: 16, toMaxCanvas: false, filter: "bilinear" });
  assert.equal(values.rescaleFactor, 1 / 255);
  const nested = { image_processor: { size: { height: 20, width: 20 }, max_patches: 3 } };
  assert.deepEqual([parseLlama4Processor(nested).tile, parseLlama4Processor(nested).maxTiles], [20, 3]);
  const plain = llama4ImageProcessor({ size: 8, do_normalize: false, max_patches: 1 }).values;
  const { pixel_values } = plain([{ width: 8, height: 8, channels: 3, data: new Uint8Array(192).fill(51) }]);
  assert.deepEqual(new Set(pixel_values.data), new Set([Math.fround(51 * Math.fround(1 / 255))]));
  assert.throws(() => plain([]), { code: "image.empty_batch" });
});

test("llama4 processor: very wide and very small images have tiles", () => {
  const process = llama4ImageProcessor({ size: 8, max_patches: 4 }).values;
  const { pixel_values, aspect_ratios } = process([noise(1, 200, 1), noise(2, 1, 1)]);
  assert.deepEqual([...aspect_ratios.data], [1, 4, 1, 1]);
  assert.deepEqual(pixel_values.shape, [4 + 1 + 1, 3, 8, 8]);
});

test("llama4 processor: wrong configurations name the field", () => {
  const refuses = (config: Json, message: RegExp): void =>
    assert.throws(() => llama4ImageProcessor(config), { code: "invalid_config", message });
  refuses({ size: { height: 30, width: 40 } }, /`size` holds .*; expected { height, width } of a square tile/);
  refuses({ size: { shortest_edge: 30 } }, /`size` holds .* square tile/);
  refuses({ do_resize: false }, /`do_resize` holds false; expected true/);
  refuses({ max_patches: 0 }, /`max_patches` holds 0; expected a whole number from 1 to 256/);
  refuses({ resize_to_max_canvas: "no" }, /`resize_to_max_canvas` holds "no"/);
});
