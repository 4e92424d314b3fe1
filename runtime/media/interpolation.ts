/**
 * Interpolation along one axis as a matrix, so that position embeddings of other sizes are two small products. All follow
 * PyTorch's `interpolate` with `align_corners=False`: sample i of the result lies at (i + 1/2) from / to - 1/2.
 */
import { antialiasedWeights } from "./resize.ts";

/** PyTorch's cubic without antialiasing: Keys 1981 with a = -3/4. */
const A = -0.75;

function cubic(x: number): number {
  const d = Math.abs(x);
  if (d <= 1) return ((A + 2) * d - (A + 3)) * d * d + 1;
  return d < 2 ? ((A * d - 5 * A) * d + 8 * A) * d - 4 * A : 0;
}

/**
 * Row-major [to, from]: bicubic, `antialias=False`. Four neighbours whatever the scale; those outside are the sample at
 * the edge.
 */
export function bicubicMatrix(from: number, to: number): Float32Array {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(at) - 1;
    for (let k = first; k < first + 4; k++) {
      const source = Math.min(Math.max(k, 0), from - 1);
      matrix[i * from + source] += cubic(at - k);
    }
  }
  return matrix;
}

/** Row-major [to, from]: bilinear or bicubic, `antialias=True`, where the filter is stretched when shrinking. */
export function antialiasedMatrix(filter: "bilinear" | "bicubic", from: number, to: number): Float32Array {
  const matrix = new Float32Array(to * from);
  const row = new Float64Array(from);
  for (let i = 0; i < to; i++) {
    const [start, end] = antialiasedWeights(filter, from, to, i, row);
    matrix.set(row.subarray(0, end - start), i * from + start);
  }
  return matrix;
}
