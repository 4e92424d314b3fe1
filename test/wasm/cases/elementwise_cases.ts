/** Elementwise kernels: every op, every access class, every operand type. */

import {
  copyOptions,
  type ElementwiseOptions,
  elementwiseGrid,
  elementwiseKernel,
  elementwiseOptions,
  elementwiseWords,
  type OperandType,
} from "../../../kernels/wasm/emit/elementwise.ts";
import { type CollapsedAxes, collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { type Bindings, type Dim, evaluate } from "../../../runtime/core/dim.ts";
import { hash32 } from "../../../runtime/core/random.ts";
import type { ElementwiseOp } from "../../../runtime/ir/ops.ts";
import {
  compare,
  guarded,
  instantiate,
  type KernelCase,
  type KernelFunction,
  runKernel,
  UNWRITTEN,
  type Values,
} from "../emit_kit.ts";
import { evaluateExpr } from "./scalar_reference.ts";

/** An operand of a strided run, as element strides over its own storage. */
export interface StridedOperand {
  readonly dtype: OperandType;
  readonly strides: readonly Dim[];
}

/** An elementwise computation over one shape, sizes possibly symbolic. */
export interface StridedRun {
  readonly shape: readonly Dim[];
  /** Element strides of the output, which starts at its storage's first element. */
  readonly output: readonly Dim[];
  readonly operands: readonly StridedOperand[];
}

/** Offsets of all elements in row-major order. */
export function offsets(shape: readonly number[], strides: readonly number[]): number[] {
  let all = [0];
  shape.forEach((size, axis) => {
    all = all.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * strides[axis]));
  });
  return all;
}

export function axesOf(run: StridedRun): CollapsedAxes {
  return collapseAxes(run.shape, [run.output, ...run.operands.map((o) => o.strides)]);
}

const storage: Readonly<Record<OperandType, (values: readonly number[]) => Values>> = {
  f32: (values) => Float32Array.from(values),
  i32: (values) => Int32Array.from(values),
  u8: (values) => Uint8Array.from(values),
};

/** Small integers of any type: sums and products of them are exact. */
const smallInteger = (dtype: OperandType, seed: number, i: number): number =>
  dtype === "u8" ? hash32(seed, i) % 256 : (hash32(seed, i) % 41) - 20;

/** Runs a kernel over strided operands and compares it with an evaluation element by element, bit for bit. */
export function checkStrided(
  kernel: KernelFunction,
  expr: ScalarExpr,
  run: StridedRun,
  seed: number,
  bindings: Bindings = {},
): string | undefined {
  const numbers = (dims: readonly Dim[]): number[] => dims.map((d) => evaluate(d, bindings));
  const shape = numbers(run.shape);
  const places = [run.output, ...run.operands.map((o) => o.strides)].map((s) => offsets(shape, numbers(s)));
  const inputs = run.operands.map(({ dtype }, k) => {
    const length = Math.max(...places[k + 1]) + 1;
    return storage[dtype](Array.from({ length }, (_, i) => smallInteger(dtype, seed + k, i)));
  });
  const outputLength = Math.max(...places[0]) + 1;
  const expected = new Float32Array(outputLength).fill(UNWRITTEN);
  places[0].forEach((to, i) => {
    const values = inputs.map((x, k) => x[places[k + 1][i]]);
    expected[to] = evaluateExpr(expr, values);
  });
  const axes = axesOf(run);
  const found = runKernel(kernel, {
    inputs,
    outputLength,
    args: (output, pointers) => [output, ...pointers, ...numbers(elementwiseWords(axes))],
    grid: evaluate(elementwiseGrid(axes), bindings),
    misaligned: seed % 4,
  });
  return compare(found, expected, 0, 0);
}

/** Runs a kernel over dense f32 operands. */
export function runDense(kernel: KernelFunction, inputs: readonly Float32Array[]): Float32Array {
  const [{ length }] = inputs;
  return runKernel(kernel, {
    inputs,
    outputLength: length,
    args: (output, pointers) => [output, ...pointers, length],
    grid: Math.ceil(length / 1024),
    misaligned: 1,
  });
}

export function denseOptions(expr: ScalarExpr, operands: number, madd: boolean): ElementwiseOptions {
  const operand = { access: "contiguous", dtype: "f32" } as const;
  return { expr, operands: Array.from({ length: operands }, () => operand), outer: 0, madd };
}

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  NaN,
  Infinity,
  -Infinity,
  1e-42,
  -1e-42,
  2 ** -126,
  3.4e38,
  -3.4e38,
  1e-30,
  88.7,
  -103.9,
];

interface FunctionRow {
  /** Arguments lie between. */
  readonly range: readonly [number, number];
  /** Largest allowed error at x, where the exact value is y. One ulp of y is between 6e-8 |y| and 1.2e-7 |y|. */
  readonly error: (x: number, y: number) => number;
}

const relative =
  (factor: number): FunctionRow["error"] =>
  (_, y) =>
    factor * y;

/** Largest errors allowed. */
export const FUNCTION_ROWS: Readonly<Partial<Record<ElementwiseOp, FunctionRow>>> = {
  exp: { range: [-105, 90], error: relative(1.3e-7) },
  log: { range: [0, 4], error: relative(1.3e-7) },
  sqrt: { range: [0, 1000], error: relative(6e-8) },
  rsqrt: { range: [0, 9], error: relative(1.8e-7) },
  tanh: { range: [-11, 11], error: relative(3e-7) },
  erf: { range: [-5, 5], error: relative(4.5e-7) },
  sigmoid: { range: [-105, 30], error: relative(2.6e-7) },
  gelu: { range: [-12, 7], error: (x) => 1.3e-7 * x },
  gelu_tanh: { range: [-12, 7], error: (x) => 1.6e-7 * x },
  // Rounding of 1.702 x alone moves the exponential by 1.6e-7 |x|.
  quick_gelu: { range: [-62, 10], error: (x, y) => (4e-7 + 1.6e-7 * Math.abs(x)) * y },
  silu: { range: [-105, 20], error: relative(3.5e-7) },
};

/** Evenly spaced arguments, ever smaller ones, then special values that meet each of the four lanes, then a plain rest. */
export function functionArguments([low, high]: readonly [number, number], even: number, small: number): Float32Array {
  const spaced = Array.from({ length: even }, (_, i) => low + ((high - low) * i) / even);
  const tiny = Array.from({ length: small }, (_, i) => (i % 2 === 0 ? 1 : -1) * 2 ** (-i / 4) * 1.37);
  return Float32Array.from([...spaced, ...tiny, ...SPECIAL, ...SPECIAL, ...SPECIAL, ...SPECIAL, 0.9, 0.3, 1.7]);
}

/** What is wrong with `found` = op(x), given the row's tolerances. */
export function compareFunction(
  name: ElementwiseOp,
  row: FunctionRow,
  x: Float32Array,
  found: Float32Array,
): string | undefined {
  const expr: ScalarExpr = { op: name, args: [{ input: 0 }] };
  for (let i = 0; i < x.length; i++) {
    const y = evaluateExpr(expr, [x[i]]);
    // Below 2^-126 factors are rounded to a multiple of 2^-149.
    const absolute = 2 ** -149 * Math.max(1, Math.abs(x[i])) + Math.abs(row.error(x[i], y));
    const wrong = compare([found[i]], [y], 0, absolute);
    if (wrong !== undefined) return `${name}(${x[i]}): ${wrong}`;
  }
  return undefined;
}

function functionCase(op: ElementwiseOp, row: FunctionRow, madd: boolean): KernelCase {
  const x = functionArguments(row.range, 1500, 140);
  return {
    name: `${op}${madd ? ", relaxed" : ""}`,
    relaxed: madd,
    module: elementwiseKernel(denseOptions({ op, args: [{ input: 0 }] }, 1, madd)),
    check: (bytes) => guarded(() => compareFunction(op, row, x, runDense(instantiate(bytes), [x]))),
  };
}

const a: ScalarExpr = { input: 0 };
const b: ScalarExpr = { input: 1 };
const op = (name: ElementwiseOp, ...args: readonly ScalarExpr[]): ScalarExpr => ({ op: name, args });

/** Every pair of special values meets in every lane. */
function pairsCase(name: ElementwiseOp): KernelCase {
  const value = op(name, a, b);
  // A comparison alone would tell few operands apart.
  const expr = ["lt", "le", "eq"].includes(name) ? op("add", op("where", value, a, b), value) : value;
  const once = SPECIAL.flatMap((x) => SPECIAL.map((y) => [x, y] as const));
  // An odd number of times: every pair in every lane, several blocks, and a rest of 3.
  const pairs = [
    ...Array.from({ length: 11 }, () => once).flat(),
    ...([
      [3, -2],
      [-5, 7],
      [2.5, 2.5],
      [1, 9],
    ] as const),
  ];
  const left = Float32Array.from(pairs, ([x]) => x);
  const right = Float32Array.from(pairs, ([, y]) => y);
  const expected = Array.from(left, (x, i) => evaluateExpr(expr, [x, right[i]]));
  return {
    name,
    module: elementwiseKernel(denseOptions(expr, 2, false)),
    check: (bytes) => guarded(() => compare(runDense(instantiate(bytes), [left, right]), expected, 6e-8, 2 ** -149)),
  };
}

const f32 = (...strides: readonly Dim[]): StridedOperand => ({ dtype: "f32", strides });
const i32 = (...strides: readonly Dim[]): StridedOperand => ({ dtype: "i32", strides });
const u8 = (...strides: readonly Dim[]): StridedOperand => ({ dtype: "u8", strides });

const sum: ScalarExpr = op("add", op("mul", a, { constant: 3 }), op("sub", b, { constant: 5 }));
const relu: ScalarExpr = op("relu", a);
/** Reads both inputs and a shared sub-expression several times. */
const shared = op("sub", a, b);
const negative = op("lt", shared, { constant: 0 });
const chosen = op("add", op("where", negative, op("neg", shared), op("max", shared, b)), negative);

/** Runs with one collapsed structure, which the module is emitted for. */
interface StridedCase {
  readonly name: string;
  readonly expr: ScalarExpr;
  readonly runs: readonly StridedRun[];
}

/** Several blocks and a rest, exactly one block, less than a block, less than a vector. */
const SIZES = [1031, 1024, 7, 2];

const rows = (count: number, operands: (n: number) => readonly StridedOperand[]): readonly StridedRun[] =>
  SIZES.map((n) => ({ shape: [count, n], output: [n + 1, 1], operands: operands(n) }));

const STRIDED: readonly StridedCase[] = [
  { name: "dense", expr: relu, runs: SIZES.map((n) => ({ shape: [n], output: [1], operands: [f32(1)] })) },
  {
    name: "a bias along rows and one per row",
    expr: sum,
    runs: [...rows(5, () => [f32(0, 1), f32(1, 0)]), ...rows(2, (n) => [f32(n + 3, 1), f32(2, 0)])],
  },
  {
    name: "three axes, strided operands, a strided output",
    expr: sum,
    runs: SIZES.map((n) => ({
      shape: [3, 2, n],
      output: [3 * n + 4, n + 1, 1],
      operands: [f32(1, 2 * n + 5, 2), f32(5, 3, 3)],
    })),
  },
  {
    name: "i32 and u8, contiguous",
    expr: sum,
    runs: SIZES.map((n) => ({ shape: [n], output: [1], operands: [i32(1), u8(1)] })),
  },
  { name: "i32 one per row, u8", expr: sum, runs: rows(3, (n) => [i32(2, 0), u8(n, 1)]) },
  { name: "i32, u8 one per row", expr: sum, runs: rows(3, (n) => [i32(n, 1), u8(3, 0)]) },
  { name: "i32 and u8, strided", expr: sum, runs: rows(3, (n) => [i32(1, 5), u8(n * 7 + 5, 7)]) },
  { name: "a shared sub-expression", expr: chosen, runs: rows(3, (n) => [f32(n + 9, 1), f32(5, 1)]) },
];

function stridedCase({ name, expr, runs }: StridedCase, madd: boolean): KernelCase {
  const dtypes = runs[0].operands.map((o) => o.dtype);
  return {
    name: `${name}${madd ? ", relaxed" : ""}`,
    relaxed: madd,
    module: elementwiseKernel(elementwiseOptions(expr, dtypes, axesOf(runs[0]), madd)),
    check: (bytes) =>
      guarded(() => {
        const kernel = instantiate(bytes);
        const wrong = runs.map((run, i) => checkStrided(kernel, expr, run, i + 1));
        return wrong.find((w) => w !== undefined);
      }),
  };
}

function copyCase(): KernelCase {
  const runs = rows(3, (n) => [f32(n + 4, 1)]);
  const bits = (n: number): string | undefined => {
    const axes = collapseAxes([n], [[1], [1]]);
    // Integers whose bits are those of signalling NaNs and of subnormals.
    const x = Int32Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 0x7f800001 + i : i));
    const found = runKernel(instantiate(elementwiseKernel(copyOptions(axes)).bytes), {
      inputs: [x],
      outputLength: n,
      args: (output, [pointer]) => [output, pointer, n],
      grid: 1,
    });
    return compare(new Int32Array(found.buffer), x, 0, 0);
  };
  const copy = stridedCase({ name: "copy", expr: a, runs }, false);
  return { ...copy, check: (bytes) => copy.check(bytes) ?? bits(7) };
}

export function elementwiseCases(madd: boolean): readonly KernelCase[] {
  const functions = Object.entries(FUNCTION_ROWS) as [ElementwiseOp, FunctionRow][];
  const pairs = ["add", "sub", "mul", "div", "max", "min", "lt", "le", "eq"] as const;
  return [
    ...functions.map(([name, row]) => functionCase(name, row, madd)),
    ...(madd ? [] : pairs.map(pairsCase)),
    ...(madd ? [] : STRIDED.map((c) => stridedCase(c, madd))),
    ...(madd ? [] : [copyCase()]),
  ];
}
