import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { decode, fixture, fnv, refuses } from "./media_kit.ts";
import { chunk, concat, SIGNATURE, writePng } from "./png_writer.ts";

const JPEGS = ["baseline.jpg", "progressive.jpg", "restart.jpg", "grey.jpg"];
const WEBPS = ["lossy.webp", "lossless.webp", "alpha.webp"];

const copy = (file: Uint8Array, change: (bytes: Uint8Array, view: DataView) => void): Uint8Array => {
  const bytes = file.slice();
  change(bytes, new DataView(bytes.buffer));
  return bytes;
};

/** Position of a marker's segment in a JPEG. */
function findMarker(file: Uint8Array, marker: number): number {
  for (let at = 2; at < file.length; at += 2 + file[at + 2] * 256 + file[at + 3]) {
    if (file[at + 1] === marker) return at;
  }
  throw new Error(`no marker ${marker}`);
}

for (const name of JPEGS) {
  test(`${name} cut anywhere is refused as truncated`, async () => {
    const file = await fixture(`decode/${name}`);
    for (let length = 2; length < file.length; length += 13) {
      await refuses(
        file.subarray(0, length),
        "image.truncated",
        /is a truncated JPEG file: .*Copy or download it again/,
      );
    }
  });
}

test("a JPEG with all of its pixels needs no end marker, unless more scans may have been cut off", async () => {
  for (const name of ["baseline.jpg", "restart.jpg", "grey.jpg"]) {
    const file = await fixture(`decode/${name}`);
    assert.deepEqual(file.subarray(-2), Uint8Array.of(0xff, 0xd9));
    for (const cut of [1, 2]) assert.deepEqual(await decode(file.subarray(0, file.length - cut)), await decode(file));
    await refuses(file.subarray(0, file.length - 6), "image.truncated", /before its last pixels or its end marker/);
  }
  const progressive = await fixture("decode/progressive.jpg");
  await refuses(progressive.subarray(0, progressive.length - 2), "image.truncated", /or its end marker/);
});

for (const name of WEBPS) {
  test(`${name} cut anywhere is refused as truncated`, async () => {
    const file = await fixture(`decode/${name}`);
    for (let length = 4; length < file.length; length += 13) {
      await refuses(
        file.subarray(0, length),
        "image.truncated",
        /is a truncated WebP file: .*Copy or download it again/,
      );
    }
  });
}

test("a JPEG whose pixels stop before its end marker is refused", async () => {
  for (const name of ["baseline.jpg", "restart.jpg"]) {
    const file = await fixture(`decode/${name}`);
    const cut = concat([file.subarray(0, file.length - 120), Uint8Array.of(0xff, 0xd9)]);
    await refuses(cut, "image.damaged", /Corrupt JPEG data/);
  }
});

test("a truncated JPEG is told as such when stray bytes are what its codec complains about", async () => {
  const file = await fixture("decode/baseline.jpg");
  const scan = findMarker(file, 0xda);
  const stray = concat([file.subarray(0, scan), Uint8Array.of(1, 2, 3), file.subarray(scan)]);
  assert.deepEqual(await decode(stray), await decode(file));
  await refuses(stray.subarray(0, stray.length - 60), "image.truncated", /JPEG/);
});

test("a JPEG header that promises more than its bytes can hold never reaches the codec", async () => {
  const file = await fixture("decode/baseline.jpg");
  const frame = findMarker(file, 0xc0);
  const promise = (width: number, height: number): Uint8Array =>
    copy(file, (_, view) => {
      view.setUint16(frame + 5, height);
      view.setUint16(frame + 7, width);
    });
  await refuses(
    promise(65500, 65500),
    "image.too_large",
    /declares 65500x65500 = 4290250000 pixels, above the limit of 67108864; scale it down\.$/,
  );
  await refuses(promise(8000, 8000), "image.truncated", /8000x8000 pixels cannot come out of 949 bytes/);
  await refuses(promise(24, 0), "image.damaged", /declares 24x0 pixels/);
  await refuses(file, "image.too_large", /24x17 = 408 pixels, above the limit of 400/, { maxPixels: 400 });
});

test("a JPEG of endless scans is refused", async () => {
  const file = await fixture("decode/progressive.jpg");
  const scan = findMarker(file, 0xda);
  const scans = Array.from({ length: 300 }, () => file.subarray(scan, scan + 40));
  await refuses(
    concat([file.subarray(0, -2), ...scans, file.subarray(-2)]),
    "image.unsupported",
    /more than 256 scans/,
  );
});

test("JPEG kinds that the codec cannot read are named", async () => {
  const file = await fixture("decode/baseline.jpg");
  const frame = findMarker(file, 0xc0);
  const patched = (at: number, value: number): Uint8Array =>
    copy(file, (bytes) => {
      bytes[frame + at] = value;
    });
  await refuses(patched(4, 12), "image.unsupported", /a JPEG with 12 bits a sample/);
  await refuses(patched(9, 2), "image.unsupported", /a JPEG with 2 components/);
  await refuses(patched(1, 0xc3), "image.unsupported", /lossless, hierarchical or arithmetic-coded/);
  await refuses(patched(0, 0), "image.damaged", /should begin a marker/);
});

test("a WebP header that promises gigabytes never reaches the codec", async () => {
  const lossless = await fixture("decode/lossless.webp");
  const large = copy(lossless, (_, view) => view.setUint32(21, (16383 | (16383 << 14)) >>> 0, true));
  await refuses(large, "image.too_large", /declares 16384x16384 = 268435456 pixels/);
  const canvas = [0x56, 0x50, 0x38, 0x58, 10, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255];
  const wide = concat([lossless.subarray(0, 12), Uint8Array.from(canvas), lossless.subarray(12)]);
  new DataView(wide.buffer).setUint32(4, wide.length - 8, true);
  await refuses(wide, "image.too_large", /declares 16777216x16777216/);
});

test("images of one pixel and of one row or column", async () => {
  for (const [width, height] of [
    [1, 1],
    [20000, 1],
    [1, 20000],
  ]) {
    const image = await decode(writePng({ width, height, colorType: 2, depth: 8 }, (x, y, c) => (x + y * 3 + c) & 255));
    assert.deepEqual([image.width, image.height, image.data.length], [width, height, width * height * 3]);
    assert.deepEqual(Array.from(image.data.subarray(0, 3)), [0, 1, 2]);
  }
});

/** A codec that does not give its stack back hangs at the 99th file that it cannot decode. */
const IN_A_ROW = 120;
const DAMAGED = 40;

test(`after ${IN_A_ROW} undecodable files in a row each format still decodes`, async () => {
  for (const name of ["baseline.jpg", "lossy.webp", "rgba.png"]) {
    const file = await fixture(`decode/${name}`);
    const good = fnv((await decode(file)).data);
    for (let i = 0; i < IN_A_ROW; i++) {
      const bad = copy(file, (bytes) => {
        // Tables and entropy-coded data, past the headers that are checked here.
        for (let k = 0; k < 40; k++) bytes[60 + (hash32(i, k) % (bytes.length - 64))] = hash32(i, 100 + k);
      });
      await decode(bad).catch((error: unknown) => assert.ok(error instanceof FoveaError, String(error)));
    }
    assert.equal(fnv((await decode(file)).data), good, name);
  }
});

test(`${IN_A_ROW} files that make the JPEG codec abort, then a good one`, async () => {
  const file = await fixture("decode/baseline.jpg");
  const table = findMarker(file, 0xc4);
  // A Huffman table that claims more codes than there can be: a fatal error inside the codec.
  const bad = copy(file, (bytes) => bytes.fill(0xff, table + 5, table + 21));
  for (let i = 0; i < IN_A_ROW; i++) await refuses(bad, "image.damaged", /Bogus Huffman table definition/);
  assert.equal((await decode(file)).width, 24);
});

/** One of five kinds of damage, from a seed. */
function mutate(file: Uint8Array, seed: number): Uint8Array {
  const pick = (k: number, below: number): number => hash32(seed, k) % below;
  const at = pick(0, file.length);
  const length = 1 + pick(1, 24);
  switch (pick(2, 6)) {
    case 0:
      return concat([file.subarray(0, at), file.subarray(at + length)]);
    case 1:
      return concat([file.subarray(0, at), file.subarray(Math.max(0, at - length))]);
    case 2:
      return file.slice(0, at);
    case 3:
      return copy(file, (bytes) => bytes.fill(pick(3, 2) * 255, at, at + length));
    default:
      return copy(file, (bytes) => {
        for (let k = 0; k <= pick(4, 4); k++) bytes[pick(10 + k, bytes.length)] = pick(20 + k, 256);
      });
  }
}

/** The same file with every chunk's checksum made right again, so that damage gets past it. */
function reseal(file: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.from(SIGNATURE)];
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  for (let at = 8; at + 12 <= file.length; ) {
    const end = Math.min(at + 12 + view.getUint32(at), file.length);
    parts.push(
      chunk(String.fromCharCode(...file.subarray(at + 4, at + 8)), file.slice(at + 8, Math.max(at + 8, end - 4))),
    );
    at = end;
  }
  return concat(parts);
}

async function survives(file: Uint8Array, what: string): Promise<boolean> {
  try {
    const image = await decode(file);
    assert.equal(image.data.length, image.width * image.height * 3, what);
    return true;
  } catch (error) {
    assert.ok(error instanceof FoveaError, `${what}: ${String(error)}`);
    assert.match(error.code, /^image\./, what);
    return false;
  }
}

const FUZZED = [...JPEGS, ...WEBPS, "turned.jpg", "turned.webp", "rgba.png", "palette.png", "turned.png"];

for (const [index, name] of FUZZED.entries()) {
  test(`${DAMAGED} damaged copies of ${name} are an image or a FoveaError`, async () => {
    const file = await fixture(`decode/${name}`);
    const good = fnv((await decode(file)).data);
    for (let i = 0; i < DAMAGED; i++) {
      const bad = mutate(file, index * 1000 + i);
      await survives(name.endsWith(".png") && i % 2 === 0 ? reseal(bad) : bad, `${name} ${i}`);
    }
    assert.equal(fnv((await decode(file)).data), good);
  });
}

test(`${DAMAGED} damaged copies of an interlaced PNG are an image or a FoveaError`, async () => {
  const shape = { width: 19, height: 13, colorType: 0, depth: 2, interlaced: true };
  const file = writePng(shape, (x, y) => (x ^ y) & 3);
  let images = 0;
  for (let i = 0; i < DAMAGED; i++) if (await survives(reseal(mutate(file, i)), String(i))) images++;
  assert.ok(images < DAMAGED);
});
