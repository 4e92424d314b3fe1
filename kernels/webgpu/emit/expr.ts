/** Scalar expressions as WGSL. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { internal } from "../../../runtime/core/diagnostics.ts";
import { f32 } from "./kernel.ts";

/** One element of each operand at a time, or four neighbours. */
export type Lanes = 1 | 4;

const typeOf = (lanes: Lanes): string => (lanes === 1 ? "f32" : "vec4<f32>");
const literal = (lanes: Lanes, value: number): string => (lanes === 1 ? f32(value) : `vec4<f32>(${f32(value)})`);

/**
 * Functions whose built-in forms lose too much or overflow on some adapters. `erf_`: Abramowitz and Stegun 7.1.26, absolute
 * error 1.5e-7; near 0 its series, where the other loses relative precision. `tanh_`: by exp of a number below 0; near 0 its series.
 */
export function mathFor(lanes: Lanes): string {
  const type = typeOf(lanes);
  return `
fn sigmoid_(x: ${type}) -> ${type} {
  let e = exp(-abs(x));
  return select(e, ${literal(lanes, 1)}, x >= ${literal(lanes, 0)}) / (1.0f + e);
}
fn tanh_(x: ${type}) -> ${type} {
  let a = abs(x);
  let e = exp(-2.0f * a);
  let s = a * a;
  let near = a * (1.0f - s * (0.33333333f - s * (0.13333333f - s * 0.05396825f)));
  return sign(x) * select((1.0f - e) / (1.0f + e), near, a < ${literal(lanes, 0.2)});
}
fn erf_(x: ${type}) -> ${type} {
  let a = abs(x);
  let t = 1.0f / (1.0f + 0.3275911f * a);
  let p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  let s = a * a;
  let near = a * (1.1283791671f - s * (0.3761263890f - s * (0.1128379167f - s * (0.0268661706f - s * 0.0052239776f))));
  return sign(x) * select(1.0f - p * exp(-s), near, a < ${literal(lanes, 0.35)});
}
`;
}

/** Spelling of an op; `of` writes a constant. */
type Spelling = (of: (value: number) => string, ...args: readonly string[]) => string;

const OPS: Readonly<Record<string, Spelling>> = {
  neg: (_, x) => `(-${x})`,
  abs: (_, x) => `abs(${x})`,
  sqrt: (_, x) => `sqrt(${x})`,
  rsqrt: (_, x) => `(1.0f / sqrt(${x}))`,
  relu: (of, x) => `max(${x}, ${of(0)})`,
  exp: (_, x) => `exp(${x})`,
  log: (_, x) => `log(${x})`,
  tanh: (_, x) => `tanh_(${x})`,
  erf: (_, x) => `erf_(${x})`,
  sigmoid: (_, x) => `sigmoid_(${x})`,
  gelu: (_, x) => `(0.5f * ${x} * (1.0f + erf_(${x} * 0.70710678f)))`,
  gelu_tanh: (_, x) => `(0.5f * ${x} * (1.0f + tanh_(0.79788456f * (${x} + 0.044715f * ${x} * ${x} * ${x}))))`,
  quick_gelu: (_, x) => `(${x} * sigmoid_(1.702f * ${x}))`,
  silu: (_, x) => `(${x} * sigmoid_(${x}))`,
  add: (_, a, b) => `(${a} + ${b})`,
  sub: (_, a, b) => `(${a} - ${b})`,
  mul: (_, a, b) => `(${a} * ${b})`,
  div: (_, a, b) => `(${a} / ${b})`,
  max: (_, a, b) => `max(${a}, ${b})`,
  min: (_, a, b) => `min(${a}, ${b})`,
  lt: (of, a, b) => `select(${of(0)}, ${of(1)}, ${a} < ${b})`,
  le: (of, a, b) => `select(${of(0)}, ${of(1)}, ${a} <= ${b})`,
  eq: (of, a, b) => `select(${of(0)}, ${of(1)}, ${a} == ${b})`,
  cast: (_, x) => x,
  // Rounded as it is written.
  narrow: (_, x) => x,
  where: (of, c, a, b) => `select(${b}, ${a}, ${c} != ${of(0)})`,
};

/** True for ops that this device computes elementwise. */
export const computes = (op: string): boolean => Object.hasOwn(OPS, op);

/** Statements that compute an expression, and the name of its value. Equal objects are computed once. */
export function lowerExpr(
  expr: ScalarExpr,
  inputs: readonly string[],
  lanes: Lanes = 1,
): { readonly code: string; readonly result: string } {
  const lines: string[] = [];
  const names = new Map<ScalarExpr, string>();
  const lower = (e: ScalarExpr): string => {
    if ("input" in e) return inputs[e.input] ?? internal(`an expression reads input ${e.input} of ${inputs.length}`);
    if ("constant" in e) return literal(lanes, e.constant);
    const known = names.get(e);
    if (known !== undefined) return known;
    const args = e.args.map(lower);
    const name = `v${lines.length}`;
    lines.push(`let ${name} = ${OPS[e.op]((value) => literal(lanes, value), ...args)};`);
    names.set(e, name);
    return name;
  };
  const result = lower(expr);
  return { code: lines.join("\n  "), result };
}

const CHEAP: readonly string[] = [
  "neg",
  "abs",
  "relu",
  "add",
  "sub",
  "mul",
  "max",
  "min",
  "lt",
  "le",
  "eq",
  "cast",
  "where",
];

/** f32 operations per element, roughly: a transcendental counts as eight. Shared sub-expressions count once. */
export function exprFlops(expr: ScalarExpr): number {
  const counted = new Set<ScalarExpr>();
  let flops = 0;
  const visit = (e: ScalarExpr): void => {
    if (!("op" in e) || counted.has(e)) return;
    counted.add(e);
    flops += CHEAP.includes(e.op) ? 1 : 8;
    e.args.forEach(visit);
  };
  visit(expr);
  return flops;
}
