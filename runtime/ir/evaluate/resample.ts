/** Fixed-point resampling of the reference evaluator. */
import { allocate, type RefTensor, refuse, requireInteger, requireShape, shapeText } from "./tensor.ts";

/** How an axis is resampled; see the op table. */
export interface ResampleTable {
  readonly outputs: number;
  readonly taps: number;
  /** The first source of an output. */
  readonly start: (output: number) => number;
  readonly weight: (output: number, tap: number) => number;
  readonly bits: number;
}

const MOST_BITS = 22;

/** @throws FoveaError `evaluate.operand` for tables of other shapes, starts before the axis, bits outside of 1..22 */
export function resampleTable([starts, weights, bits]: readonly RefTensor[], narrow: boolean): ResampleTable {
  for (const [name, t] of Object.entries({ starts, weights, bits })) requireInteger("resample", name, t);
  if (weights.shape.length !== 2) refuse("resample", `weights ${shapeText(weights.shape)}`, "[outputs, taps]");
  const [outputs, taps] = weights.shape;
  requireShape("resample", "starts", starts, [outputs]);
  requireShape("resample", "bits", bits, [1]);
  const [shift] = bits.data;
  if (shift < 1 || shift > MOST_BITS) refuse("resample", `${shift} bits`, `1..${MOST_BITS}`);
  const before = starts.data.find((s) => s < 0);
  if (before !== undefined) refuse("resample", `an output that starts at ${before}`, "starts of at least 0");
  return {
    outputs,
    taps,
    start: (output) => starts.data[output],
    weight: (output, tap) => {
      const w = weights.data[output * taps + tap];
      return narrow ? (w << 16) >> 16 : w;
    },
    bits: shift,
  };
}

/** One output from its sources; those at `length` and behind it count as 0. */
export function resampleOne(
  source: (index: number) => number,
  length: number,
  { taps, start, weight, bits }: ResampleTable,
  output: number,
): number {
  const first = start(output);
  let sum = 1 << (bits - 1);
  for (let k = 0; k < taps && first + k < length; k++)
    sum = (sum + Math.imul(source(first + k), weight(output, k))) | 0;
  return Math.min(Math.max(sum >> bits, 0), 255);
}

/** x [rows, width, 3] -> [rows, 3, outputs]. */
export function resampleColumns(x: RefTensor, table: ResampleTable): RefTensor {
  requireInteger("resample_columns", "x", x);
  if (x.shape.length !== 3) refuse("resample_columns", `shape ${shapeText(x.shape)}`, "[rows, width, channels]");
  const [rows, width, channels] = x.shape;
  const data = allocate("u8", rows * channels * table.outputs);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) {
      const source = (i: number): number => x.data[(row * width + i) * channels + c];
      for (let i = 0; i < table.outputs; i++) data[at++] = resampleOne(source, width, table, i);
    }
  }
  return { dtype: "u8", shape: [rows, channels, table.outputs], data };
}

/** x [height, width] -> [outputs, width]. */
export function resampleRows(x: RefTensor, table: ResampleTable): RefTensor {
  requireInteger("resample_rows", "x", x);
  if (x.shape.length !== 2) refuse("resample_rows", `shape ${shapeText(x.shape)}`, "[height, width]");
  const [height, width] = x.shape;
  const data = allocate("u8", table.outputs * width);
  let at = 0;
  for (let i = 0; i < table.outputs; i++) {
    for (let column = 0; column < width; column++) {
      data[at++] = resampleOne((row) => x.data[row * width + column], height, table, i);
    }
  }
  return { dtype: "u8", shape: [table.outputs, width], data };
}
