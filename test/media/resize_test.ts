import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image } from "../../runtime/media/image.ts";
import { cropImage, type ResizeFilter, resizeImage } from "../../runtime/media/resize.ts";
import { decode, fixture, fnv, noise } from "./media_kit.ts";

/** The order in which resize_pillow.bin holds what Pillow 12.3 makes of resize_source.png, and the sizes by filter. */
const FILTERS: readonly ResizeFilter[] = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"];
const SIZES = [
  [11, 7],
  [50, 29],
  [37, 9],
  [5, 23],
  [1, 1],
  [64, 3],
] as const;

for (const [f, filter] of FILTERS.entries()) {
  test(`${filter} has Pillow's pixels, larger and smaller`, async () => {
    const source = await decode(await fixture("resize_source.png"));
    const expected = await fixture("resize_pillow.bin");
    const bytesOf = ([width, height]: readonly [number, number]): number => width * height * 3;
    const each = SIZES.reduce((sum, size) => sum + bytesOf(size), 0);
    let at = f * each;
    for (const size of SIZES) {
      const resized = resizeImage(source, size[0], size[1], { filter, arithmetic: "pillow" });
      const bytes = bytesOf(size);
      assert.deepEqual(resized.data, expected.subarray(at, at + bytes), size.join("x"));
      at += bytes;
    }
  });
}

test("lanczos has torchvision's pixels", async () => {
  const source = await decode(await fixture("resize_source.png"));
  const hash = (width: number, height: number): number =>
    fnv(resizeImage(source, width, height, { filter: "lanczos" }).data);
  // Of torchvision 0.28, antialiased.
  assert.deepEqual(
    [hash(11, 7), hash(50, 29), hash(5, 23), hash(64, 3)],
    [0xa9336058, 0x75e52cfb, 0x8daf5b21, 0x3bd31127],
  );
});

test("nearest rounds the middles of pixels as torchvision does, and as Pillow", async () => {
  const source = await decode(await fixture("astronaut.png"));
  const hashes = (width: number): readonly number[] =>
    (["torchvision", "pillow"] as const).map((arithmetic) =>
      fnv(resizeImage(source, width, 40, { filter: "nearest", arithmetic }).data),
    );
  // Of torchvision 0.28 (nearest-exact) and Pillow 12.3.
  assert.deepEqual(hashes(7), [0x54f2d12c, 0x717796a4]);
  assert.deepEqual(hashes(14), [0xdc0e9366, 0x88ab549e]);
});

test("torchvision's arithmetic is at most one grey level from Pillow's, and differs", () => {
  const source = noise(1, 71, 53);
  for (const filter of ["bilinear", "bicubic"] as const) {
    let differing = 0;
    for (const [width, height] of [
      [30, 22],
      [140, 99],
    ]) {
      const a = resizeImage(source, width, height, { filter });
      const b = resizeImage(source, width, height, { filter, arithmetic: "pillow" });
      a.data.forEach((v, i) => {
        const apart = Math.abs(v - b.data[i]);
        assert.ok(apart <= 1, `${filter} ${i}: ${v} and ${b.data[i]}`);
        differing += apart;
      });
    }
    assert.ok(differing > 0);
  }
});

test("a region has the pixels of the whole", () => {
  const source = noise(2, 61, 47);
  for (const filter of FILTERS) {
    for (const [width, height] of [
      [33, 21],
      [100, 90],
      [61, 20],
      [20, 47],
      [61, 47],
    ]) {
      const region = { x: 3, y: 5, width: width - 9, height: height - 6 };
      const whole = resizeImage(source, width, height, { filter });
      const part = resizeImage(source, width, height, { filter, region });
      assert.deepEqual(part, cropImage(whole, region), `${filter} ${width}x${height}`);
    }
  }
});

test("a flat image stays flat, whatever the filter", () => {
  const flat: Image = { width: 17, height: 31, channels: 3, data: new Uint8Array(17 * 31 * 3).fill(200) };
  for (const filter of FILTERS) {
    for (const [width, height] of [
      [5, 5],
      [224, 3],
      [1, 400],
    ]) {
      const resized = resizeImage(flat, width, height, { filter });
      assert.ok(
        resized.data.every((v) => v === 200),
        `${filter} ${width}x${height}`,
      );
    }
  }
});

test("a long thin image is resized without its whole width in memory", () => {
  const thin = noise(3, 20000, 1);
  const height = 224;
  const width = 20000 * height;
  const region = { x: width / 2 - 112, y: 0, width: 224, height };
  const resized = resizeImage(thin, width, height, { filter: "bicubic", region });
  assert.equal(resized.data.length, 224 * 224 * 3);
  // Two source pixels are spread over the region, so neighbours along x are close and all rows equal.
  assert.deepEqual(resized.data.subarray(0, 672), resized.data.subarray(672 * 223));
});

test("sizes and regions that cannot be are refused", () => {
  const image = noise(4, 5, 5);
  for (const [width, height] of [
    [0, 4],
    [4, -1],
    [1.5, 2],
    [Number.NaN, 2],
  ]) {
    assert.throws(() => resizeImage(image, width, height, { filter: "bicubic" }), {
      code: "image.shape",
      message: /An image of 5x5 pixels cannot be resized to .*; both sides must be whole numbers from 1/,
    });
  }
  const region = { x: 1, y: 0, width: 4, height: 4 };
  assert.throws(() => resizeImage(image, 4, 4, { filter: "box", region }), {
    code: "image.region",
    message: /The region 4x4 at \(1, 0\) does not lie inside an image of 4x4 pixels/,
  });
  assert.throws(() => cropImage(image, { x: 0, y: 0, width: 0, height: 1 }), { code: "image.region" });
});
