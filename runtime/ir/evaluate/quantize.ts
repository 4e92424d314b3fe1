/** Products of integers: codes as every kernel computes them, in f32 and to the bit, and exact sums of their products. */
import { elementCount, type RefTensor, refTensor, refuse, requireFloat, requireShape, shapeText } from "./tensor.ts";

type Numbers = ArrayLike<number>;

/** Codes of a row of x go from 0 to this, those of a weight also below 0. Seven bits mean the same on every engine. */
const LARGEST_CODE = 127;

/** Rows with a smaller range count as having this one, so that one of zeros has a reciprocal. */
const LEAST_RANGE = 2 ** -100;

/** Adding it to an f32 below 2^22 rounds to an integer, ties to even. */
const ROUND = 1.5 * 2 ** 23;

/** The nearest integer, ties to even, in f32. */
const nearest = (x: number): number => Math.fround(Math.fround(x) + ROUND) - ROUND;

/** Numbers as `scale * (code - zero)`. */
export interface Quantized {
  readonly codes: Int32Array;
  readonly scale: number;
  readonly zero: number;
}

/**
 * A row of x in codes of 0..127: its range, widened to hold 0, in equal steps. Factors are multiplied in before.
 * `scale = range / 127`, `zero = round(-low * (127 / range))`, `code = min(round(x * (127 / range)) + zero, 127)`.
 */
export function quantizeRow(row: Numbers, factors?: Numbers): Quantized {
  const x = new Float32Array(row.length);
  for (let i = 0; i < x.length; i++) x[i] = factors === undefined ? row[i] : Math.fround(row[i]) * factors[i];
  let low = 0;
  let high = 0;
  for (let i = 0; i < x.length; i++) {
    low = Math.min(low, x[i]);
    high = Math.max(high, x[i]);
  }
  const range = Math.max(Math.fround(high - low), LEAST_RANGE);
  const inverse = Math.fround(LARGEST_CODE / range);
  const zero = nearest(-low * inverse);
  const codes = new Int32Array(x.length);
  for (let i = 0; i < x.length; i++) codes[i] = Math.min(nearest(x[i] * inverse) + zero, LARGEST_CODE);
  return { codes, scale: Math.fround(range / LARGEST_CODE), zero };
}

/** A row of weights in codes of -127..127: `scale = largest / 127`, `code = round(w * (127 / largest))`. */
export function quantizeChannel(row: Numbers): Quantized {
  const w = new Float32Array(row.length);
  w.set(row);
  let largest = LEAST_RANGE;
  for (let i = 0; i < w.length; i++) largest = Math.max(largest, Math.abs(w[i]));
  const inverse = Math.fround(LARGEST_CODE / largest);
  const codes = new Int32Array(w.length);
  for (let i = 0; i < w.length; i++) codes[i] = nearest(w[i] * inverse);
  return { codes, scale: Math.fround(largest / LARGEST_CODE), zero: 0 };
}

/** Sum of the products of what two rows stand for. */
export function quantizedDot(x: Quantized, w: Quantized): number {
  let sum = 0;
  for (let i = 0; i < w.codes.length; i++) sum += (x.codes[i] - x.zero) * w.codes[i];
  return sum * Math.fround(x.scale * w.scale);
}

/** x [..., M, K] times w [N, K] transposed, or w [N + 1, K] with `scaled`; see the op table. */
export function quantizedMatmul(x: RefTensor, w: RefTensor, scaled: boolean): RefTensor {
  requireFloat("quantized_matmul", x, w);
  const k = x.shape[x.shape.length - 1];
  if (x.shape.length < 2 || w.shape.length !== 2 || w.shape[1] !== k)
    refuse("quantized_matmul", `shapes ${shapeText(x.shape)} and ${shapeText(w.shape)}`, "[..., M, K] and [N, K]");
  const n = w.shape[0] - (scaled ? 1 : 0);
  const factors = scaled ? w.data.subarray(n * k) : undefined;
  const channels = Array.from({ length: n }, (_, j) => quantizeChannel(w.data.subarray(j * k, (j + 1) * k)));
  const lead = x.shape.slice(0, -1);
  const data = new Float64Array(elementCount(lead) * n);
  for (let i = 0; i < elementCount(lead); i++) {
    const row = quantizeRow(x.data.subarray(i * k, (i + 1) * k), factors);
    for (let j = 0; j < n; j++) data[i * n + j] = quantizedDot(row, channels[j]);
  }
  return { dtype: "f32", shape: [...lead, n], data };
}

const bits = new DataView(new ArrayBuffer(4));

/** Exponent of an f32 as it is stored: 127 for 1. */
function exponentOf(value: number): number {
  bits.setFloat32(0, value);
  return (bits.getUint32(0) >>> 23) & 255;
}

/**
 * The power of two for a column: near the square root of how many times as large as the weight's largest number the other
 * side is. 1 where either is 0 or neither f32 nor its reciprocal could hold the power.
 */
export function channelScale(magnitude: number, largest: number): number {
  const exponent = exponentOf(Math.fround(Math.fround(magnitude) / Math.fround(largest)));
  return exponent === 0 || exponent === 255 ? 1 : 2 ** ((exponent - 127) >> 1);
}

/** w [N, K] and magnitudes [K] -> [K]; see the op table. */
export function channelScales(w: RefTensor, magnitudes: RefTensor): RefTensor {
  requireFloat("channel_scales", w, magnitudes);
  if (w.shape.length !== 2) refuse("channel_scales", `weights ${shapeText(w.shape)}`, "[N, K]");
  const [n, k] = w.shape;
  requireShape("channel_scales", "magnitudes", magnitudes, [k]);
  const largest = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < k; j++) largest[j] = Math.max(largest[j], Math.abs(w.data[i * k + j]));
  }
  return refTensor(
    "f32",
    [k],
    largest.map((m, j) => channelScale(magnitudes.data[j], m)),
  );
}
