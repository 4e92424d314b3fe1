/** Scalar expressions: what a kernel computes for one element from one element of each operand. */
import type { ElementwiseOp } from "../../ir/ops.ts";

/** A function of one element of each input. A sub-expression that occurs as the same object is computed once. */
export type ScalarExpr =
  | { readonly input: number }
  | { readonly constant: number }
  | { readonly op: ElementwiseOp; readonly args: readonly ScalarExpr[] };
