import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import { vitPlugin } from "../../plugins/vit/plugin.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { rgbImage } from "../../runtime/media/image.ts";
import {
  HALF,
  type ImageProcessorDefaults,
  imageProcessor,
  type PixelTensors,
  parseImageProcessor,
} from "../../runtime/media/image_processor.ts";
import { resizePlanes } from "../../runtime/media/resize_float.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { FIXTURES, readJson } from "../kit/tower_fixtures.ts";
import { decode, fixture, noise } from "./media_kit.ts";

const SQUARE: ImageProcessorDefaults = {
  size: { height: 20, width: 24 },
  plainSize: "square",
  filter: "bilinear",
  mean: HALF,
  std: HALF,
};
const FLOATS: ImageProcessorDefaults = { ...SQUARE, resizesFloats: true };

const CASES: readonly (readonly [Plugin, string, string])[] = [
  [vitPlugin, "vit", "astronaut"],
  [vitPlugin, "deit", "astronaut"],
  [dinoPlugin, "dinov2", "coffee"],
  [dinoPlugin, "dinov3", "astronaut"],
  [dinoPlugin, "dinov3", "coffee"],
];

for (const [plugin, folder, name] of CASES) {
  test(`${name} is preprocessed as ${folder}'s processor does`, async () => {
    const config = readJson(join(FIXTURES, "preprocess", folder, "preprocessor_config.json"));
    const processor = plugin.encoders?.[0].imageProcessors?.[config.image_processor_type as string];
    assert.ok(processor !== undefined);
    const { pixel_values } = processor(config)([await decode(await fixture(`${name}.png`))]);
    const expected = readSafetensors(join(FIXTURES, "preprocess", folder, `${name}.safetensors.br`)).get(
      "pixel_values",
    );
    assert.deepEqual(pixel_values.shape, expected?.shape);
    // Nothing but the rounding to float16 is left: no pixel is a grey level off.
    expected?.data.forEach((value, i) => {
      assert.ok(Math.abs(pixel_values.data[i] - value) < 2 ** -10, `element ${i}`);
    });
  });
}

test("a plain number as size means what the class says", () => {
  const size = (plainSize: "square" | "shortest_edge"): unknown =>
    parseImageProcessor({ size: 32 }, { ...SQUARE, plainSize }).size;
  assert.deepEqual(size("square"), { height: 32, width: 32 });
  assert.deepEqual(size("shortest_edge"), { shortestEdge: 32 });
});

test("a class without a crop crops only when it is told to, and then needs the size", () => {
  assert.equal(parseImageProcessor({}, SQUARE).cropSize, undefined);
  assert.equal(parseImageProcessor({ crop_size: 8 }, SQUARE).cropSize, undefined);
  assert.deepEqual(parseImageProcessor({ crop_size: 8, do_center_crop: true }, SQUARE).cropSize, {
    height: 8,
    width: 8,
  });
  assert.throws(() => parseImageProcessor({ do_center_crop: true }, SQUARE), {
    code: "invalid_config",
    message: /`crop_size` holds nothing; expected a number, \[height, width\] or \{ height, width \}/,
  });
});

test("a class that resizes floats takes the two filters that floats have", () => {
  assert.equal(parseImageProcessor({ resample: 3 }, FLOATS).filter, "bicubic");
  assert.throws(() => parseImageProcessor({ resample: 1 }, FLOATS), {
    message: /`resample` holds 1; expected 2 \(bilinear\) or 3 \(bicubic\)/,
  });
});

/** `steps` alone, without resize. */
const values = (config: object, width: number, height: number): PixelTensors =>
  imageProcessor(FLOATS)({ do_resize: false, do_rescale: false, do_normalize: false, ...config }).values([
    noise(7, width, height),
  ]);

test("floats are within half a grey level of the rounded resize, and are not rounded", () => {
  const image = noise(3, 61, 47);
  const off = { do_rescale: false, do_normalize: false };
  for (const resample of [2, 3]) {
    const floats = imageProcessor(FLOATS)({ ...off, resample }).values([image]).pixel_values;
    const bytes = imageProcessor(SQUARE)({ ...off, resample }).values([image]).pixel_values;
    assert.deepEqual(floats.shape, [1, 3, 20, 24]);
    // Two roundings to 8 bits, one after each pass.
    floats.data.forEach((v, i) => {
      assert.ok(Math.abs(Math.min(255, Math.max(0, v)) - bytes.data[i]) < 1.5, `element ${i}`);
    });
    assert.ok(floats.data.some((v) => v !== Math.round(v)));
  }
});

test("floats are rescaled, normalised, cropped in the middle and padded with black", () => {
  const image = noise(7, 6, 5);
  const sample = (c: number, y: number, x: number): number => image.data[(y * 6 + x) * 3 + c];
  const plain = values({}, 6, 5).pixel_values;
  assert.deepEqual(plain.shape, [1, 3, 5, 6]);
  assert.equal(plain.data[30 + 6 * 2 + 4], sample(1, 2, 4));
  const scaled = values({ do_rescale: true, do_normalize: true }, 6, 5).pixel_values;
  assert.ok(Math.abs(scaled.data[60 + 3] - (sample(2, 0, 3) / 255 - 0.5) / 0.5) < 1e-6);
  const cropped = values({ do_center_crop: true, crop_size: { height: 3, width: 2 } }, 6, 5).pixel_values;
  assert.deepEqual(cropped.shape, [1, 3, 3, 2]);
  assert.deepEqual(Array.from(cropped.data.subarray(0, 2)), [sample(0, 1, 2), sample(0, 1, 3)]);
  const padded = values({ do_center_crop: true, crop_size: 8 }, 6, 5).pixel_values;
  assert.deepEqual([padded.data[0], padded.data[8 + 1], padded.data[8 + 7]], [0, sample(0, 0, 0), 0]);
});

test("floats resize a flat image to itself, and a ramp keeps its mean", () => {
  const flat = resizePlanes(rgbImage(9, 7, new Uint8Array(189).fill(100)), 4, 13, "bicubic");
  assert.ok(flat.data.every((v) => Math.abs(v - 100) < 1e-4));
  const ramp = rgbImage(
    8,
    1,
    Uint8Array.from({ length: 24 }, (_, i) => 30 * Math.floor(i / 3)),
  );
  const half = resizePlanes(ramp, 4, 1, "bilinear");
  assert.ok(Math.abs(half.data.subarray(0, 4).reduce((a, v) => a + v, 0) / 4 - 105) < 1e-4);
});

test("a resized float image beyond the limit is refused even when a crop follows", () => {
  const wide = imageProcessor(FLOATS)({ size: { shortest_edge: 8192 }, do_center_crop: true, crop_size: 8 }).values;
  assert.throws(() => wide([noise(1, 3, 2)]), {
    code: "image.too_large",
    message: /would be resized to .*; crop it, or set do_center_crop in preprocessor_config\.json\./,
  });
});
