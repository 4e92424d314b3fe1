/** Matrix products: tiles, edges of every axis, blocks of K, batches and strides, epilogues of every access. */
import type { EpilogueAccess } from "../../../kernels/wasm/emit/epilogue.ts";
import {
  type MatmulOptions,
  matmulArguments,
  matmulGrid,
  matmulKernel,
  matmulScratch,
} from "../../../kernels/wasm/emit/matmul.ts";
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import type { ElementwiseOp } from "../../../runtime/ir/ops.ts";
import { compare, type KernelCase, type KernelRun, runKernel, UNWRITTEN } from "../emit_kit.ts";
import { type Check, checkAll, integers, packed, paired } from "./pack_b_cases.ts";
import { evaluateExpr } from "./scalar_reference.ts";

export interface MatmulSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  /** Elements between the end of a row of A, or of a full operand, and the next. */
  readonly gap: number;
  /** One B for every batch entry. */
  readonly sharedB?: boolean;
  /** Operand that is the output itself, read before it is written. */
  readonly inPlace?: number;
  /** A is 0, so that a byte of a sum that was not cleared shows. */
  readonly zeros?: boolean;
}

/** Elements of an operand, and strides of its rows and batch entries. */
function operandLayout(access: EpilogueAccess, { m, n, batch, gap }: MatmulSizes): readonly [number, number, number] {
  switch (access) {
    case "row":
      return [batch * n, 0, n];
    case "full":
      return [batch * m * (n + gap) - gap, n + gap, m * (n + gap)];
    case "column":
      return [batch * m * 3 - 2, 3, m * 3];
    case "scalar":
      return [1, 0, 0];
  }
}

/** Brings small integers into the range of bytes, to both sides of 128. */
const BYTE_SHIFT = 128;

/** A product of small integers, which is exact, so that every bit is compared. */
export function matmulCheck(options: MatmulOptions, sizes: MatmulSizes): Check {
  const { m, n, k, batch, gap } = sizes;
  const { columns } = options;
  const aRowStride = k + gap;
  const numbers = integers(m + 7 * k, batch * m * aRowStride - gap);
  const a = options.aBytes === true ? Uint8Array.from(numbers, (v) => v + BYTE_SHIFT) : numbers;
  if (sizes.zeros === true) a.fill(0);
  const batchB = sizes.sharedB === true ? 1 : batch;
  const b = integers(n + 3 * k, batchB * k * n);
  const f32Panels = packed(b, { columns, transposed: false }, { n, k, batch: batchB, gap: 0 });
  const panels = options.half === undefined ? f32Panels : paired(options.half, f32Panels, k * columns);
  const layouts = options.operands.map((access) => operandLayout(access, sizes));
  const operands = layouts.map(([length], i) => integers(i + 100 * n, length));

  const expected = new Float32Array(batch * m * n);
  for (let z = 0; z < batch; z++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) sum += a[(z * m + i) * aRowStride + p] * b[((z % batchB) * k + p) * n + j];
        const values = options.operands.map((access, o) => {
          if (o === sizes.inPlace) return UNWRITTEN;
          const [, row, entry] = layouts[o];
          const column = access === "row" || access === "full" ? j : 0;
          return operands[o][z * entry + i * row + column];
        });
        expected[(z * m + i) * n + j] = evaluateExpr(options.epilogue, [sum, ...values]);
      }
    }
  }

  const run: KernelRun = {
    inputs: [a, panels, ...operands],
    outputLength: expected.length,
    args: (output, [pointerA, pointerB, ...pointers]) => {
      const values = new Map<string, number>([
        ["output", output],
        ["a", pointerA],
        ["b", pointerB],
        ["m", m],
        ["n", n],
        ["k", k],
        ["a_row_stride", aRowStride],
        ["a_batch_stride", m * aRowStride],
        ["b_batch_stride", batchB === 1 ? 0 : panels.length / batch],
        ...layouts.flatMap(([, row, entry], i): [string, number][] => [
          [`operand_${i}`, i === sizes.inPlace ? output : pointers[i]],
          [`operand_${i}_row_stride`, row],
          [`operand_${i}_batch_stride`, entry],
        ]),
      ]);
      return matmulArguments(options).map((name) => values.get(name) as number);
    },
    grid: matmulGrid(m, n, batch, options) as number,
    scratch: matmulScratch(options),
    misaligned: (m + n) % 4,
  };
  return (kernel) => {
    const wrong = compare(runKernel(kernel, run), expected, 0, 0);
    return wrong === undefined ? undefined : `m ${m}, n ${n}, k ${k}: ${wrong}`;
  };
}

const input = (i: number): ScalarExpr => ({ input: i });
const op = (name: ElementwiseOp, ...args: readonly ScalarExpr[]): ScalarExpr => ({ op: name, args });

const LINEAR: ScalarExpr = op("add", input(0), input(1));
const SCALED_RESIDUAL: ScalarExpr = op("add", op("mul", input(0), input(1)), input(2));
const ALL: ScalarExpr = op(
  "add",
  op("mul", op("sub", input(0), input(3)), input(2)),
  op("relu", op("mul", input(1), input(4))),
);

interface Row {
  readonly name: string;
  readonly options: Omit<MatmulOptions, "madd">;
  readonly sizes: readonly MatmulSizes[];
}

const plain = { epilogue: input(0), operands: [] };
const dynamic = { n: "argument", k: "argument", aRowStride: "argument" } as const;
const every = { epilogue: ALL, operands: ["row", "full", "column", "scalar"] } as const;

/** Every number of rows in a tile, and the edges of a block of rows. */
function heights(rows: number, rest: Omit<MatmulSizes, "m">): readonly MatmulSizes[] {
  const block = Math.ceil(64 / rows) * rows;
  const edges = [block, block + 1, 2 * block].map((m) => ({ ...rest, m, batch: 2 }));
  return [...Array.from({ length: rows }, (_, i) => ({ ...rest, m: rows + i })), { ...rest, m: 1 }, ...edges];
}

const ROWS: readonly Row[] = [
  {
    name: "2x16, sizes baked, one column left, bias",
    options: { rows: 2, columns: 16, n: 33, k: 13, aRowStride: 15, epilogue: LINEAR, operands: ["row"] },
    sizes: heights(2, { n: 33, k: 13, batch: 2, gap: 2 }),
  },
  {
    name: "2x16, whole panels, K in blocks",
    options: { rows: 2, columns: 16, n: 32, k: 803, aRowStride: 803, ...plain },
    sizes: [
      { m: 1, n: 32, k: 803, batch: 1, gap: 0 },
      { m: 2, n: 32, k: 803, batch: 1, gap: 0 },
      { m: 3, n: 32, k: 803, batch: 2, gap: 0, sharedB: true },
      { m: 65, n: 32, k: 803, batch: 1, gap: 0 },
      { m: 128, n: 32, k: 803, batch: 1, gap: 0 },
    ],
  },
  {
    name: "4x8, sizes as arguments, every access",
    options: { rows: 4, columns: 8, ...dynamic, ...every },
    sizes: [
      ...heights(4, { n: 9, k: 2, batch: 1, gap: 0 }),
      ...[5, 6, 7].map((m) => ({ m, n: m === 6 ? 8 : 12, k: 769, batch: 2, gap: 3 })),
      { m: 7, n: 23, k: 1537, batch: 2, gap: 1, sharedB: true },
    ],
  },
  {
    name: "3x12, layer scale and residual",
    options: {
      rows: 3,
      columns: 12,
      n: 20,
      k: "argument",
      aRowStride: 521,
      epilogue: SCALED_RESIDUAL,
      operands: ["row", "full"],
    },
    sizes: [
      ...heights(3, { n: 20, k: 4, batch: 1, gap: 517 }),
      ...[4, 5].map((m) => ({ m, n: 20, k: 520, batch: 2, gap: 1 })),
    ],
  },
  {
    name: "6x8, in place",
    options: {
      ...{ rows: 6, columns: 8, n: 17, k: 11, aRowStride: "argument", operands: ["full"] },
      epilogue: op("mul", op("mul", input(0), { constant: 2 ** -20 }), input(1)),
    },
    sizes: heights(6, { n: 17, k: 11, batch: 2, gap: 0, inPlace: 0 }),
  },
];

/** Four signs turned and operands added six times, which is exact and long enough for two rows in turn. */
export const LONG_EPILOGUE: ScalarExpr = Array.from({ length: 6 }).reduce<ScalarExpr>(
  (sum) => [1, 2, 3, 4].reduce<ScalarExpr>((x, operand) => op("add", op("neg", x), input(operand)), sum),
  input(0),
);

/** Spread numbers of A: panels in groups, K in parts, whole and not. */
const SPREAD_ROWS: readonly Row[] = [
  {
    name: "spread, 6x8, sizes as arguments, every access",
    options: { rows: 6, columns: 8, spread: true, ...dynamic, ...every },
    sizes: [
      ...heights(6, { n: 9, k: 5, batch: 1, gap: 0 }),
      // Sums that go on from one part of K to the next, in tiles of every number of rows.
      ...[1, 2, 3, 4, 5, 6].map((m) => ({ m, n: 23, k: 775, batch: 1, gap: 0 })),
      { m: 8, n: 20, k: 6, batch: 1, gap: 0 },
      { m: 7, n: 193, k: 193, batch: 2, gap: 3 },
      { m: 67, n: 97, k: 384, batch: 1, gap: 1 },
      { m: 11, n: 96, k: 389, batch: 2, gap: 0, sharedB: true },
    ],
  },
  {
    name: "spread, 4x12, sizes baked, bias",
    options: {
      ...{ rows: 4, columns: 12, spread: true, n: 131, k: 291, aRowStride: 293, mHint: { most: 70 } },
      ...{ epilogue: LINEAR, operands: ["row"] },
    },
    sizes: [1, 2, 3, 4, 7, 65, 70].map((m) => ({ m, n: 131, k: 291, batch: 2, gap: 2 })),
  },
];

/** A of bytes: K and panels in parts, whole and not. */
const BYTE_ROWS: readonly Row[] = [
  {
    name: "of bytes, 4x8, sizes as arguments, every access",
    options: { rows: 4, columns: 8, aBytes: true, ...dynamic, ...every },
    sizes: [
      ...heights(4, { n: 9, k: 2, batch: 1, gap: 0 }),
      { m: 64, n: 65, k: 256, batch: 2, gap: 3 },
      { m: 6, n: 79, k: 257, batch: 2, gap: 1 },
      { m: 5, n: 12, k: 300, batch: 1, gap: 1 },
      { m: 7, n: 130, k: 519, batch: 2, gap: 0, sharedB: true },
    ],
  },
  {
    name: "of bytes, 2x16, sizes baked, bias",
    options: {
      ...{ rows: 2, columns: 16, aBytes: true, n: 131, k: 259, aRowStride: 261 },
      ...{ epilogue: LINEAR, operands: ["row"] },
    },
    sizes: [
      ...[1, 2, 3, 65, 127].map((m) => ({ m, n: 131, k: 259, batch: 2, gap: 2 })),
      { m: 5, n: 131, k: 259, batch: 1, gap: 2, zeros: true },
    ],
  },
];

/** More tiles, which need no check of every constant. */
const MORE_ROWS: readonly Row[] = [
  {
    name: "1x4",
    options: { rows: 1, columns: 4, ...dynamic, ...plain },
    sizes: heights(1, { n: 5, k: 6, batch: 2, gap: 1 }),
  },
  {
    name: "8x4, K alone as an argument",
    options: { rows: 8, columns: 4, n: 6, k: "argument", aRowStride: 7, ...plain },
    sizes: heights(8, { n: 6, k: 5, batch: 1, gap: 2 }),
  },
  {
    name: "spread, 6x8, two rows in turn, every access",
    options: {
      ...{ rows: 6, columns: 8, spread: true, ...dynamic },
      ...{ epilogue: LONG_EPILOGUE, operands: ["column", "row", "full", "scalar"] },
    },
    sizes: [1, 2, 3, 6, 13, 65].map((m) => ({ m, n: 107, k: 11, batch: 2, gap: 3 })),
  },
];

const casesOf = (rows: readonly Row[], madd: boolean): readonly KernelCase[] =>
  rows.map(({ name, options, sizes }) => {
    const all = { ...options, madd };
    return {
      name: `matmul ${name}${madd ? ", relaxed" : ""}`,
      relaxed: madd,
      module: matmulKernel(all),
      check: checkAll(() => sizes.map((s) => matmulCheck(all, s))),
    };
  });

/** Cases that notice changes of single constants. */
export const matmulCases = (madd: boolean): readonly KernelCase[] => casesOf(ROWS, madd);

export const byteMatmulCases = (madd: boolean): readonly KernelCase[] => casesOf(BYTE_ROWS, madd);

export const spreadMatmulCases = (madd: boolean): readonly KernelCase[] => casesOf(SPREAD_ROWS, madd);

export const moreMatmulCases = (madd: boolean): readonly KernelCase[] => casesOf(MORE_ROWS, madd);
