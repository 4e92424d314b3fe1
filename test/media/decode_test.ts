import assert from "node:assert/strict";
import { test } from "node:test";
import { type JpegDecoder, loadJpegDecoder } from "../../runtime/host/mod.ts";
import { decodeImage } from "../../runtime/media/decode.ts";
import { type Image, orient, toRgb } from "../../runtime/media/image.ts";
import { hasCode } from "../kit/assertions.ts";
import { decode, fixture, fnv, loadCodec, refuses } from "./media_kit.ts";

interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Base64. */
  readonly rgb: string;
}

/** What Pillow 12.3 decodes and converts to RGB; `turned` after `ImageOps.exif_transpose`. */
type Expected = Readonly<Record<string, Pixels & { readonly turned?: Pixels }>>;

const expected = JSON.parse(new TextDecoder().decode(await fixture("decode/pillow.json"))) as Expected;

function imageOf({ width, height, rgb }: Pixels): Image {
  const data = Uint8Array.from(atob(rgb), (c) => c.charCodeAt(0));
  return { width, height, channels: 3, data };
}

for (const [name, pixels] of Object.entries(expected)) {
  test(`${name} has the pixels that Pillow decodes`, async () => {
    const file = await fixture(`decode/${name}`);
    assert.deepEqual(await decode(file), imageOf(pixels));
    if (pixels.turned !== undefined) assert.deepEqual(await decode(file, { exif: true }), imageOf(pixels.turned));
  });
}

/** FNV-1a digests of Pillow's pixels. */
test("photographs decode on every runtime to the same pixels as with Pillow", async () => {
  assert.equal(fnv((await decode(await fixture("astronaut.jpg"))).data), 0x6f3acb9f);
  assert.equal(fnv((await decode(await fixture("astronaut.png"))).data), 0x645a63f0);
  assert.equal(fnv((await decode(await fixture("gray.png"))).data), 0x3515e8a4);
});

const JPEGS = ["baseline.jpg", "grey.jpg", "progressive.jpg", "restart.jpg", "turned.jpg"];

test("the optional native decoder has the codec's pixels and leaves messages to the codec", async () => {
  const decodeJpeg = await loadJpegDecoder();
  if (decodeJpeg === undefined) throw new Error("sharp is a development dependency and must load here");
  let taken = 0;
  const counting: JpegDecoder = async (bytes) => {
    const found = await decodeJpeg(bytes);
    if (found !== undefined) taken++;
    return found;
  };
  for (const name of [...JPEGS.map((n) => `decode/${n}`), "astronaut.jpg"]) {
    const file = await fixture(name);
    assert.deepEqual(await decode(file, { decodeJpeg: counting }), await decode(file), name);
  }
  assert.equal(taken, JPEGS.length + 1);
  const file = await fixture("decode/turned.jpg");
  const turned = { exif: true };
  assert.deepEqual(await decode(file, { ...turned, decodeJpeg }), await decode(file, turned));
  const cut = file.slice(0, file.length - 40);
  cut.set([0xff, 0xd9], cut.length - 2);
  await assert.rejects(decode(cut, { decodeJpeg }), hasCode("image.damaged", /premature end of data segment/));
});

test("alpha is dropped from any number of pixels, wherever they begin", () => {
  for (let pixels = 1; pixels <= 13; pixels++) {
    for (const from of [0, 1, 4]) {
      const data = Uint8Array.from({ length: from + 4 * pixels }, (_, i) => (i * 37 + 11) & 255).subarray(from);
      const want = Array.from({ length: 3 * pixels }, (_, i) => data[4 * Math.floor(i / 3) + (i % 3)]);
      assert.deepEqual(
        [...toRgb({ width: pixels, height: 1, channels: 4, data }).data],
        want,
        `${pixels} from ${from}`,
      );
    }
  }
});

test("the eight orientations", () => {
  const data = Uint8Array.from({ length: 18 }, (_, i) => i);
  const image: Image = { width: 3, height: 2, channels: 3, data };
  /** Pixel numbers, row by row, as `ImageOps.exif_transpose` orders them. */
  const orders = ["012345", "210543", "543210", "345012", "031425", "304152", "524130", "251403"];
  orders.forEach((order, i) => {
    const turned = orient(image, i + 1);
    assert.deepEqual([turned.width, turned.height], i < 4 ? [3, 2] : [2, 3]);
    assert.equal(Array.from({ length: 6 }, (_, p) => turned.data[p * 3] / 3).join(""), order);
  });
  assert.equal(orient(image, 0), image);
  assert.equal(orient(image, 9), image);
});

test("decodings started together all end, each with its own pixels", async () => {
  const names = ["baseline.jpg", "lossy.webp", "progressive.jpg", "lossless.webp", "grey.jpg", "rgba.png"];
  const files = await Promise.all(names.map((name) => fixture(`decode/${name}`)));
  const images = await Promise.all(files.map((file) => decode(file)));
  images.forEach((image, i) => {
    assert.deepEqual(image, imageOf(expected[names[i]]), names[i]);
  });
});

test("a codec is compiled once for a loader, and only when its format comes up", async () => {
  const asked: string[] = [];
  const counting = (specifier: string): Promise<WebAssembly.Module> => {
    asked.push(specifier);
    return loadCodec(specifier);
  };
  await decode(await fixture("gray.png"), { loadCodec: counting });
  assert.deepEqual(asked, []);
  const jpeg = await fixture("decode/baseline.jpg");
  for (let i = 0; i < 3; i++) await decode(jpeg, { loadCodec: counting });
  assert.deepEqual(asked, ["@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"]);
  await decode(await fixture("decode/lossy.webp"), { loadCodec: counting });
  assert.deepEqual(asked.slice(1), ["@jsquash/webp/codec/dec/webp_dec.wasm"]);
});

test("a codec that failed to load is asked for again", async () => {
  const jpeg = await fixture("decode/baseline.jpg");
  let calls = 0;
  const flaky = (specifier: string): Promise<WebAssembly.Module> =>
    calls++ === 0 ? Promise.reject(new Error("disk gone")) : loadCodec(specifier);
  await assert.rejects(decode(jpeg, { loadCodec: flaky }), /disk gone/);
  assert.equal((await decode(jpeg, { loadCodec: flaky })).width, 24);
});

test("without a codec loader PNG decodes, and the message for others says what to do", async () => {
  assert.equal((await decodeImage(await fixture("gray.png"))).width, 97);
  await assert.rejects(decodeImage(await fixture("decode/baseline.jpg"), { name: "cat.jpg" }), {
    code: "image.no_codec",
    message: "cat.jpg is a JPEG file and no codec loader was given; pass loadCodec, or convert it to PNG.",
  });
});

test("formats and kinds that are not supported are named", async () => {
  const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
  await refuses(
    await fixture("decode/cmyk.jpg"),
    "image.unsupported",
    /is a CMYK JPEG, which is not supported; convert it to an RGB PNG, JPEG or WebP first\./,
  );
  await refuses(text(`BM${"?".repeat(40)}`), "image.unsupported", /is a BMP file/);
  await refuses(text("II*\0????????"), "image.unsupported", /is a TIFF file/);
  await refuses(text("\0\0\0\x20ftypavif????"), "image.unsupported", /is an AVIF, HEIC or MP4 file/);
  await refuses(text("%PDF-1.7"), "image.unsupported", /is a PDF file/);
  await refuses(text("hello, world"), "image.unknown", /is not an image: it begins with the bytes 68 65 6c 6c/);
  await refuses(new Uint8Array(0), "image.empty", /is empty \(0 bytes\)/);
  await refuses(Uint8Array.of(0xff), "image.unknown", /begins with the bytes ff; expected PNG, JPEG, WebP or GIF/);
});

test("messages carry the name that was given", async () => {
  await refuses(new Uint8Array(0), "image.empty", /^cat\.png is empty/, { name: "cat.png" });
  const file = await fixture("gray.png");
  await refuses(file.subarray(0, 99), "image.truncated", /^pics\/a\.png is a truncated PNG/, { name: "pics/a.png" });
});
