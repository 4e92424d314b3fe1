/** Scalar expressions: what a kernel computes for one element from one element of each operand. */
import type { ElementwiseOp } from "../../ir/ops.ts";

/** A function of one element of each input. A sub-expression that occurs as the same object is computed once. */
export type ScalarExpr =
  | { readonly input: number }
  | { readonly constant: number }
  | { readonly op: ElementwiseOp; readonly args: readonly ScalarExpr[] };

/** Canonical text: equal expressions have equal keys. */
export function exprKey(expr: ScalarExpr): string {
  if ("input" in expr) return `$${expr.input}`;
  if ("constant" in expr) return Object.is(expr.constant, -0) ? "-0" : String(expr.constant);
  return `${expr.op}(${expr.args.map(exprKey).join(", ")})`;
}
