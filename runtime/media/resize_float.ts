/** Antialiased resampling without rounding between: what torchvision does to float images. */
import type { ValueSteps } from "../core/value_steps.ts";
import type { Image } from "./image.ts";
import { centerCropRegion, type Size } from "./pixels.ts";
import { antialiasedWeights } from "./resize.ts";

/** Float32 planes `[3, height, width]`, samples of 0..255. */
export interface Planes {
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** Weights of one output of an axis, and the first source that they belong to. */
interface Row {
  readonly start: number;
  readonly weights: Float64Array;
}

function rowsOf(filter: "bilinear" | "bicubic", from: number, to: number): readonly Row[] {
  const row = new Float64Array(from);
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = antialiasedWeights(filter, from, to, i, row);
    return { start, weights: row.slice(0, end - start) };
  });
}

/** The samples of an image as planes. */
export function toPlanes({ width, height, data }: Image): Planes {
  const plane = width * height;
  const out = new Float32Array(3 * plane);
  for (let p = 0, from = 0; p < plane; p++) {
    for (let c = 0; c < 3; c++) out[c * plane + p] = data[from++];
  }
  return { height, width, data: out };
}

/** An image resized to `width` x `height`: along x, then along y, in float. */
export function resizePlanes(image: Image, width: number, height: number, filter: "bilinear" | "bicubic"): Planes {
  const { data, width: from, height: rows } = image;
  const wide = new Float32Array(3 * rows * width);
  const across = rowsOf(filter, from, width);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < width; x++) {
      const { start, weights } = across[x];
      let [r, g, b] = [0, 0, 0];
      for (let k = 0, at = (y * from + start) * 3; k < weights.length; k++, at += 3) {
        const w = weights[k];
        r += w * data[at];
        g += w * data[at + 1];
        b += w * data[at + 2];
      }
      wide[y * width + x] = r;
      wide[(rows + y) * width + x] = g;
      wide[(2 * rows + y) * width + x] = b;
    }
  }
  const out = new Float32Array(3 * height * width);
  for (const [y, { start, weights }] of rowsOf(filter, rows, height).entries()) {
    for (let c = 0; c < 3; c++) {
      const to = (c * height + y) * width;
      for (let k = 0; k < weights.length; k++) {
        const line = (c * rows + start + k) * width;
        for (let x = 0; x < width; x++) out[to + x] += weights[k] * wide[line + x];
      }
    }
  }
  return { height, width, data: out };
}

/** The centre of planes; what they do not cover is black. */
export function centerCropPlanes({ height, width, data }: Planes, crop: Size): Planes {
  const { source, left, top } = centerCropRegion({ height, width }, crop);
  const out = new Float32Array(3 * crop.height * crop.width);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < source.height; y++) {
      const from = (c * height + source.y + y) * width + source.x;
      out.set(data.subarray(from, from + source.width), (c * crop.height + top + y) * crop.width + left);
    }
  }
  return { ...crop, data: out };
}

/** Writes `(sample * rescale - mean) / std` of every sample into `out` from `offset`. */
export function writeFloatValues(planes: Planes, steps: ValueSteps, out: Float32Array, offset = 0): void {
  const { rescaleFactor: factor = 1, mean = [0, 0, 0], std = [1, 1, 1] } = steps;
  const plane = planes.height * planes.width;
  for (let c = 0, at = 0; c < 3; c++) {
    for (let p = 0; p < plane; p++, at++) out[offset + at] = (planes.data[at] * factor - mean[c]) / std[c];
  }
}
