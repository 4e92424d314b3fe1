/** Normalizations of the reference evaluator, all over the last axis; results are f32. */
import { exp } from "../../core/math.ts";
import { type RefTensor, refuse, requireFloat, requireShape } from "./tensor.ts";

type Row = Float64Array | Int32Array;

function overRows(op: string, x: RefTensor, f: (row: Row, out: Float64Array) => void): RefTensor {
  requireFloat(op, x);
  if (x.shape.length === 0) refuse(op, "a scalar", "at least one axis");
  const width = x.shape[x.shape.length - 1];
  const data = new Float64Array(x.data.length);
  for (let at = 0; at < data.length; at += width) f(x.data.subarray(at, at + width), data.subarray(at, at + width));
  return { dtype: "f32", shape: x.shape, data };
}

function requireParameter(op: string, name: string, x: RefTensor, parameter: RefTensor): void {
  requireFloat(op, parameter);
  requireShape(op, name, parameter, x.shape.slice(-1));
}

function meanOfSquares(row: Row, centre: number): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const difference = row[i] - centre;
    sum += difference * difference;
  }
  return sum / row.length;
}

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance: Ba, Kiros and Hinton 2016.
 * weight and bias: [width].
 */
export function layerNorm(x: RefTensor, weight: RefTensor, bias: RefTensor | undefined, eps: number): RefTensor {
  requireParameter("layer_norm", "a weight", x, weight);
  if (bias !== undefined) requireParameter("layer_norm", "a bias", x, bias);
  const scales = weight.data;
  const shifts = bias?.data;
  return overRows("layer_norm", x, (row, out) => {
    let sum = 0;
    for (let i = 0; i < row.length; i++) sum += row[i];
    const mean = sum / row.length;
    const inverse = 1 / Math.sqrt(meanOfSquares(row, mean) + eps);
    for (let i = 0; i < row.length; i++) {
      out[i] = (row[i] - mean) * inverse * scales[i] + (shifts === undefined ? 0 : shifts[i]);
    }
  });
}

/** x / sqrt(mean(x^2) + eps) * weight: Zhang and Sennrich 2019. weight: [width]. */
export function rmsNorm(x: RefTensor, weight: RefTensor, eps: number): RefTensor {
  requireParameter("rms_norm", "a weight", x, weight);
  const scales = weight.data;
  return overRows("rms_norm", x, (row, out) => {
    const inverse = 1 / Math.sqrt(meanOfSquares(row, 0) + eps);
    for (let i = 0; i < row.length; i++) out[i] = row[i] * inverse * scales[i];
  });
}

/** e^(x - max) / sum of e^(x - max). */
export function softmax(x: RefTensor): RefTensor {
  return overRows("softmax", x, (row, out) => {
    let largest = -Infinity;
    for (let i = 0; i < row.length; i++) largest = Math.max(largest, row[i]);
    let sum = 0;
    for (let i = 0; i < row.length; i++) {
      out[i] = exp(row[i] - largest);
      sum += out[i];
    }
    for (let i = 0; i < row.length; i++) out[i] /= sum;
  });
}

/** x / max(sqrt(sum of x^2), eps): with eps 0 the plain quotient, NaN for a zero row. */
export function l2Normalize(x: RefTensor, eps = 0): RefTensor {
  return overRows("l2_normalize", x, (row, out) => {
    let sum = 0;
    for (let i = 0; i < row.length; i++) sum += row[i] * row[i];
    const norm = Math.max(Math.sqrt(sum), eps);
    for (let i = 0; i < row.length; i++) out[i] = row[i] / norm;
  });
}
