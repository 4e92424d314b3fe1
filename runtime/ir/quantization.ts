/** Rows of the op table for products of integers. */
import { dimEquals, dimKey, shapeEquals, shapeText, sub } from "../core/dim.ts";
import type { OpRow } from "./node.ts";

/**
 * x f32 [..., M, K] times w f32 [N, K] transposed -> f32 [..., M, N], of codes: 0..127 for a row of x, with a scale and a
 * zero point of its own, and -127..127 for a row of w, with a scale of its own. What codes are, to the bit, is said by
 * `evaluate/quantize.ts`; the sum of their products is exact.
 *
 * `scaled`: w has one row more, the last, of factors that the columns of x are multiplied by before.
 */
export const QUANTIZED_MATMUL: OpRow = {
  kind: "contraction",
  rowWise: true,
  arity: [2, 2],
  infer: ([x, w], { scaled = false }) => {
    if (x.dtype !== "f32" || w.dtype !== "f32") return `it quantises f32, found ${x.dtype} and ${w.dtype}.`;
    if (typeof scaled !== "boolean")
      return `\`scaled\` says whether a row of factors follows, true or false; found ${String(scaled)}.`;
    if (x.shape.length < 2 || w.shape.length !== 2)
      return `it takes [..., M, K] and [N, K], found ${shapeText(x.shape)} and ${shapeText(w.shape)}.`;
    const [rows, k] = w.shape;
    if (!dimEquals(k, x.shape[x.shape.length - 1]))
      return `the inner sizes ${dimKey(x.shape[x.shape.length - 1])} and ${dimKey(k)} differ.`;
    const n = scaled ? sub(rows, 1) : rows;
    if (typeof n === "number" && n < 1) return `it needs at least one row of weights, found ${dimKey(n)}.`;
    return { shape: [...x.shape.slice(0, -1), n], dtype: "f32" };
  },
};

/**
 * w f32 [N, K], magnitudes f32 [K] of the columns of what w is multiplied by -> f32 [K]: powers of two that even out how large
 * the columns on either side are, by which those of w may be multiplied and the others divided without rounding.
 */
export const CHANNEL_SCALES: OpRow = {
  kind: "assembly",
  arity: [2, 2],
  infer: ([w, magnitudes]) => {
    if (w.dtype !== "f32" || magnitudes.dtype !== "f32")
      return `it reads f32, found ${w.dtype} and ${magnitudes.dtype}.`;
    return w.shape.length === 2 && shapeEquals(magnitudes.shape, [w.shape[1]])
      ? { shape: magnitudes.shape, dtype: "f32" }
      : `it takes [N, K] and [K], found ${shapeText(w.shape)} and ${shapeText(magnitudes.shape)}.`;
  },
};
