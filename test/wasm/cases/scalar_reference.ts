/** Scalar expressions evaluated in f64, independently of the emitters. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import * as math from "../../../runtime/core/math.ts";
import type { ElementwiseOp } from "../../../runtime/ir/ops.ts";

const normalDistribution = (x: number): number => 0.5 * (1 + math.erf(x * Math.SQRT1_2));

const FUNCTIONS: Readonly<Record<ElementwiseOp, (...args: readonly number[]) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  exp: math.exp,
  log: math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  tanh: math.tanh,
  erf: math.erf,
  sigmoid: math.sigmoid,
  relu: (x) => Math.max(x, 0),
  gelu: (x) => x * normalDistribution(x),
  gelu_tanh: (x) => 0.5 * x * (1 + math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  quick_gelu: (x) => x * math.sigmoid(1.702 * x),
  silu: (x) => x * math.sigmoid(x),
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  eq: (a, b) => (a === b ? 1 : 0),
  cast: (x) => x,
  where: (c, a, b) => (c !== 0 ? a : b),
};

export function evaluateExpr(expr: ScalarExpr, inputs: readonly number[]): number {
  if ("input" in expr) return inputs[expr.input];
  if ("constant" in expr) return Math.fround(expr.constant);
  return FUNCTIONS[expr.op](...expr.args.map((a) => evaluateExpr(a, inputs)));
}
