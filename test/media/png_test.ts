import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { hash32 } from "../../runtime/core/random.ts";
import { DEFAULT_MAX_PIXELS } from "../../runtime/media/decode.ts";
import { decode, fnv, refuses } from "./media_kit.ts";
import { chunk, concat, header, type PngShape, pixelStream, SIGNATURE, wrapPng, writePng } from "./png_writer.ts";

const WIDTH = 29;
const HEIGHT = 21;

/** Colour type, depth, and the FNV-1a digest of the pixels that Pillow 12.3 returns from `convert("RGB")`. */
const PILLOW: readonly (readonly [number, number, number])[] = [
  [0, 1, 0x8dcca042],
  [0, 2, 0x95660fbe],
  [0, 4, 0xaa03c788],
  [0, 8, 0x4956d4e4],
  [0, 16, 0xffa4e588],
  [2, 8, 0xaae8319e],
  [2, 16, 0xd174e610],
  [3, 1, 0xfceb1c40],
  [3, 2, 0x8f976e50],
  [3, 4, 0x8a5ae467],
  [3, 8, 0xc07bdc3f],
  [4, 8, 0xae67a93b],
  [4, 16, 0x90d800e7],
  [6, 8, 0x536dcf73],
  [6, 16, 0xf3356a38],
];

function sampler(colorType: number, depth: number): (x: number, y: number, c: number) => number {
  return (x, y, c) => hash32(depth * 10 + colorType, (y * WIDTH + x) * 4 + c) % 2 ** depth;
}

/** With 8 bits the palette is shorter than the indices reach. */
function shapeOf(colorType: number, depth: number, interlaced: boolean): PngShape {
  const shape = { width: WIDTH, height: HEIGHT, colorType, depth, interlaced };
  if (colorType !== 3) return shape;
  return {
    ...shape,
    palette: Uint8Array.from({ length: 3 * Math.min(200, 2 ** depth) }, (_, i) => hash32(99, i) & 255),
  };
}

for (const [colorType, depth, digest] of PILLOW) {
  test(`PNG colour type ${colorType} with ${depth} bits becomes RGB as Pillow converts it, interlaced or not`, async () => {
    for (const interlaced of [false, true]) {
      const file = writePng(shapeOf(colorType, depth, interlaced), sampler(colorType, depth));
      const image = await decode(file);
      assert.deepEqual([image.width, image.height, image.channels], [WIDTH, HEIGHT, 3]);
      assert.equal(fnv(image.data), digest, `interlaced: ${interlaced}`);
    }
  });
}

test("small interlaced images, where passes are empty, hold the same pixels", async () => {
  for (let width = 1; width <= 9; width++) {
    for (const height of [1, 2, 3, 5, 9]) {
      for (const [colorType, depth] of [
        [0, 1],
        [2, 8],
        [0, 16],
      ]) {
        const shape = { width, height, colorType, depth };
        const plain = await decode(writePng(shape, sampler(colorType, depth)));
        const laced = await decode(writePng({ ...shape, interlaced: true }, sampler(colorType, depth)));
        assert.deepEqual(laced, plain, `${width}x${height}, type ${colorType}, ${depth} bits`);
      }
    }
  }
});

test("a view into a larger buffer decodes like the file alone", async () => {
  const file = writePng(shapeOf(6, 8, false), sampler(6, 8));
  const padded = new Uint8Array(file.length + 64).fill(7);
  padded.set(file, 13);
  assert.deepEqual(await decode(padded.subarray(13, 13 + file.length)), await decode(file));
});

test("a PNG cut anywhere is refused as truncated", async () => {
  const file = writePng(shapeOf(2, 8, false), sampler(2, 8));
  for (let length = 8; length < file.length; length += 31) {
    await refuses(file.subarray(0, length), "image.truncated", /is a truncated PNG file: .*Copy or download it again/);
  }
});

/** One whose stream is inflated at once, and one that goes through the platform's. */
const RGB: readonly PngShape[] = [shapeOf(2, 8, false), { ...shapeOf(2, 8, false), width: 160, height: 150 }];

test("large pictures hold their pixels, interlaced or not", async () => {
  for (const interlaced of [false, true]) {
    const shape = { ...RGB[1], interlaced };
    const { data } = await decode(writePng(shape, (x, y, c) => (3 * x + 5 * y + 7 * c) & 255));
    assert.ok(
      data.every((v, i) => v === ((3 * (Math.floor(i / 3) % 160) + 5 * Math.floor(i / 480) + 7 * (i % 3)) & 255)),
    );
  }
});

test("a PNG whose pixel stream ends early or is damaged is refused", async () => {
  for (const shape of RGB) {
    const stream = pixelStream(shape, sampler(2, 8));
    const short = wrapPng(shape, deflateSync(stream.subarray(0, 500)));
    const promised = new RegExp(`cannot be inflated to the ${stream.length} bytes that its header needs`);
    await refuses(short, "image.damaged", promised);
    const whole = Uint8Array.from(deflateSync(stream));
    await refuses(wrapPng(shape, whole.subarray(0, whole.length - 200)), "image.damaged", promised);
    whole[whole.length - 1] ^= 1;
    await refuses(wrapPng(shape, whole), "image.damaged", promised);
  }
});

test("bytes behind the end of the pixel stream are passed over", async () => {
  for (const shape of RGB) {
    const packed = deflateSync(pixelStream(shape, sampler(2, 8)));
    const more = wrapPng(shape, concat([packed, Uint8Array.from([1, 2, 3, 4, 5])]));
    assert.deepEqual(await decode(more), await decode(wrapPng(shape, packed)));
  }
});

test("a row with a filter that does not exist is refused", async () => {
  for (const shape of RGB) {
    const stream = pixelStream(shape, sampler(2, 8));
    stream[2 * (1 + 3 * shape.width)] = 5;
    await refuses(wrapPng(shape, deflateSync(stream)), "image.damaged", /row 2 names filter 5, which does not exist/);
  }
});

test("pixels after the last row are not needed", async () => {
  for (const shape of RGB) {
    const stream = pixelStream(shape, sampler(2, 8));
    const long = wrapPng(shape, deflateSync(concat([stream, new Uint8Array(1000)])));
    assert.deepEqual(await decode(long), await decode(writePng(shape, sampler(2, 8))));
  }
});

test("a stream that inflates to far more than the header promised is not inflated further", async () => {
  const shape = { width: 8, height: 8, colorType: 2, depth: 8 };
  const bomb = Uint8Array.from(deflateSync(new Uint8Array(1 << 28)));
  // Reaching the broken half would fail.
  bomb.fill(0xff, bomb.length >> 1);
  const image = await decode(wrapPng(shape, bomb));
  assert.ok(image.data.every((v) => v === 0));
});

test("a header that promises gigabytes is refused before anything is allocated", async () => {
  const promise = (width: number, height: number): Uint8Array =>
    wrapPng({ width, height, colorType: 6, depth: 16 }, deflateSync(new Uint8Array(4096)));
  await refuses(
    promise(60000, 60000),
    "image.too_large",
    /declares 60000x60000 = 3600000000 pixels, above the limit of 67108864; scale it down\.$/,
  );
  await refuses(promise(0x7fffffff, 0x7fffffff), "image.too_large", /2147483647x2147483647/);
  // Within the limit of pixels, yet no deflate stream of this length can hold them.
  await refuses(promise(16384, DEFAULT_MAX_PIXELS / 16384), "image.truncated", /cannot come out of \d+ bytes/);
  await refuses(promise(100, 100), "image.too_large", /above the limit of 9999;/, { maxPixels: 9999 });
  await refuses(promise(0, 5), "image.damaged", /declares 0x5 pixels/);
});

test("broken chunks are named", async () => {
  const shape = shapeOf(3, 8, false);
  const pixels = deflateSync(pixelStream(shape, sampler(3, 8)));
  const file = (...chunks: readonly Uint8Array[]): Uint8Array => concat([Uint8Array.from(SIGNATURE), ...chunks]);
  const end = chunk("IEND", new Uint8Array(0));
  const data = chunk("IDAT", pixels);
  const palette = chunk("PLTE", shape.palette as Uint8Array);
  await refuses(file(header(shape), data, end), "image.damaged", /no usable palette \(PLTE\)/);
  await refuses(file(header(shape), palette, end), "image.damaged", /holds no pixel data \(IDAT\)/);
  await refuses(file(header(shape), palette, data), "image.truncated", /without its IEND chunk/);
  const wrong = palette.slice();
  wrong[20] ^= 1;
  await refuses(file(header(shape), wrong, data, end), "image.damaged", /checksum of its PLTE chunk is wrong/);
  const tall = header(shape);
  tall[15] ^= 1;
  await refuses(file(tall, palette, data, end), "image.damaged", /checksum of its IHDR chunk is wrong/);
  const large = chunk("PLTE", new Uint8Array(771));
  await refuses(file(header(shape), large, data, end), "image.damaged", /more than 256 colours/);
  const strange = chunk("QUUX", new Uint8Array(4));
  await refuses(file(header(shape), strange, palette, data, end), "image.damaged", /unknown critical type/);
  const harmless = chunk("quUX", new Uint8Array(4));
  assert.equal((await decode(file(header(shape), harmless, palette, data, end))).width, WIDTH);
  await refuses(
    file(header({ ...shape, depth: 16 }), palette, data, end),
    "image.damaged",
    /colour type 3 with 16 bits/,
  );
});
