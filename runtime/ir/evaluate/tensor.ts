/** Plain tensors of the reference evaluator, and the index arithmetic that its functions share. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { DType } from "../../core/dtype.ts";

/**
 * Dense row-major tensor. Values of float types are held as f64 and never rounded to their type, so that the
 * evaluator is more precise than any kernel; the caller rounds at the end. Integer types hold i32.
 */
export interface RefTensor {
  /** Type that the tensor stands for. */
  readonly dtype: DType;
  /** Sizes of the axes, outermost first. */
  readonly shape: readonly number[];
  /** f64 for float types, i32 for integers. */
  readonly data: Float64Array | Int32Array;
}

/** True for types whose values are real numbers (f16, bf16, f32). */
export function isFloat(dtype: DType): boolean {
  return dtype === "f32" || dtype === "f16" || dtype === "bf16";
}

/** "[2, 3]". */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** @throws FoveaError `evaluate.operand`: the sentence names the op, what was found and what was expected. */
export function refuse(op: string, found: string, expected: string): never {
  throw new FoveaError(
    "evaluate.operand",
    `The reference evaluator cannot apply ${op}: found ${found}, expected ${expected}.`,
  );
}

/** Product of the sizes; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Zeroed storage of the kind that `dtype` is held in. */
export function allocate(dtype: DType, count: number): Float64Array | Int32Array {
  return isFloat(dtype) ? new Float64Array(count) : new Int32Array(count);
}

/**
 * A tensor from values in row-major order. Values of integer types are truncated to i32.
 * @throws FoveaError `evaluate.operand` when a size is no count or the number of values is not the shape's.
 */
export function refTensor(dtype: DType, shape: readonly number[], values: ArrayLike<number>): RefTensor {
  if (!shape.every((d) => Number.isInteger(d) && d >= 0)) {
    refuse("tensor", `shape ${shapeText(shape)}`, "whole sizes of at least 0");
  }
  const count = elementCount(shape);
  if (values.length !== count) refuse("tensor", `${values.length} values`, `${count} for shape ${shapeText(shape)}`);
  const data = allocate(dtype, count);
  data.set(values);
  return { dtype, shape: [...shape], data };
}

/** @throws FoveaError unless every operand is of a float type. */
export function requireFloat(op: string, ...operands: readonly RefTensor[]): void {
  for (const t of operands) if (!isFloat(t.dtype)) refuse(op, `an operand of type ${t.dtype}`, "float operands");
}

/** @throws FoveaError unless the operand holds integers. */
export function requireInteger(op: string, name: string, t: RefTensor): void {
  if (isFloat(t.dtype)) refuse(op, `${name} of type ${t.dtype}`, "an integer type");
}

/** @throws FoveaError unless `t` has shape `shape`. */
export function requireShape(op: string, name: string, t: RefTensor, shape: readonly number[]): void {
  if (!sameShape(t.shape, shape)) refuse(op, `${name} of shape ${shapeText(t.shape)}`, shapeText(shape));
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = new Array(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/** Axis counted from the end when negative. @throws FoveaError when it is outside. */
export function resolveAxis(op: string, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= rank) refuse(op, `axis ${axis}`, `one of ${-rank}..${rank - 1}`);
  return at;
}

/** Source offset of every element of `shape`, in row-major order, for the given strides and first offset. */
export function stridedOffsets(shape: readonly number[], strides: readonly number[], base = 0): Int32Array {
  const offsets = new Int32Array(elementCount(shape));
  const index: number[] = new Array(shape.length).fill(0);
  let at = base;
  for (let i = 0; i < offsets.length; i++) {
    offsets[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return offsets;
}

/** A new tensor of `shape` whose elements are those of `x` at the strided offsets. */
export function stridedCopy(x: RefTensor, shape: readonly number[], strides: readonly number[], base = 0): RefTensor {
  const offsets = stridedOffsets(shape, strides, base);
  const data = allocate(x.dtype, offsets.length);
  for (let i = 0; i < data.length; i++) data[i] = x.data[offsets[i]];
  return { dtype: x.dtype, shape: [...shape], data };
}

/** numpy broadcasting: shapes are aligned at their last axes; sizes are equal or one of them is 1. */
export function broadcastShape(op: string, ...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out: number[] = new Array(rank).fill(1);
  for (const s of shapes) {
    s.forEach((d, i) => {
      const at = rank - s.length + i;
      if (d === 1) return;
      if (out[at] !== 1 && out[at] !== d) {
        refuse(op, `shapes ${shapes.map(shapeText).join(" and ")}`, `equal sizes or 1 on axis ${at - rank}`);
      }
      out[at] = d;
    });
  }
  return out;
}

/** Strides that read a tensor of shape `from` as shape `to`: 0 where a size is repeated. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return to.map((_, i) => (i < lead || from[i - lead] === 1 ? 0 : own[i - lead]));
}
