/** Pictures are shown to the model upright, whatever their EXIF orientation: as Hugging Face's `load_image` does. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { PixelImage } from "../../mod.ts";
import { clipImageProcessor } from "../../plugins/clip/preprocess.ts";
import { openMediaProcessor } from "../../runtime/session/inputs/processor.ts";
import { withProcessor } from "../kit/byte_towers.ts";
import { decode, fixture, noise } from "../media/media_kit.ts";
import { chunk, concat, writePng } from "../media/png_writer.ts";

const PROCESSOR = { image_processor_type: "CLIPImageProcessor", size: { shortest_edge: 32 }, crop_size: 32 };

type Place = readonly [x: number, y: number];

/** Where a pixel of the upright picture lies in a file of `width` x `height` pixels (TIFF 6.0, tag 274), from 1 on. */
const ORIENTATIONS: readonly ((x: number, y: number, width: number, height: number) => Place)[] = [
  (x, y) => [x, y],
  (x, y, width) => [width - 1 - x, y],
  (x, y, width, height) => [width - 1 - x, height - 1 - y],
  (x, y, _, height) => [x, height - 1 - y],
  (x, y) => [y, x],
  (x, y, _, height) => [y, height - 1 - x],
  (x, y, width, height) => [width - 1 - y, height - 1 - x],
  (x, y, width) => [width - 1 - y, x],
];

function upright({ width, height, data }: PixelImage, orientation: number): PixelImage {
  const [w, h] = orientation < 5 ? [width, height] : [height, width];
  const out = new Uint8Array(data.length);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const [u, v] = ORIENTATIONS[orientation - 1](x, y, width, height);
      for (let c = 0; c < 3; c++) out[3 * (y * w + x) + c] = data[3 * (v * width + u) + c];
    }
  }
  return { width: w, height: h, channels: 3, data: out };
}

/** A TIFF block with the orientation alone. */
function tiff(orientation: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(26));
  view.setUint16(0, 0x4d4d);
  view.setUint16(2, 42);
  view.setUint32(4, 8);
  view.setUint16(8, 1);
  view.setUint16(10, 0x0112);
  view.setUint16(12, 3);
  view.setUint32(14, 1);
  view.setUint16(18, orientation);
  return new Uint8Array(view.buffer);
}

/** A JPEG file with an EXIF segment behind its first marker. */
function turnedJpeg(file: Uint8Array, orientation: number): Uint8Array {
  const block = tiff(orientation);
  const head = [0xff, 0xe1, 0, 2 + 6 + block.length, ...new TextEncoder().encode("Exif\0\0")];
  return concat([file.subarray(0, 2), Uint8Array.from(head), block, file.subarray(2)]);
}

/** A PNG file with an eXIf chunk behind its header. */
function turnedPng(file: Uint8Array, orientation: number): Uint8Array {
  const header = 8 + 25;
  return concat([file.subarray(0, header), chunk("eXIf", tiff(orientation)), file.subarray(header)]);
}

const { width, height, data } = noise(5, 41, 36);
const PNG = writePng({ width, height, colorType: 2, depth: 8 }, (x, y, c) => data[(y * width + x) * 3 + c]);

const FILES: readonly (readonly [string, Uint8Array, (file: Uint8Array, orientation: number) => Uint8Array])[] = [
  ["JPEG", await fixture("decode/baseline.jpg"), turnedJpeg],
  ["PNG", PNG, turnedPng],
];

for (const [format, file, turned] of FILES) {
  test(`a ${format} file of each orientation is seen as its upright pixels`, async () => {
    const pixels = await decode(file);
    await withProcessor("clip", PROCESSOR, async (encoder) => {
      const plain = await encoder.encode({ images: [pixels] });
      for (let orientation = 1; orientation <= 8; orientation++) {
        const found = await encoder.encode({ images: [turned(file, orientation)] });
        assert.deepEqual(found, await encoder.encode({ images: [upright(pixels, orientation)] }), `${orientation}`);
        if (orientation > 1) assert.notDeepEqual(found, plain, `${orientation}`);
      }
    });
  });
}

test("a folder's processor by itself sees pictures upright", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-upright-"));
  try {
    await writeFile(join(folder, "preprocessor_config.json"), JSON.stringify(PROCESSOR));
    const { run } = await openMediaProcessor(folder);
    for (const [, file, turned] of FILES) {
      const pixels = await decode(file);
      for (let orientation = 1; orientation <= 8; orientation++) {
        const path = join(folder, `turned ${orientation}`);
        await writeFile(path, turned(file, orientation));
        assert.deepEqual(await run(path), clipImageProcessor(PROCESSOR).values([upright(pixels, orientation)]));
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
