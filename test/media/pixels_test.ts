import assert from "node:assert/strict";
import { test } from "node:test";
import { rgbImage } from "../../runtime/media/image.ts";
import {
  centerCropRegion,
  padImage,
  shortestEdgeSize,
  valueTable,
  writePlanes,
  writeValues,
} from "../../runtime/media/pixels.ts";
import { noise } from "./media_kit.ts";

test("the shorter side gets the edge and the longer side is rounded down", () => {
  assert.deepEqual(shortestEdgeSize({ width: 97, height: 61 }, 224), { width: 356, height: 224 });
  assert.deepEqual(shortestEdgeSize({ width: 61, height: 97 }, 224), { width: 224, height: 356 });
  assert.deepEqual(shortestEdgeSize({ width: 50, height: 50 }, 7), { width: 7, height: 7 });
  assert.deepEqual(shortestEdgeSize({ width: 20000, height: 1 }, 224), { width: 4480000, height: 224 });
});

test("a centred crop takes the middle, and pads what is smaller", () => {
  assert.deepEqual(centerCropRegion({ width: 11, height: 8 }, { width: 4, height: 4 }), {
    source: { x: 3, y: 2, width: 4, height: 4 },
    left: 0,
    top: 0,
  });
  assert.deepEqual(centerCropRegion({ width: 3, height: 9 }, { width: 8, height: 4 }), {
    source: { x: 0, y: 2, width: 3, height: 4 },
    left: 2,
    top: 0,
  });
  assert.deepEqual(centerCropRegion({ width: 3, height: 9 }, { width: 8, height: 14 }, "before"), {
    source: { x: 0, y: 0, width: 3, height: 9 },
    left: 3,
    top: 3,
  });
});

test("padding is black", () => {
  const image = rgbImage(1, 1, Uint8Array.of(1, 2, 3));
  const padded = padImage(image, { width: 3, height: 2 }, 1, 1);
  assert.deepEqual(Array.from(padded.data), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0]);
  assert.throws(() => padImage(padded, { width: 3, height: 3 }, 1, 1), { code: "image.region" });
});

test("rescale and normalise are (sample * factor - mean) / std", () => {
  const mean = [0.4, 0.5, 0.6];
  const std = [0.25, 0.5, 0.1];
  const both = valueTable({ rescaleFactor: 1 / 255, mean, std });
  const rescaled = valueTable({ rescaleFactor: 1 / 255 });
  const normalized = valueTable({ mean, std });
  const plain = valueTable({});
  for (let c = 0; c < 3; c++) {
    for (let v = 0; v < 256; v++) {
      const at = c * 256 + v;
      const close = (found: number, wanted: number): void => {
        assert.ok(Math.abs(found - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted)), `${found} for ${wanted}`);
      };
      close(both[at], (v / 255 - mean[c]) / std[c]);
      close(rescaled[at], v / 255);
      close(normalized[at], (v - mean[c]) / std[c]);
      assert.equal(plain[at], v);
    }
  }
});

test("planes are red, green, blue, row by row", () => {
  const image = noise(7, 3, 2);
  const out = new Uint8Array(20).fill(7);
  writePlanes(image, out, 2);
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < 6; p++) assert.equal(out[2 + c * 6 + p], image.data[p * 3 + c]);
  }
  assert.deepEqual([out[0], out[1]], [7, 7]);
  assert.throws(() => writePlanes(image, out, 3), /internal: planes of 3x2 at 3/);
});

test("values of samples follow their channel, in planes and side by side", () => {
  const steps = { rescaleFactor: 1 / 255, mean: [0.4, 0.5, 0.6], std: [0.25, 0.5, 0.1] };
  const table = valueTable(steps);
  const samples = Uint8Array.from({ length: 24 }, (_, i) => i * 10);
  for (const run of [1, 4]) {
    const out = new Float32Array(30).fill(-9);
    writeValues(samples, run, table, out);
    for (let i = 0; i < 24; i++) assert.equal(out[i], table[(Math.floor(i / run) % 3) * 256 + samples[i]]);
    assert.ok(out.subarray(24).every((v) => v === -9));
  }
});

test("pixels that do not match their size are refused", () => {
  assert.throws(() => rgbImage(2, 2, new Uint8Array(11)), {
    code: "image.shape",
    message: /of 2x2 pixels was given 11 bytes; RGB pixels need width \* height \* 3 = 12/,
  });
  assert.throws(() => rgbImage(0, 2, new Uint8Array(0)), {
    code: "image.shape",
    message: /An image of 0x2 pixels was given; both sides must be whole numbers from 1\./,
  });
});
