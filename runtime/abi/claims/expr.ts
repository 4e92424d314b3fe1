/** Scalar expressions: what a kernel computes for one element from one element of each operand. */
import type { ElementwiseOp } from "../../ir/ops.ts";

/** A function of one element of each input. A sub-expression that occurs as the same object is computed once. */
export type ScalarExpr =
  | { readonly input: number }
  | { readonly constant: number }
  | { readonly op: ElementwiseOp; readonly args: readonly ScalarExpr[] };

/** What {@link ScalarExpr} has, complete by its type, and what only rounds its value. */
const SCALAR_OPS = {
  ...{ neg: true, abs: true, exp: true, log: true, sqrt: true, rsqrt: true, tanh: true, erf: true },
  ...{ sigmoid: true, relu: true, gelu: true, gelu_tanh: true, quick_gelu: true, silu: true },
  ...{ add: true, sub: true, mul: true, div: true, max: true, min: true },
  ...{ lt: true, le: true, eq: true, where: true, cast: true, narrow: true },
} satisfies Record<ElementwiseOp | "narrow", true>;

/** Whether an expression can say an op. Those that plugins bring it cannot, whatever their kind. */
export const isScalarOp = (op: string): boolean => Object.hasOwn(SCALAR_OPS, op);
