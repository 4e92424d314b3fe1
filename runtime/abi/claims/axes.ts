/** Collapsing of axes: the fewest loops that walk several strided operands of one shape. */

import { internal } from "../../core/diagnostics.ts";
import { type Dim, dimEquals, mul, type Shape } from "../../core/dim.ts";

/** How an operand moves along the innermost axis: stride 1, stride 0, or any. */
export type InnerAccess = "contiguous" | "scalar" | "strided";

/** Element strides of one operand over collapsed axes. */
export interface CollapsedStrides {
  /** One per outer axis, outermost first. */
  readonly outer: readonly Dim[];
  /** Stride along the innermost axis. */
  readonly inner: Dim;
}

/** Loops over the elements of operands of one shape. */
export interface CollapsedAxes {
  /** Sizes of the outer axes, outermost first. */
  readonly outer: readonly Dim[];
  /** Size of the innermost axis; 1 when nothing is left. */
  readonly inner: Dim;
  /** In the order of the operands. */
  readonly strides: readonly CollapsedStrides[];
}

interface Axis {
  readonly size: Dim;
  readonly strides: readonly Dim[];
}

const mergeable = (outer: Axis, inner: Axis): boolean =>
  outer.strides.every((s, k) => dimEquals(s, mul(inner.strides[k], inner.size)));

/**
 * Drops axes of size 1 and joins neighbours that are one run for every operand. `strides` holds element strides per
 * operand (the output's among them, conventionally first), one for each axis of `shape`. A fully dense set of operands
 * collapses to no outer axes.
 */
export function collapseAxes(shape: Shape, strides: readonly (readonly Dim[])[]): CollapsedAxes {
  const axes: Axis[] = [];
  for (const [i, size] of shape.entries()) {
    if (dimEquals(size, 1)) continue;
    const axis = { size, strides: strides.map((s) => s[i]) };
    const last = axes[axes.length - 1];
    if (last !== undefined && mergeable(last, axis)) {
      axes[axes.length - 1] = { size: mul(last.size, size), strides: axis.strides };
    } else axes.push(axis);
  }
  // A single element is a contiguous run of one for everybody.
  const inner = axes.pop() ?? { size: 1, strides: strides.map(() => 1) };
  return {
    outer: axes.map((a) => a.size),
    inner: inner.size,
    strides: strides.map((_, k) => ({ outer: axes.map((a) => a.strides[k]), inner: inner.strides[k] })),
  };
}

/** Access class of an inner stride. */
export function innerAccess(stride: Dim): InnerAccess {
  return dimEquals(stride, 1) ? "contiguous" : dimEquals(stride, 0) ? "scalar" : "strided";
}

/**
 * For kernels that store vectors of a row.
 * @throws Error `internal:` unless the output, operand 0 of `axes`, is contiguous along the innermost axis
 */
export function requireContiguousOutput(axes: CollapsedAxes): void {
  if (!dimEquals(axes.strides[0].inner, 1)) internal("an output must be contiguous along its last axis");
}
