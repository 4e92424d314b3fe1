/** JPEG files at a reduced size: when, with which pixels, and never unasked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { decodedSide, type PictureSize, type Reduction } from "../../runtime/core/pixel_cut.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { type JpegDecoder, loadJpegDecoder } from "../../runtime/host/mod.ts";
import { type DecodeOptions, decodeImage } from "../../runtime/media/decode.ts";
import { type Image, orient } from "../../runtime/media/image.ts";
import { jpegReduction, REDUCTION_MARGIN } from "../../runtime/media/jpeg_reduction.ts";
import { cutImages, pictureResize, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type ResizeFilter, resampleTable } from "../../runtime/media/resize.ts";
import { decode, fixture, refuses } from "./media_kit.ts";

/** Whole numbers below a limit, from a seed. */
function randomWhole(seed: number): (limit: number) => number {
  let index = 0;
  return (limit) => hash32(seed, index++) % limit;
}

const REDUCTIONS: readonly Reduction[] = [2, 4, 8];

async function decoder(): Promise<JpegDecoder> {
  const found = await loadJpegDecoder();
  if (found === undefined) throw new Error("sharp is a development dependency and must load here");
  return found;
}

const decodeJpeg = await decoder();
const reduced = (by: Reduction | 1, more: DecodeOptions = {}): DecodeOptions => ({
  decodeJpeg,
  reduceJpeg: () => by,
  ...more,
});

/** A file of slow waves, whose pixels say where they are. */
async function waves(width: number, height: number, channels: 1 | 3 = 3, orientation?: number): Promise<Uint8Array> {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0, y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++)
        data[i++] = 128 + 100 * Math.sin((x * (1 + c)) / 80 + 1) * Math.cos(y / 90 + c / 3);
    }
  }
  const image = sharp(data, { raw: { width, height, channels } }).toColourspace(channels === 1 ? "b-w" : "srgb");
  const turned = orientation === undefined ? image : image.withMetadata({ orientation });
  return new Uint8Array(await turned.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }).toBuffer());
}

/** Mean and largest difference of samples. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): { readonly mean: number; readonly worst: number } {
  assert.equal(a.length, b.length);
  let [sum, worst] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    sum += difference;
    worst = Math.max(worst, difference);
  }
  return { mean: sum / a.length, worst };
}

function resized(image: Image, from: PictureSize, width: number, height: number, filter: ResizeFilter): Uint8Array {
  const cut = pixelCut(from, { size: { width, height }, filter, arithmetic: "torchvision" });
  return cutImages([image], { input: "x", shape: [3, height, width], cuts: [cut] });
}

test("a picture is reduced as far as the margins of both sides and of all its cuts allow", () => {
  const cut = (width: number, height: number, filter: ResizeFilter = "bicubic") =>
    pixelCut({ width: 5000, height: 5000 }, { size: { width, height }, filter, arithmetic: "torchvision" });
  for (const by of REDUCTIONS) {
    const least = by * REDUCTION_MARGIN[by] * 100;
    const smaller = by === 2 ? 1 : by / 2;
    assert.equal(jpegReduction({ width: least, height: least }, [cut(100, 100)]), by);
    assert.equal(jpegReduction({ width: least + by - 1, height: least }, [cut(100, 100)]), by);
    assert.equal(jpegReduction({ width: least - 1, height: least }, [cut(100, 100)]), smaller);
    assert.equal(jpegReduction({ width: least, height: least - 1 }, [cut(100, 100)]), smaller);
    assert.equal(jpegReduction({ width: least, height: least }, [cut(20, 20), cut(100, 101)]), smaller);
  }
  const { resized: _, ...silent } = cut(10, 10);
  assert.equal(jpegReduction({ width: 4000, height: 4000 }, [cut(10, 10), silent]), 1);
  // Nearest neighbours are pixels of the file, not averages of them.
  assert.equal(jpegReduction({ width: 4000, height: 4000 }, [cut(10, 10, "nearest")]), 1);
  // Of several resizes the first is that of the file's pixels.
  const [size, options] = [{ width: 5000, height: 4000 }, { filter: "lanczos", arithmetic: "torchvision" } as const];
  const of = pictureResize(size, { width: 500, height: 400 }, options);
  const enlarged = pixelCut(size, { ...options, size: { width: 3000, height: 3000 }, of });
  assert.equal(jpegReduction(size, [enlarged]), 4);
  // 1280 tokens of Qwen2.5-VL out of 12 megapixels, and Qwen2-VL's own size.
  assert.equal(jpegReduction({ width: 4000, height: 3000 }, [cut(1148, 840)]), 2);
  assert.equal(jpegReduction({ width: 4000, height: 3000 }, [cut(4004, 2996)]), 1);
});

test("tables of a reduced side read what was decoded, and weigh it like any other", () => {
  const below = randomWhole(7);
  for (let run = 0; run < 60; run++) {
    const by = REDUCTIONS[below(3)];
    const side = 8 + below(400);
    const to = 1 + below(Math.max(1, Math.floor(decodedSide(side, by) / 1.5)));
    const filter = (["bilinear", "bicubic", "lanczos", "box", "nearest"] as const)[below(5)];
    const table = resampleTable(filter, side, to, 0, to, "torchvision", by);
    for (let i = 0; i < to; i++) {
      const row = table.weights.subarray(i * table.taps, (i + 1) * table.taps);
      const last = row.reduce((end, w, k) => (w === 0 ? end : k + 1), 0);
      assert.ok(table.starts[i] >= 0 && table.starts[i] + last <= decodedSide(side, by), `${side} / ${by} to ${to}`);
      const sum = row.reduce((a, w) => a + w, 0);
      assert.ok(Math.abs(sum - 2 ** table.bits) <= table.taps, `${filter}: weights add up to ${sum}`);
    }
  }
  assert.deepEqual(
    resampleTable("bicubic", 640, 100, 0, 100, "torchvision", 4),
    resampleTable("bicubic", 160, 100, 0, 100, "torchvision"),
  );
});

test("a reduced picture is the whole one but for details: equal places at odd sizes, in colour and grey", async () => {
  const below = randomWhole(3);
  for (const channels of [3, 1] as const) {
    for (const by of REDUCTIONS) {
      const [width, height] = [240 + below(200), 240 + below(200)];
      const file = await waves(width, height, channels);
      const [whole, small] = [await decode(file), await decode(file, reduced(by))];
      assert.deepEqual(small.reducedFrom, { width, height, reduction: by });
      assert.deepEqual([small.width, small.height], [decodedSide(width, by), decodedSide(height, by)]);
      const size = [Math.floor(width / by / 1.5), Math.floor(height / by / 1.5)] as const;
      const found = resized(small, small.reducedFrom as PictureSize, ...size, "bicubic");
      const wanted = resized(whole, whole, ...size, "bicubic");
      // The last columns and rows lack the rest of the sides.
      const inside = (_: number, i: number): boolean => {
        const [x, y] = [i % size[0], Math.floor(i / size[0]) % size[1]];
        return x < size[0] - 2 && y < size[1] - 2;
      };
      const { mean, worst } = apart(found.filter(inside), wanted.filter(inside));
      assert.ok(mean < 0.5 && worst <= 3, `${width}x${height} by ${by}: mean ${mean}, worst ${worst}`);
      const all = apart(found, wanted);
      assert.ok(all.mean < 0.5 && all.worst <= 8, `${width}x${height} by ${by}: worst at the edges ${all.worst}`);
    }
  }
});

test("a photograph's samples are about a grey level from those of a whole decode", async () => {
  const file = await fixture("astronaut.jpg");
  const whole = await decode(file);
  for (const filter of ["bicubic", "bilinear"] as const) {
    for (const by of REDUCTIONS) {
      const small = await decode(file, reduced(by));
      const side = Math.floor(256 / by / REDUCTION_MARGIN[by]);
      const found = resized(small, small.reducedFrom as PictureSize, side, side, filter);
      const { mean, worst } = apart(found, resized(whole, whole, side, side, filter));
      assert.ok(mean > 0 && mean < 1.7 && worst <= 20, `${filter} by ${by}: mean ${mean}, worst ${worst}`);
    }
  }
});

test("files of every orientation are reduced upright, and without a rest before their first pixels", async () => {
  const even = await decode(await waves(240, 160), reduced(4));
  for (let orientation = 1; orientation <= 8; orientation++) {
    const found = await decode(await waves(240, 160, 3, orientation), reduced(4, { exif: true }));
    const { reducedFrom, ...pixels } = found;
    const turned = orient({ ...even, reducedFrom: undefined } as unknown as Image, orientation);
    assert.deepEqual(pixels, { width: turned.width, height: turned.height, channels: 3, data: turned.data });
    const [width, height] = orientation >= 5 ? [160, 240] : [240, 160];
    assert.deepEqual(reducedFrom, { width, height, reduction: 4 });
  }
  /** Stored 241 wide and 162 high: what is mirrored has to be whole. */
  const reductions = [8, 1, 1, 2, 8, 2, 1, 1];
  for (const [i, expected] of reductions.entries()) {
    const found = await decode(await waves(241, 162, 3, i + 1), reduced(8, { exif: true }));
    assert.equal(found.reducedFrom?.reduction ?? 1, expected, `orientation ${i + 1}`);
  }
  const asStored = await decode(await waves(241, 162, 3, 3), reduced(8));
  assert.deepEqual(asStored.reducedFrom, { width: 241, height: 162, reduction: 8 });
});

test("nothing is reduced unasked, and what cannot be is read whole", async () => {
  for (const name of ["baseline.jpg", "grey.jpg", "progressive.jpg", "restart.jpg", "turned.jpg"]) {
    const file = await fixture(`decode/${name}`);
    const whole = await decode(file, { decodeJpeg });
    assert.equal(whole.reducedFrom, undefined);
    assert.deepEqual(await decode(file, reduced(1)), whole);
    const { reducedFrom, width, height } = await decode(file, reduced(2));
    assert.deepEqual(reducedFrom, { width: whole.width, height: whole.height, reduction: 2 }, name);
    assert.deepEqual([width, height], [whole.width >> 1, whole.height >> 1]);
    // A decoder that knows no reductions.
    assert.deepEqual(await decode(file, reduced(2, { decodeJpeg: (bytes) => decodeJpeg(bytes) })), whole);
    assert.deepEqual(await decode(file, reduced(2, { decodeJpeg: async () => undefined })), whole);
  }
  const png = await fixture("gray.png");
  assert.deepEqual(await decodeImage(png, reduced(8)), await decodeImage(png));
  const small = await waves(3, 2);
  assert.deepEqual(await decode(small, reduced(8)), await decode(small));
  await refuses(await fixture("decode/cmyk.jpg"), "image.unsupported", /is a CMYK JPEG/, reduced(2));
  const file = await fixture("astronaut.jpg");
  const cut = file.slice(0, file.length - 4000);
  cut.set([0xff, 0xd9], cut.length - 2);
  await refuses(cut, "image.damaged", /premature end of data segment/, reduced(2));
});
