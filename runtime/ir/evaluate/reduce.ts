/** Reductions of the reference evaluator. */
import {
  allocate,
  elementCount,
  type RefTensor,
  refuse,
  requireFloat,
  resolveAxis,
  shapeText,
  stridedOffsets,
  stridesOf,
} from "./tensor.ts";

interface Reduced {
  /** Result shape with the reduced axes kept as 1. */
  readonly kept: readonly number[];
  readonly shape: readonly number[];
  /** Result element that each element of the operand goes to. */
  readonly target: Int32Array;
  /** Operand elements for each result element. */
  readonly count: number;
}

function plan(op: string, x: RefTensor, axes: readonly number[], keepDims: boolean): Reduced {
  const over = new Set(axes.map((a) => resolveAxis(op, a, x.shape.length)));
  if (over.size !== axes.length) refuse(op, `axes ${shapeText(axes)}`, "each axis once");
  const kept = x.shape.map((d, i) => (over.has(i) ? 1 : d));
  const strides = stridesOf(kept).map((s, i) => (over.has(i) ? 0 : s));
  return {
    kept,
    shape: keepDims ? kept : x.shape.filter((_, i) => !over.has(i)),
    target: stridedOffsets(x.shape, strides),
    count: elementCount(x.shape.filter((_, i) => over.has(i))),
  };
}

/** Sum over `axes` (negative ones count from the end). Integers wrap at 32 bits. */
export function reduceSum(x: RefTensor, axes: readonly number[], keepDims = false): RefTensor {
  const rank = x.shape.length;
  if (axes.length === 1 && resolveAxis("reduce_sum", axes[0], rank) === rank - 1) return sumRows(x, keepDims);
  const { kept, shape, target } = plan("reduce_sum", x, axes, keepDims);
  const data = allocate(x.dtype, elementCount(kept));
  for (let i = 0; i < target.length; i++) data[target[i]] += x.data[i];
  return { dtype: x.dtype, shape, data };
}

/** Sums over the last axis: rows need no table of where their elements go. */
function sumRows({ dtype, shape, data }: RefTensor, keepDims: boolean): RefTensor {
  const outer = shape.slice(0, -1);
  const width = shape[outer.length];
  const sums = allocate(dtype, elementCount(outer));
  for (let row = 0; row < sums.length; row++) {
    const end = (row + 1) * width;
    let sum = 0;
    for (let i = end - width; i < end; i++) sum += data[i];
    sums[row] = sum;
  }
  return { dtype, shape: keepDims ? [...outer, 1] : outer, data: sums };
}

/** Mean over `axes`. @throws FoveaError for integers and for no elements. */
export function reduceMean(x: RefTensor, axes: readonly number[], keepDims = false): RefTensor {
  requireFloat("reduce_mean", x);
  const { count } = plan("reduce_mean", x, axes, keepDims);
  if (count === 0) refuse("reduce_mean", `axes without elements in ${shapeText(x.shape)}`, "at least one element");
  const sum = reduceSum(x, axes, keepDims);
  return { ...sum, data: Float64Array.from(sum.data, (v) => v / count) };
}

/** Largest value over `axes`; NaN if any is. @throws FoveaError for no elements. */
export function reduceMax(x: RefTensor, axes: readonly number[], keepDims = false): RefTensor {
  const { kept, shape, target, count } = plan("reduce_max", x, axes, keepDims);
  if (count === 0) refuse("reduce_max", `axes without elements in ${shapeText(x.shape)}`, "at least one element");
  const data = allocate(x.dtype, elementCount(kept)).fill(x.data instanceof Int32Array ? -2147483648 : -Infinity);
  for (let i = 0; i < target.length; i++) data[target[i]] = Math.max(data[target[i]], x.data[i]);
  return { dtype: x.dtype, shape, data };
}

/** Position (i32) of the first largest value along one axis; the first NaN counts as largest, as in numpy. */
export function argmax(x: RefTensor, axis: number, keepDims = false): RefTensor {
  const at = resolveAxis("argmax", axis, x.shape.length);
  const { kept, shape, target, count } = plan("argmax", x, [at], keepDims);
  if (count === 0) refuse("argmax", `an axis of size 0 in ${shapeText(x.shape)}`, "at least one element");
  const data = new Int32Array(elementCount(kept));
  const best = new Float64Array(data.length).fill(-Infinity);
  const inner = stridesOf(x.shape)[at];
  for (let i = 0; i < target.length; i++) {
    const v = x.data[i];
    const b = best[target[i]];
    if (v > b || (Number.isNaN(v) && !Number.isNaN(b))) {
      best[target[i]] = v;
      data[target[i]] = Math.floor(i / inner) % count;
    }
  }
  return { dtype: "i32", shape, data };
}
