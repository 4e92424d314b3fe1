/** Elementwise functions of the reference evaluator, with numpy broadcasting. */
import * as math from "../../core/math.ts";
import {
  allocate,
  broadcastShape,
  broadcastStrides,
  isFloat,
  type RefTensor,
  refuse,
  requireFloat,
  sameShape,
  stridedCopy,
} from "./tensor.ts";

function unary(x: RefTensor, f: (v: number) => number): RefTensor {
  const data = allocate(x.dtype, x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = f(x.data[i]);
  return { dtype: x.dtype, shape: x.shape, data };
}

function floatUnary(op: string, x: RefTensor, f: (v: number) => number): RefTensor {
  requireFloat(op, x);
  return unary(x, f);
}

/** Operand values, repeated to `shape`. */
function repeated(x: RefTensor, shape: readonly number[]): RefTensor["data"] {
  return sameShape(x.shape, shape) ? x.data : stridedCopy(x, shape, broadcastStrides(x.shape, shape)).data;
}

interface Pairs {
  readonly shape: readonly number[];
  readonly p: RefTensor["data"];
  readonly q: RefTensor["data"];
}

/** The values of two operands that meet. */
function pairs(op: string, a: RefTensor, b: RefTensor): Pairs {
  if (isFloat(a.dtype) !== isFloat(b.dtype)) {
    refuse(op, `operands of types ${a.dtype} and ${b.dtype}`, "both float or both integer");
  }
  const shape = broadcastShape(op, a.shape, b.shape);
  return { shape, p: repeated(a, shape), q: repeated(b, shape) };
}

function binary(
  op: string,
  a: RefTensor,
  b: RefTensor,
  f: (p: number, q: number) => number,
  dtype: RefTensor["dtype"] = a.dtype,
): RefTensor {
  const { shape, p, q } = pairs(op, a, b);
  const data = allocate(dtype, p.length);
  for (let i = 0; i < data.length; i++) data[i] = f(p[i], q[i]);
  return { dtype, shape, data };
}

export function neg(x: RefTensor): RefTensor {
  return unary(x, (v) => -v);
}

export function abs(x: RefTensor): RefTensor {
  return unary(x, Math.abs);
}

export function exp(x: RefTensor): RefTensor {
  return floatUnary("exp", x, math.exp);
}

export function log(x: RefTensor): RefTensor {
  return floatUnary("log", x, math.log);
}

export function sqrt(x: RefTensor): RefTensor {
  return floatUnary("sqrt", x, Math.sqrt);
}

/** 1 / sqrt(x). */
export function rsqrt(x: RefTensor): RefTensor {
  return floatUnary("rsqrt", x, (v) => 1 / Math.sqrt(v));
}

export function tanh(x: RefTensor): RefTensor {
  return floatUnary("tanh", x, math.tanh);
}

export function erf(x: RefTensor): RefTensor {
  return floatUnary("erf", x, math.erf);
}

export function sigmoid(x: RefTensor): RefTensor {
  return floatUnary("sigmoid", x, math.sigmoid);
}

export function sin(x: RefTensor): RefTensor {
  return floatUnary("sin", x, math.sin);
}

export function cos(x: RefTensor): RefTensor {
  return floatUnary("cos", x, math.cos);
}

/** max(x, 0); NaN stays NaN. */
export function relu(x: RefTensor): RefTensor {
  return unary(x, (v) => Math.max(v, 0));
}

/** x/2 (1 + erf(x / sqrt 2)): Hendrycks and Gimpel, "Gaussian error linear units", 2016. */
export function gelu(x: RefTensor): RefTensor {
  return floatUnary("gelu", x, (v) => 0.5 * v * (1 + math.erf(v * Math.SQRT1_2)));
}

/** x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): the same paper's approximation. */
export function geluTanh(x: RefTensor): RefTensor {
  const c = Math.sqrt(2 / Math.PI);
  return floatUnary("gelu_tanh", x, (v) => 0.5 * v * (1 + math.tanh(c * (v + 0.044715 * v * v * v))));
}

/** x sigmoid(1.702 x): the same paper's second approximation, used by CLIP. */
export function quickGelu(x: RefTensor): RefTensor {
  return floatUnary("quick_gelu", x, (v) => v * math.sigmoid(1.702 * v));
}

/** x sigmoid(x). */
export function silu(x: RefTensor): RefTensor {
  return floatUnary("silu", x, (v) => v * math.sigmoid(v));
}

/** a + b; integers wrap at 32 bits. The result has the type of `a`, as for all functions of two tensors below. */
export function add(a: RefTensor, b: RefTensor): RefTensor {
  // A loop of its own, as for products below: most graphs add and multiply more than all else.
  const { shape, p, q } = pairs("add", a, b);
  const data = allocate(a.dtype, p.length);
  for (let i = 0; i < data.length; i++) data[i] = p[i] + q[i];
  return { dtype: a.dtype, shape, data };
}

export function sub(a: RefTensor, b: RefTensor): RefTensor {
  return binary("sub", a, b, (p, q) => p - q);
}

export function mul(a: RefTensor, b: RefTensor): RefTensor {
  if (!isFloat(a.dtype)) return binary("mul", a, b, Math.imul);
  const { shape, p, q } = pairs("mul", a, b);
  const data = allocate(a.dtype, p.length);
  for (let i = 0; i < data.length; i++) data[i] = p[i] * q[i];
  return { dtype: a.dtype, shape, data };
}

/** a / b; the quotient of integers is truncated towards zero. @throws FoveaError for an integer divisor of 0. */
export function div(a: RefTensor, b: RefTensor): RefTensor {
  if (!isFloat(b.dtype) && b.data.includes(0)) refuse("div", "an integer divisor of 0", "divisors other than 0");
  return binary("div", a, b, (p, q) => p / q);
}

/** The larger of both; NaN if either is. */
export function max(a: RefTensor, b: RefTensor): RefTensor {
  return binary("max", a, b, Math.max);
}

/** The smaller of both; NaN if either is. */
export function min(a: RefTensor, b: RefTensor): RefTensor {
  return binary("min", a, b, Math.min);
}

/** a to the power b, as IEEE 754 defines it. */
export function pow(a: RefTensor, b: RefTensor): RefTensor {
  requireFloat("pow", a, b);
  return binary("pow", a, b, math.pow);
}

/** 1 where a < b, else 0, as f32. */
export function lt(a: RefTensor, b: RefTensor): RefTensor {
  return binary("lt", a, b, (p, q) => (p < q ? 1 : 0), "f32");
}

/** 1 where a <= b, else 0, as f32. */
export function le(a: RefTensor, b: RefTensor): RefTensor {
  return binary("le", a, b, (p, q) => (p <= q ? 1 : 0), "f32");
}

/** 1 where a = b, else 0, as f32. */
export function eq(a: RefTensor, b: RefTensor): RefTensor {
  return binary("eq", a, b, (p, q) => (p === q ? 1 : 0), "f32");
}

/** `a` where the condition is not 0, else `b`; all three broadcast. */
export function where(condition: RefTensor, a: RefTensor, b: RefTensor): RefTensor {
  if (isFloat(a.dtype) !== isFloat(b.dtype)) {
    refuse("where", `values of types ${a.dtype} and ${b.dtype}`, "both float or both integer");
  }
  const shape = broadcastShape("where", condition.shape, a.shape, b.shape);
  const c = repeated(condition, shape);
  const p = repeated(a, shape);
  const q = repeated(b, shape);
  const data = allocate(a.dtype, c.length);
  for (let i = 0; i < data.length; i++) data[i] = c[i] !== 0 ? p[i] : q[i];
  return { dtype: a.dtype, shape, data };
}
