/** Numbers of two bytes: rounding and widening of every kind of number, panels, tables. */
import { gatherKernel } from "../../../kernels/wasm/emit/gather.ts";
import {
  type MatmulOptions,
  matmulArguments,
  matmulGrid,
  matmulKernel,
  matmulScratch,
} from "../../../kernels/wasm/emit/matmul.ts";
import {
  halfPackedWords,
  PACK_ARGUMENTS,
  type PackOptions,
  packGrid,
  packKernel,
  packScratch,
} from "../../../kernels/wasm/emit/pack_b.ts";
import { storedGrid, storedKernel } from "../../../kernels/wasm/emit/stored.ts";
import { encodeFromF32, type HalfDType } from "../../../runtime/core/dtype.ts";
import { roundToHalf } from "../../../runtime/core/half.ts";
import { hash32, normal } from "../../../runtime/core/random.ts";
import { firstDifference, type KernelCase, runKernel, UNWRITTEN } from "../emit_kit.ts";
import { type MatmulSizes, matmulCheck } from "./matmul_cases.ts";
import { type Check, checkAll, type PackSizes, packed, paired } from "./pack_b_cases.ts";

export const HALVES: readonly HalfDType[] = ["f16", "bf16"];

const words = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);

/** The largest finite numbers. */
const LARGEST: Readonly<Record<HalfDType, number>> = { f16: 65504, bf16: 255 * 2 ** 120 };

const bitsAsF32 = (bits: Uint32Array): Float32Array => new Float32Array(bits.buffer);

/** Finite f32 around every boundary that rounding to f16 or bf16 has, ties among them, then any bits and normal numbers. */
export function roundingValues(dtype: HalfDType, count: number, seed: number): Float32Array {
  const values: number[] = [0, -0, 65504, 65519.99, -65504, 2 ** -14, 2 ** -24, 2 ** -25, 2 ** -149];
  // Ties that go up to even, where the last of eleven values are.
  values.push(1 + 3 * 2 ** -11, 1 + 3 * 2 ** -8, 1, 1 + 2 ** -11);
  if (dtype === "bf16") values.push(2 ** 127, -LARGEST.bf16, 3 * 2 ** 126);
  for (let exponent = -27; exponent < 16; exponent++) {
    // Two units of the last place of f16 and the tie between them, from both sides.
    for (const part of [
      1,
      1.5,
      2047 / 1024,
      1 + 2 ** -10,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
    ])
      values.push(part * 2 ** exponent, -part * 2 ** exponent * (1 + 2 ** -23), part * 2 ** exponent * (1 - 2 ** -23));
  }
  const bits = Uint32Array.from({ length: count }, (_, i) => hash32(seed, i));
  const any = bitsAsF32(bits);
  return Float32Array.from({ length: count }, (_, i) => {
    if (i < values.length) return values[i];
    // Every fourth has a weight's usual size.
    if (i % 4 === 0) return 0.02 * normal(seed, i);
    return Math.abs(any[i]) < LARGEST[dtype] ? any[i] : (hash32(seed, i) % 65504) * 2 ** -(i % 40);
  });
}

const rounded = (dtype: HalfDType, values: Float32Array): Float32Array => values.map((v) => roundToHalf(dtype, v));

/** The first word that differs, if one does. */
function sameBits(found: Float32Array, expected: Float32Array): string | undefined {
  const at = firstDifference(found, expected);
  return at < 0 ? undefined : `word ${at} is ${found[at]} instead of ${expected[at]}`;
}

/** f32 to two bytes, or rounded f32, of `count` values. */
export function storedCheck(dtype: HalfDType, asF32: boolean, count: number, seed: number): Check {
  const x = roundingValues(dtype, count, seed);
  const bytes = asF32 ? new Uint8Array(rounded(dtype, x).buffer) : encodeFromF32(dtype, x);
  // An odd half leaves the upper part of its word alone.
  const expected = new Float32Array(Math.ceil(bytes.length / 4)).fill(UNWRITTEN);
  new Uint8Array(expected.buffer).set(bytes);
  return (kernel) =>
    sameBits(
      runKernel(kernel, {
        inputs: [x],
        outputLength: expected.length,
        args: (output, [from]) => [output, from, count],
        grid: storedGrid(count) as number,
        misaligned: seed % 4,
      }),
      expected,
    );
}

function halfPackCheck(options: PackOptions & { readonly half: NonNullable<PackOptions["half"]> }, n: number): Check {
  const { columns, transposed, half } = options;
  const sizes: PackSizes = { n, k: half.k, batch: 2, gap: 1 };
  const [rows, width] = transposed ? [n, half.k] : [half.k, n];
  const source = roundingValues(half.dtype, 2 * rows * (width + 1) - 1, n + half.k);
  // A tie of bf16 in the first column of each panel: a stray byte beside it would break it.
  for (let column = 0; column < n; column += columns) source[transposed ? column * (width + 1) : column] = 1 + 2 ** -8;
  const expected = paired(half.dtype, packed(source, options, sizes), half.k * columns);
  const values: Readonly<Record<string, number>> = {
    ...{ n, k: half.k },
    ...{ row_stride: width + 1, batch_stride: rows * (width + 1) },
  };
  return (kernel) =>
    sameBits(
      runKernel(kernel, {
        inputs: [source],
        outputLength: 2 * halfPackedWords(n, half.k, columns),
        args: (output, [b]) =>
          PACK_ARGUMENTS.map((name) => (name === "output" ? output : name === "b" ? b : (values[name] ?? 0))),
        grid: packGrid(n, 2, columns) as number,
        scratch: packScratch(options),
        misaligned: n % 4,
      }),
      expected,
    );
}

/** Rows of a table of two-byte numbers. */
function gatherCheck(dtype: HalfDType, rows: number, width: number, count: number, seed: number): Check {
  const table = rounded(dtype, roundingValues(dtype, rows * width, seed));
  const bytes = encodeFromF32(dtype, table);
  const held = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  held.set(bytes);
  const indices = Int32Array.from({ length: count }, (_, i) => (hash32(seed, i) % (rows + 1)) - 1);
  const row = (index: number): Float32Array => {
    const at = index < 0 ? rows - 1 : index;
    return table.subarray(at * width, (at + 1) * width);
  };
  const expected = Float32Array.from([...indices].flatMap((i) => [...row(i)]));
  return (kernel) =>
    sameBits(
      runKernel(kernel, {
        inputs: [words(held), indices],
        outputLength: count * width,
        args: (output, pointers) => [output, ...pointers, rows, width, 0, width],
        grid: count,
        misaligned: seed % 4,
      }),
      expected,
    );
}

export function storedCases(): readonly KernelCase[] {
  return HALVES.flatMap((dtype) => [
    ...[false, true].map((asF32) => ({
      name: `stored_as ${dtype}${asF32 ? ", as f32" : ""}`,
      module: storedKernel({ dtype, asF32 }),
      check: checkAll(() => [1, 7, 11, 1500, 4096, 8195].map((n, i) => storedCheck(dtype, asF32, n, i))),
    })),
    {
      name: `gather ${dtype}`,
      module: gatherKernel(dtype),
      check: checkAll(() => [
        gatherCheck(dtype, 5, 301, 4, 1),
        gatherCheck(dtype, 3, 4, 7, 2),
        gatherCheck(dtype, 9, 3, 5, 3),
      ]),
    },
  ]);
}

export function halfPackCases(): readonly KernelCase[] {
  return HALVES.flatMap((dtype) =>
    [
      { columns: 4, k: 7 },
      { columns: 8, k: 65 },
      { columns: 12, k: 35 },
      { columns: 16, k: 32 },
    ].flatMap(({ columns, k }) =>
      [false, true].map((transposed) => {
        const options = { columns, transposed, half: { dtype, k } };
        return {
          name: `pack_b ${columns} columns${transposed ? ", transposed" : ""}, ${dtype}`,
          module: packKernel(options),
          check: checkAll(() => [1, columns + 1, 2 * columns, 2 * columns + 3].map((n) => halfPackCheck(options, n))),
        };
      }),
    ),
  );
}

type HalfOptions = MatmulOptions & { readonly half: HalfDType; readonly n: number; readonly k: number };

/** Numbers of a weight's usual size, every eleventh below 2^-14 with a single bit: in each lane among normal ones. */
function mostlyNormal(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) =>
    i % 11 === 0 ? 2 ** ((i % 10) - 24) : 0.02 * normal(seed, i) + Math.sign(normal(seed, i)) * 2 ** -14,
  );
}

/** Rows of A that pick a row of B each, at most `most` in a run: every number of B, however small, comes out as it is. */
function pickCheck(options: HalfOptions, numbers: Float32Array, most: number): Check {
  const { columns, n, k, half } = options;
  const aRowStride = options.aRowStride as number;
  const b = rounded(half, numbers);
  const panels = paired(half, packed(b, { columns, transposed: false }, { n, k, batch: 1, gap: 0 }), k * columns);
  return (kernel) => {
    for (let from = 0; from < k; from += most) {
      const m = Math.min(most, k - from);
      const a = new Float32Array(m * aRowStride);
      for (let i = 0; i < m; i++) a[i * aRowStride + from + i] = 1;
      const found = runKernel(kernel, {
        inputs: [a, panels, new Float32Array(n)],
        outputLength: m * n,
        args: (output, [pointerA, pointerB, bias]) => {
          const values: Readonly<Record<string, number>> = { output, a: pointerA, b: pointerB, operand_0: bias, m };
          return matmulArguments(options).map((name) => values[name] ?? 0);
        },
        grid: matmulGrid(m, n, 1, options) as number,
        scratch: matmulScratch(options),
      });
      // Sums begin with 0, and 0 + -0 is 0.
      const wrong = sameBits(
        found,
        b.subarray(from * n, (from + m) * n).map((v) => v + 0),
      );
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

interface HalfProduct {
  readonly rows: number;
  readonly columns: number;
  readonly n: number;
  readonly k: number;
  readonly ms: readonly number[];
  /** The kernel knows the largest of `ms`. */
  readonly few?: boolean;
  /** Numbers of A are spread. */
  readonly spread?: boolean;
}

/** Odd numbers of vectors and of steps, several blocks of K, edges of a block of rows. */
const PRODUCTS: readonly HalfProduct[] = [
  { rows: 2, columns: 16, n: 33, k: 13, ms: [1, 2, 3, 128, 129, 257] },
  { rows: 2, columns: 16, n: 16, k: 803, ms: [1, 3, 131] },
  { rows: 1, columns: 16, n: 33, k: 13, ms: [1], few: true },
  { rows: 2, columns: 16, n: 16, k: 203, ms: [1, 2], few: true },
  { rows: 2, columns: 16, n: 33, k: 13, ms: [1, 2, 3, 4], few: true },
  { rows: 6, columns: 8, n: 17, k: 35, ms: [1, 5, 6, 7, 11, 12], few: true },
  { rows: 6, columns: 8, n: 17, k: 11, ms: [1, 6, 7, 131, 133] },
  { rows: 6, columns: 8, n: 9, k: 1539, ms: [5, 13] },
  { rows: 3, columns: 12, n: 20, k: 515, ms: [1, 2, 3, 4, 5, 129, 130, 258] },
  { rows: 1, columns: 4, n: 5, k: 1539, ms: [1, 2] },
  { rows: 8, columns: 4, n: 6, k: 5, ms: [8, 9, 137] },
  { rows: 6, columns: 8, n: 107, k: 389, ms: [1, 6, 7, 12, 13, 133], spread: true },
  { rows: 6, columns: 8, n: 203, k: 11, ms: [1, 6, 7, 12, 13, 20], few: true, spread: true },
];

export function halfMatmulCases(madd: boolean, products: readonly HalfProduct[] = PRODUCTS): readonly KernelCase[] {
  return HALVES.flatMap((half) =>
    products.map(({ rows, columns, n, k, ms, few = false, spread = false }) => {
      const options: HalfOptions = {
        ...{ rows, columns, n, k, aRowStride: k + 1, madd, half, spread },
        ...(few ? { mHint: { most: Math.max(...ms) } } : {}),
        epilogue: { op: "add", args: [{ input: 0 }, { input: 1 }] },
        operands: ["row"],
      };
      const sizes = ms.map((m): MatmulSizes => ({ m, n, k, batch: 2, gap: 1, sharedB: true }));
      return {
        name: `matmul ${rows}x${columns}, ${few ? `m up to ${Math.max(...ms)}, ` : ""}n ${n}, k ${k}, ${half}${spread ? ", spread" : ""}${madd ? ", relaxed" : ""}`,
        relaxed: madd,
        module: matmulKernel(options),
        check: checkAll(() => [
          ...sizes.map((size) => matmulCheck(options, size)),
          ...[roundingValues(half, k * n, n), mostlyNormal(k * n, n)].map((numbers) =>
            pickCheck(options, numbers, few ? Math.max(...ms) : k),
          ),
        ]),
      };
    }),
  );
}

/** Those whose single constants are changed one by one. */
export const mutatedHalfCases = (): readonly KernelCase[] => [
  ...storedCases(),
  ...halfPackCases().filter((c) => /12 columns,/.test(c.name) && !c.name.includes("transposed")),
  ...halfMatmulCases(
    false,
    PRODUCTS.filter(({ rows, columns, n, few }) => columns === 12 || (few && rows === 2 && n === 33)),
  ),
];
