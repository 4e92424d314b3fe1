/** Kernels over the last axis: normalizations, softmax, reductions. */
import type { KernelModule } from "../../../kernels/wasm/asm/module.ts";
import { l2NormalizeKernel, layerNormKernel, rmsNormKernel } from "../../../kernels/wasm/emit/normalize.ts";
import { reduceKernel } from "../../../kernels/wasm/emit/reduce.ts";
import { softmaxKernel } from "../../../kernels/wasm/emit/softmax.ts";
import { log } from "../../../runtime/core/math.ts";
import { hash32 } from "../../../runtime/core/random.ts";
import * as ref from "../../../runtime/ir/evaluate/mod.ts";
import {
  compareWithin,
  guarded,
  instantiate,
  type KernelCase,
  type KernelFunction,
  normals,
  runKernel,
} from "../emit_kit.ts";

const EPS = 1e-5;

const EIGHT: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8];

/** One computation over rows. */
export interface RowRun {
  readonly rows: number;
  readonly width: number;
  /** Elements between rows that belong to nobody. */
  readonly gap: number;
  readonly mean: number;
  readonly std: number;
  readonly seed: number;
  /** Sets single elements of the first row. */
  readonly first?: readonly number[];
}

export interface RowKind {
  readonly name: string;
  readonly module: (madd: boolean) => KernelModule;
  /** Operands of [width] beside x. */
  readonly parameters: number;
  readonly outWidth: "width" | "one";
  readonly expected: (x: ref.RefTensor, parameters: readonly ref.RefTensor[]) => ref.RefTensor;
  /** Largest allowed error of a value y. */
  readonly error: (y: number) => number;
  /** More computations for the check of single constants. */
  readonly more?: readonly RowRun[];
}

const tensor = (shape: readonly number[], x: ArrayLike<number>): ref.RefTensor => ref.refTensor("f32", shape, x);

export const ROW_KINDS: readonly RowKind[] = [
  {
    name: "layer_norm",
    module: (madd) => layerNormKernel({ eps: EPS, madd }),
    parameters: 2,
    outWidth: "width",
    expected: (x, [w, b]) => ref.layerNorm(x, w, b, EPS),
    error: (y) => 1e-6 * (1 + Math.abs(y)),
    more: [
      // First means that are far off their row cost precision: by one number, or by what lies between rows.
      { rows: 1, width: 8, gap: 0, mean: 0, std: 1e-4, seed: 57 },
      { rows: 2, width: 8, gap: 8, mean: 0, std: 1, seed: 58, first: [...EIGHT, ...EIGHT.map((x) => 1e6 * x)] },
    ],
  },
  {
    name: "rms_norm",
    module: () => rmsNormKernel(EPS),
    parameters: 1,
    outWidth: "width",
    expected: (x, [w]) => ref.rmsNorm(x, w, EPS),
    error: (y) => 6e-7 * Math.abs(y) + 1e-7,
  },
  {
    name: "l2_normalize",
    module: () => l2NormalizeKernel(),
    parameters: 0,
    outWidth: "width",
    expected: (x) => ref.l2Normalize(x),
    error: (y) => 6e-7 * Math.abs(y),
  },
  {
    name: "softmax",
    module: softmaxKernel,
    parameters: 0,
    outWidth: "width",
    expected: (x) => ref.softmax(x),
    error: (y) => (6e-7 + 1.2e-7 * Math.abs(log(y + 2 ** -149))) * y + 2 ** -147,
    more: [
      // The largest element in each lane, and rows that a wrong stride would miss.
      ...[0, 1, 2, 3].map((lane) => ({
        ...{ rows: 3, width: 11, gap: 12, mean: 0, std: 200, seed: 50 + lane },
        first: [0, 0, 0, 0].map((x, i) => (i === lane ? 900 : x)),
      })),
      { rows: 4, width: 3, gap: 0, mean: 0, std: 200, seed: 55 },
      { rows: 1, width: 5, gap: 0, mean: -3e38, std: 0, seed: 56 },
    ],
  },
  {
    name: "reduce_sum of squares",
    module: (madd) => reduceKernel({ reduction: "sum", expr: { op: "mul", args: [{ input: 0 }, { input: 0 }] }, madd }),
    parameters: 0,
    outWidth: "one",
    expected: (x) => ref.reduceSum(ref.mul(x, x), [-1]),
    error: (y) => 1e-6 * Math.abs(y),
  },
  {
    name: "reduce_mean",
    module: (madd) => reduceKernel({ reduction: "mean", expr: { input: 0 }, madd }),
    parameters: 0,
    outWidth: "one",
    expected: (x) => ref.reduceMean(x, [-1]),
    error: (y) => 1e-6 * (1 + Math.abs(y)),
  },
  {
    name: "reduce_max",
    module: (madd) => reduceKernel({ reduction: "max", expr: { input: 0 }, madd }),
    parameters: 0,
    outWidth: "one",
    expected: (x) => ref.reduceMax(x, [-1]),
    error: () => 0,
  },
];

/** Runs one computation and compares it with the reference evaluator. */
export function checkRows(kernel: KernelFunction, kind: RowKind, run: RowRun): string | undefined {
  const { rows, width, gap, mean, std, seed } = run;
  const stride = width + gap;
  // Exactly to the end of the last row.
  const x = normals(seed, rows * stride - gap, mean, std);
  x.set(run.first ?? []);
  const dense = Array.from({ length: rows }, (_, r) => [...x.subarray(r * stride, r * stride + width)]).flat();
  const parameters = Array.from({ length: kind.parameters }, (_, i) => normals(seed + 1 + i, width, 0.5));
  const expected = kind.expected(
    tensor([rows, width], dense),
    parameters.map((p) => tensor([width], p)),
  );
  const found = runKernel(kernel, {
    inputs: [x, ...parameters],
    outputLength: rows * (kind.outWidth === "width" ? width : 1),
    args: (output, pointers) => [output, ...pointers, width, stride],
    grid: rows,
    misaligned: seed % 4,
  });
  const wrong = compareWithin(found, expected.data, kind.error);
  return wrong && `${kind.name} of ${rows} x ${width} (mean ${mean}, std ${std}, seed ${seed}): ${wrong}`;
}

const run = (rows: number, width: number, gap: number, seed: number, more: Partial<RowRun> = {}): RowRun => ({
  ...{ rows, width, gap, seed, mean: 0, std: 1 },
  ...more,
});

/** Special values in the first of three rows; the others must not notice. */
const SPECIAL_ROWS: readonly RowRun[] = [
  run(3, 9, 2, 40, { first: [NaN] }),
  run(3, 9, 0, 41, { first: [1, 2, 3, 4, 5, 6, 7, 8, NaN] }),
  run(3, 6, 0, 42, { first: [1, Infinity] }),
  run(3, 6, 1, 43, { first: [-Infinity, 2] }),
  run(2, 5, 0, 44, { first: [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity] }),
  run(2, 5, 0, 45, { first: [0, 0, 0, 0, 0] }),
  run(2, 7, 0, 46, { first: [-200, -90, 0, -104, -1, -2, -30] }),
];

/** Small widths first: every rest of four, with and without whole fours. */
const PLAIN_ROWS: readonly RowRun[] = [
  ...[1, 2, 3, 4, 5, 7, 8, 13, 16, 19].map((width, i) => run(3, width, i % 3, i)),
  run(2, 131, 5, 20, { mean: 10 }),
  run(2, 131, 5, 21, { mean: -3, std: 4 }),
];

/** Long rows, with offsets that cost precision. */
export const LONG_ROWS: readonly RowRun[] = [
  ...[768, 1025, 4096].map((width, i) => run(2, width, 0, 60 + i)),
  ...[768, 4095].map((width, i) => run(2, width, 1, 70 + i, { mean: 10 })),
  run(2, 4096, 0, 80, { mean: -300, std: 2 }),
  run(2, 1000, 0, 81, { std: 1e-3 }),
];

/** A shape of any size from a seed. */
export function randomRun(seed: number): RowRun {
  const [rows, width, gap] = [1, 2, 3].map((i) => hash32(seed, i));
  return run(1 + (rows % 5), 1 + (width % 90), gap % 4, seed, { mean: (hash32(seed, 4) % 21) - 10, std: 2 });
}

export function rowCases(madd: boolean): readonly KernelCase[] {
  return ROW_KINDS.map((kind) => {
    const module = kind.module(madd);
    const runs = [...PLAIN_ROWS, ...SPECIAL_ROWS, ...(kind.more ?? [])];
    const check = (bytes: Uint8Array): string | undefined =>
      guarded(() => {
        const kernel = instantiate(bytes);
        for (const r of runs) {
          const wrong = checkRows(kernel, kind, r);
          if (wrong !== undefined) return wrong;
        }
        return undefined;
      });
    return { name: `${kind.name}${madd ? ", relaxed" : ""}`, module, check, relaxed: madd };
  });
}
