/** LLaVA-NeXT: tiles of pictures, and which of their tokens the language model takes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readClipConfig } from "../../plugins/clip/config.ts";
import {
  bestResolution,
  countTokens,
  fittedSize,
  NEWLINE,
  pictureTiles,
  pictureTokens,
} from "../../plugins/clip/tile_geometry.ts";
import { parseTileProcessor, tileImageProcessor } from "../../plugins/clip/tile_processor.ts";
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { hasCode } from "../kit/assertions.ts";
import { fixture, noise } from "../media/media_kit.ts";
import { picture, processorConfig, processorTensors } from "../media/processor_kit.ts";
import { FIXTURES, type Json, openClip, readJson, towerOf } from "./model_kit.ts";

const CONFIG = readJson(join(FIXTURES, "llava_next/config.json"));
const tower = towerOf(openClip(CONFIG), "vision");

type Case = readonly [
  readonly [height: number, width: number, tile: number, side: number, resolutions: readonly [number, number][]],
  readonly number[],
];

test("resolutions, sizes inside of them and the patches that are kept are those of Hugging Face", async () => {
  const cases = JSON.parse(new TextDecoder().decode(await fixture("llava_next/tiles.json"))) as readonly Case[];
  assert.equal(cases.length, 200);
  for (const [[height, width, tile, side, tiles], expected] of cases) {
    const sides = { height, width };
    const resolutions = tiles.map(([rows, columns]) => ({ height: rows * tile, width: columns * tile }));
    const within = bestResolution(sides, resolutions);
    const fitted = fittedSize(sides, within);
    const [rows, columns] = expected.slice(4);
    const found = [within.height, within.width, fitted.height, fitted.width, rows, columns];
    assert.deepEqual(found, expected, `${height}x${width} in tiles of ${tile}`);
    const geometry = { resolutions, tile, side };
    const count = side * side + rows * (columns + 1);
    assert.equal(countTokens(sides, within, geometry), count);
    const tokens = pictureTokens(sides, within, 7, geometry);
    assert.equal(tokens.length, count);
    assert.equal(tokens.filter((token) => token === NEWLINE).length, rows);
    const own = tokens.filter((token) => token !== NEWLINE);
    assert.equal(new Set(own).size, own.length);
    // Of the picture's tiles, and none a class token.
    const perTile = side * side + 1;
    const last = (7 + pictureTiles(within, tile)) * perTile;
    assert.ok(own.every((token) => token >= 7 * perTile && token < last && token % perTile !== 0));
  }
});

test("tokens go through the tiles' patches row by row, behind the overview's", () => {
  const geometry = { resolutions: [], tile: 4, side: 2 };
  const within = { height: 4, width: 8 };
  assert.deepEqual(pictureTokens(within, within, 1, geometry), [
    ...[6, 7, 8, 9],
    ...[11, 12, 16, 17, NEWLINE],
    ...[13, 14, 18, 19, NEWLINE],
  ]);
  // One row of four is left of a picture that is a quarter as high as wide, none of one still lower.
  assert.equal(countTokens({ height: 2, width: 80 }, within, geometry), 4);
  assert.deepEqual(pictureTokens({ height: 2, width: 80 }, within, 0, geometry), [1, 2, 3, 4]);
});

test("a picture's tiles are those of Hugging Face's LlavaNextImageProcessor, overview first", async () => {
  const config = await processorConfig("llava_next");
  const images = await Promise.all(["coffee", "gray"].map(picture));
  const process = tileImageProcessor(config);
  const { pixel_values, image_sizes } = process.values(images);
  const expected = await processorTensors("llava_next/batch.safetensors.br");
  assert.deepEqual([...image_sizes.data], Array.from(expected.image_sizes.data, Number));
  const { tile, resolutions } = parseTileProcessor(config);
  // The reference fills up with zeros to the most tiles of a picture.
  const [, most] = expected.pixel_values.shape;
  const perTile = 3 * tile * tile;
  let at = 0;
  let worst = 0;
  for (const [i, image] of images.entries()) {
    const count = pictureTiles(bestResolution(image, resolutions), tile) * perTile;
    for (let k = 0; k < count; k++, at++) {
      const want = Number(expected.pixel_values.data[i * most * perTile + k]);
      worst = Math.max(worst, Math.abs(want - pixel_values.data[at]));
    }
  }
  assert.equal(at, pixel_values.data.length);
  // As f16.
  assert.ok(worst <= 1e-3, `${worst} apart`);
  assert.deepEqual(process.plan?.(images).shape, pixel_values.shape);
  assert.equal(process.bytes?.(images).pixel_values.dtype, "u8");
  // With a model's geometry also how many rows each picture has.
  const { feature_lens } = tileImageProcessor(config, "x.json", { resolutions, tile, side: 2 }).values(images);
  assert.deepEqual([feature_lens.shape, feature_lens.data.length], [[2], 2]);
});

test("llava_next's processor: defaults, spellings, refusals", () => {
  const found = parseTileProcessor({ size: 336, crop_size: 336 });
  assert.deepEqual([found.tile, found.filter, found.arithmetic], [336, "bicubic", "torchvision"]);
  assert.deepEqual(found.resolutions[4], { height: 336, width: 1008 });
  const small = { size: { shortest_edge: 8 }, crop_size: 8, image_grid_pinpoints: [[8, 16]] };
  assert.equal(parseTileProcessor({ image_processor: small }).tile, 8);
  assert.equal(parseTileProcessor({ ...small, size: { height: 8, width: 8 }, do_resize: false }).tile, 8);
  assert.equal(
    parseTileProcessor({ ...small, image_processor_type: "LlavaNextImageProcessorPil" }).arithmetic,
    "pillow",
  );
  const refuses = (fields: Json, says: RegExp): void =>
    assert.throws(() => parseTileProcessor({ ...small, ...fields }), hasCode("invalid_config", says));
  refuses({ size: { height: 8, width: 16 } }, /`size` holds .*; expected the side of a square tile/);
  refuses({ crop_size: 4 }, /`crop_size` holds 4; expected 8x8, the size of a tile/);
  for (const pinpoints of [[], 3, [[8]], [[8, 12]], [[8, 0]], [[8, 8 * 64]], [["8", 8]]]) {
    refuses(
      { image_grid_pinpoints: pinpoints },
      /expected lists of height and width, whole tiles of 8 pixels and fewer than 64 of them/,
    );
  }
  assert.throws(() => tileImageProcessor(small).values([]), { code: "image.empty_batch" });
  const other = { resolutions: [{ height: 8, width: 8 }], tile: 8, side: 2 };
  assert.throws(
    () => tileImageProcessor(small, "preprocessor_config.json", other),
    hasCode(
      "invalid_config",
      /`image_grid_pinpoints` is \[\[8,16\]\] and that of config.json \[\[8,8\]\]; expected equal/,
    ),
  );
});

test("llava_next config: LLaVA's with resolutions; the class token has no place among patches", () => {
  const found = readClipConfig({ model_type: "llava_next" });
  assert.deepEqual([found.vision?.imageSize, found.projector?.features, found.tiles?.side], [336, [23], 24]);
  assert.equal(found.tiles?.resolutions.length, 5);
  const refuses = (fields: Json, says: RegExp): void =>
    assert.throws(() => readClipConfig({ model_type: "llava_next", ...fields }), hasCode("invalid_config", says));
  refuses({ vision_feature_select_strategy: "full" }, /strategy` holds "full"; expected one of default/);
  refuses(
    { vision_config: { model_type: "siglip_vision_model" } },
    /`vision_config.model_type` holds "siglip_vision_model"; expected one of clip_vision_model/,
  );
  refuses(
    { image_grid_pinpoints: [[336, 500]] },
    /`image_grid_pinpoints` holds .*; expected lists of height and width/,
  );
});

const sizes = (...values: readonly number[]): Tensor => ({
  dtype: "i32",
  shape: [values.length / 2, 2],
  data: Int32Array.from(values),
});
const tiles = (count: number): Tensor => ({
  dtype: "f32",
  shape: [count, 3, 24, 24],
  data: Float32Array.from(noise(count, 24 * count, 24).data),
});

test("llava_next prepare: tiles and sizes of other pictures are refused", () => {
  const refuses = (inputs: Tensors, says: RegExp): void =>
    assert.throws(() => tower.prepare(inputs), hasCode("invalid_input", says));
  refuses({ pixel_values: tiles(4) }, /"image_sizes" is missing; give height and width of each picture before it was/);
  refuses(
    { pixel_values: tiles(4), image_sizes: sizes() },
    /"image_sizes" has shape \[0, 2\], expected \[pictures, 2\]/,
  );
  refuses(
    { pixel_values: tiles(4), image_sizes: sizes(0, 9) },
    /Picture 0 has 0x9 pixels by "image_sizes"; both sides/,
  );
  refuses(
    { pixel_values: tiles(4), image_sizes: sizes(48, 48) },
    /"image_sizes" tells of 5 tiles, overviews included, but "pixel_values" has 4; give the tiles of the same/,
  );
  refuses(
    { pixel_values: { ...tiles(4), shape: [4, 3, 12, 48] }, image_sizes: sizes(1, 9) },
    /has shape \[4, 3, 12, 48\], expected \[tiles, 3, 24, 24\]; cut pictures into tiles of 24x24 pixels first/,
  );
});

test("llava_next: requests are cut between pictures, and rows of results are counted by sizes", () => {
  const [split, resultRows] = [tower.split, tower.resultRows];
  assert.ok(split !== undefined && resultRows !== undefined);
  const inputs = { pixel_values: tiles(13), image_sizes: sizes(48, 48, 200, 30, 3, 200) };
  const parts = (limit: number): readonly number[] => split(inputs, limit).map((p) => p.pixel_values.shape[0]);
  assert.deepEqual([parts(64), parts(9), parts(8), parts(1)], [[13], [9, 4], [5, 8], [5, 4, 4]]);
  assert.equal(split(inputs, 64)[0], inputs);
  const [first, second] = split(inputs, 5);
  assert.deepEqual(second.pixel_values.data, inputs.pixel_values.data.subarray(5 * 1728, 9 * 1728));
  assert.deepEqual([...second.image_sizes.data], [200, 30]);
  // 9 of the overview, 6 rows of 6 patches with their ends; 9 rows of one; none.
  assert.deepEqual(resultRows(first), { projected: 9 + 6 * 7 });
  assert.deepEqual(resultRows(second), { projected: 9 + 9 * 2 });
  const rows = tower.prepare({ ...inputs }).token_index.shape;
  assert.deepEqual([rows, resultRows(inputs).projected], [[1, rows[1]], rows[1]]);
});

test("llava_next: the largest run's memory is that of tiles whose every patch is kept", () => {
  const most = tower.growth?.dims(3);
  assert.deepEqual([tower.growth?.symbol, most], ["batch", { batch: 3, rows: 3 * 3 * 4 }]);
  const example = tower.example({ batch: 2, seed: 1, size: [48, 48] });
  assert.deepEqual(
    [example.pixel_values.shape, [...example.image_sizes.data]],
    [
      [10, 3, 24, 24],
      [48, 48, 48, 48],
    ],
  );
  assert.deepEqual(tower.example({ batch: 1, seed: 1 }).pixel_values.shape, [3, 3, 24, 24]);
  const shapes = Object.fromEntries(Object.entries(tower.prepare(example)).map(([name, t]) => [name, t.shape]));
  const plan = tower.plan(shapes, ["projected"]);
  const { tag, instance, dims, inputs } = plan.calls[plan.calls.length - 1];
  assert.deepEqual([tag, instance, dims.batch], ["clip/vision.project_tiles", "", 10]);
  assert.deepEqual(Object.keys(inputs), ["features.0", "features.1", "token_index", "is_newline"]);
});
