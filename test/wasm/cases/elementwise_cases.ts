/** Elementwise kernels: every op, every access class, every operand type. */
import { type CollapsedAxes, collapseAxes } from "../../../kernels/wasm/emit/axes.ts";
import {
  copyOptions,
  type ElementwiseOptions,
  elementwiseGrid,
  elementwiseKernel,
  elementwiseOptions,
  elementwiseWords,
  type OperandType,
} from "../../../kernels/wasm/emit/elementwise.ts";
import type { ScalarExpr } from "../../../kernels/wasm/emit/expr.ts";
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
function offsets(shape: readonly number[], strides: readonly number[]): number[] {
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
  /** Relative error, and absolute error as a factor of |x|. */
  readonly relative: number;
  readonly ofArgument?: number;
}

/** Largest errors allowed; one ulp is between 6e-8 and 1.2e-7. */
export const FUNCTION_ROWS: Readonly<Partial<Record<ElementwiseOp, FunctionRow>>> = {
  exp: { range: [-105, 90], relative: 1.3e-7 },
  log: { range: [0, 4], relative: 1.3e-7 },
  sqrt: { range: [0, 1000], relative: 6e-8 },
  rsqrt: { range: [0, 9], relative: 1.8e-7 },
  tanh: { range: [-11, 11], relative: 3e-7 },
  erf: { range: [-5, 5], relative: 4.5e-7 },
  sigmoid: { range: [-105, 30], relative: 2.6e-7 },
  gelu: { range: [-12, 7], relative: 0, ofArgument: 1.3e-7 },
  gelu_tanh: { range: [-12, 7], relative: 0, ofArgument: 1.6e-7 },
  quick_gelu: { range: [-62, 10], relative: 0, ofArgument: 1.6e-7 },
  silu: { range: [-105, 20], relative: 0, ofArgument: 1.6e-7 },
};

/** Arguments of every size: evenly spaced ones, then ever smaller ones, then special values; mixed over the lanes. */
export function functionArguments([low, high]: readonly [number, number], even: number, small: number): Float32Array {
  const spaced = Array.from({ length: even }, (_, i) => low + ((high - low) * i) / even);
  const tiny = Array.from({ length: small }, (_, i) => (i % 2 === 0 ? 1 : -1) * 2 ** (-i / 4) * 1.37);
  return Float32Array.from([...spaced, ...tiny, ...SPECIAL]);
}

/** What is wrong with `found` = op(x), given the row's tolerances. */
export function compareFunction(
  op: ElementwiseOp,
  row: FunctionRow,
  x: Float32Array,
  found: Float32Array,
): string | undefined {
  const expr: ScalarExpr = { op, args: [{ input: 0 }] };
  for (let i = 0; i < x.length; i++) {
    // Half of the least subnormal is what rounding alone may cost.
    const absolute = 2 ** -149 + (Number.isFinite(x[i]) ? (row.ofArgument ?? 0) * Math.abs(x[i]) : 0);
    const wrong = compare([found[i]], [evaluateExpr(expr, [x[i]])], row.relative, absolute);
    if (wrong !== undefined) return `${op}(${x[i]}): ${wrong}`;
  }
  return undefined;
}

function functionCase(op: ElementwiseOp, row: FunctionRow, madd: boolean): KernelCase {
  const x = functionArguments(row.range, 1501, 140);
  return {
    name: `${op}${madd ? ", relaxed" : ""}`,
    module: elementwiseKernel(denseOptions({ op, args: [{ input: 0 }] }, 1, madd)),
    check: (bytes) => guarded(() => compareFunction(op, row, x, runDense(instantiate(bytes), [x]))),
  };
}

const a: ScalarExpr = { input: 0 };
const b: ScalarExpr = { input: 1 };
const op = (name: ElementwiseOp, ...args: readonly ScalarExpr[]): ScalarExpr => ({ op: name, args });

/** Every pair of special values meets in every lane. */
function pairsCase(name: ElementwiseOp): KernelCase {
  const expr = op(name, a, b);
  const pairs = SPECIAL.flatMap((x) => SPECIAL.map((y) => [x, y] as const));
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
/** Reads both inputs and a shared sub-expression twice. */
const shared = op("sub", a, b);
const chosen: ScalarExpr = op("where", op("lt", shared, { constant: 0 }), op("neg", shared), op("max", shared, b));

/** Shapes with the same collapsed structure as the first, which the module is emitted for. */
interface StridedCase {
  readonly name: string;
  readonly expr: ScalarExpr;
  readonly runs: readonly StridedRun[];
}

const STRIDED: readonly StridedCase[] = [
  {
    name: "dense, several blocks and a rest",
    expr: relu,
    runs: [2050, 1024, 3, 4099].map((n) => ({ shape: [n], output: [1], operands: [f32(1)] })),
  },
  {
    name: "a bias along rows and one per row",
    expr: sum,
    runs: [
      { shape: [5, 1027], output: [1027, 1], operands: [f32(0, 1), f32(1, 0)] },
      { shape: [3, 1024], output: [1024, 1], operands: [f32(0, 1), f32(2, 0)] },
      { shape: [7, 2], output: [2, 1], operands: [f32(0, 1), f32(1, 0)] },
    ],
  },
  {
    name: "three axes, strided operands, a strided output",
    expr: sum,
    runs: [
      { shape: [3, 4, 7], output: [40, 9, 1], operands: [f32(1, 30, 4), f32(70, 20, 3)] },
      { shape: [2, 5, 1030], output: [6000, 1100, 1], operands: [f32(1, 4000, 2), f32(3, 3, 3)] },
    ],
  },
  {
    name: "i32 and u8, contiguous",
    expr: sum,
    runs: [1031, 6].map((n) => ({ shape: [n], output: [1], operands: [i32(1), u8(1)] })),
  },
  {
    name: "i32 and u8, one per row",
    expr: sum,
    runs: [5, 9].map((n) => ({ shape: [3, n], output: [n, 1], operands: [i32(2, 0), u8(3, 0)] })),
  },
  {
    name: "i32 and u8, strided",
    expr: sum,
    runs: [1030, 7].map((n) => ({ shape: [3, n], output: [n, 1], operands: [i32(1, 5), u8(n * 7 + 5, 7)] })),
  },
  {
    name: "a shared sub-expression",
    expr: chosen,
    runs: [{ shape: [3, 37], output: [40, 1], operands: [f32(50, 1), f32(0, 1)] }],
  },
];

function stridedCase({ name, expr, runs }: StridedCase, madd: boolean): KernelCase {
  const dtypes = runs[0].operands.map((o) => o.dtype);
  return {
    name: `${name}${madd ? ", relaxed" : ""}`,
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
  const axes = collapseAxes(
    [3, 5],
    [
      [5, 1],
      [9, 1],
    ],
  );
  // Integers whose bits are those of signalling NaNs and of subnormals.
  const x = Int32Array.from({ length: 23 }, (_, i) => (i % 2 === 0 ? 0x7f800001 + i : -i));
  const expected = [0, 9, 18].flatMap((row) => [...x.subarray(row, row + 5)]);
  return {
    name: "copy of integers",
    module: elementwiseKernel(copyOptions(axes)),
    check: (bytes) =>
      guarded(() => {
        const found = runKernel(instantiate(bytes), {
          inputs: [x],
          outputLength: 15,
          args: (output, [pointer]) => [output, pointer, ...(elementwiseWords(axes) as number[])],
          grid: elementwiseGrid(axes) as number,
        });
        return compare(new Int32Array(found.buffer), expected, 0, 0);
      }),
  };
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
