/** Pixels through tables of weights, on the caller's thread: along their rows, then along their columns. */
import type { ResampleTable } from "../core/pixel_cut.ts";

const clamped = (v: number): number => (v < 0 ? 0 : v > 255 ? 255 : v);

/** Every output is one source, and neighbours are neighbours: a picture that has its size already. */
function copies({ starts, weights, taps, bits }: ResampleTable): boolean {
  const one = 1 << bits;
  return starts.every((start, i) => start === starts[0] + i && weights[i * taps] === one);
}

/** Order of the samples in a row: red, green and blue of each pixel, or all red ones, then all green ones, then all blue ones. */
export type RowOrder = "pixels" | "planes";

/**
 * Rows `top..top + rows - 1` of RGB pixels along x.
 * @param data [rows of the picture, width, 3]
 * @returns [rows, outputs, 3], or [rows, 3, outputs] for planes
 */
export function resampleColumns(
  data: Uint8Array,
  width: number,
  top: number,
  rows: number,
  table: ResampleTable,
  order: RowOrder = "pixels",
): Uint8Array {
  const { starts, weights, taps, bits } = table;
  const outWidth = starts.length;
  const out = new Uint8Array(outWidth * rows * 3);
  const step = order === "pixels" ? 3 : 1;
  const plane = order === "pixels" ? 1 : outWidth;
  const copied = copies(table);
  const half = 1 << (bits - 1);
  for (let y = 0; y < rows; y++) {
    const line = (top + y) * width;
    let to = y * outWidth * 3;
    if (copied) {
      for (let x = 0, from = (line + starts[0]) * 3; x < outWidth; x++, from += 3, to += step) {
        out[to] = data[from];
        out[to + plane] = data[from + 1];
        out[to + 2 * plane] = data[from + 2];
      }
      continue;
    }
    for (let x = 0; x < outWidth; x++, to += step) {
      let r = half;
      let g = half;
      let b = half;
      const last = x * taps + Math.min(taps, width - starts[x]);
      for (let k = x * taps, from = (line + starts[x]) * 3; k < last; k++, from += 3) {
        const w = weights[k];
        r = (r + Math.imul(data[from], w)) | 0;
        g = (g + Math.imul(data[from + 1], w)) | 0;
        b = (b + Math.imul(data[from + 2], w)) | 0;
      }
      out[to] = clamped(r >> bits);
      out[to + plane] = clamped(g >> bits);
      out[to + 2 * plane] = clamped(b >> bits);
    }
  }
  return out;
}

/**
 * Rows of bytes along y.
 * @param data [rows, rowBytes], from source row `top` on
 * @returns [outputs, rowBytes]; a part of `data` where rows are copied
 */
export function resampleRows(data: Uint8Array, rowBytes: number, top: number, table: ResampleTable): Uint8Array {
  const { starts, weights, taps, bits } = table;
  const outHeight = starts.length;
  const first = (starts[0] - top) * rowBytes;
  if (copies(table)) return data.subarray(first, first + outHeight * rowBytes);
  const out = new Uint8Array(outHeight * rowBytes);
  const sums = new Int32Array(rowBytes);
  const half = 1 << (bits - 1);
  for (let y = 0; y < outHeight; y++) {
    sums.fill(half);
    for (let k = 0; k < taps; k++) {
      const w = weights[y * taps + k];
      if (w === 0) continue;
      const line = (starts[y] - top + k) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] = (sums[i] + Math.imul(data[line + i], w)) | 0;
    }
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) out[to + i] = clamped(sums[i] >> bits);
  }
  return out;
}
