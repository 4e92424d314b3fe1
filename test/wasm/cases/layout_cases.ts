/** Kernels that only move values: rows by index, patches. */

import { gatherKernel } from "../../../kernels/wasm/emit/gather.ts";
import { patchifyKernel } from "../../../kernels/wasm/emit/patchify.ts";
import {
  transposedCopy,
  transposedCopyGrid,
  transposedCopyKernel,
  transposedCopyWords,
} from "../../../kernels/wasm/emit/transposed_copy.ts";
import { collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import { hash32 } from "../../../runtime/core/random.ts";
import * as ref from "../../../runtime/ir/evaluate/mod.ts";
import {
  compare,
  guarded,
  instantiate,
  type KernelCase,
  type KernelFunction,
  runKernel,
  UNWRITTEN,
} from "../emit_kit.ts";
import { offsets } from "./elementwise_cases.ts";

/** Bits that arithmetic would change: signalling NaNs, subnormals. */
const anyBits = (length: number, seed: number): Int32Array => Int32Array.from({ length }, (_, i) => hash32(seed, i));

/** What is moved: words of 4 bytes or single bytes, of which a grid item writes whole words all the same. */
export type Elements = "words" | "bytes";

function anyElements(elements: Elements, length: number, seed: number): Int32Array | Uint8Array {
  return elements === "words" ? anyBits(length, seed) : Uint8Array.from(anyBits(length, seed));
}

/** Elements that a run wrote, and the words that they fill. */
const written = (elements: Elements, found: Float32Array): Int32Array | Uint8Array =>
  elements === "words" ? new Int32Array(found.buffer) : new Uint8Array(found.buffer);
const wordsOf = (elements: Elements, count: number): number => (elements === "words" ? count : count / 4);

/** The first failure of several checks. */
function firstWrong(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const wrong = check();
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** gather of a [rows, width] table. */
export function checkGather(
  kernel: KernelFunction,
  rows: number,
  width: number,
  count: number,
  seed: number,
  elements: Elements = "words",
): string | undefined {
  const table = anyElements(elements, rows * width, seed);
  const indices = Int32Array.from({ length: count }, (_, i) => hash32(seed + 1, i) % rows);
  const expected = ref.gather(ref.refTensor("i32", [rows, width], table), ref.refTensor("i32", [count], indices));
  const found = runKernel(kernel, {
    inputs: [table, indices],
    outputLength: wordsOf(elements, count * width),
    args: (output, pointers) => [output, ...pointers, rows, width, 0, width],
    grid: count,
    misaligned: seed % 4,
  });
  return compare(written(elements, found), expected.data, 0, 0);
}

/** take_row of a [batch, tokens, width] tensor with gaps between its rows. */
export function checkTakeRow(
  kernel: KernelFunction,
  shape: readonly number[],
  gap: number,
  seed: number,
  elements: Elements = "words",
): string | undefined {
  const [batch, tokens, width] = shape;
  const stride = width + gap;
  const x = anyElements(elements, batch * tokens * stride - gap, seed);
  const indices = Int32Array.from({ length: batch }, (_, i) => hash32(seed + 1, i) % tokens);
  const expected = [...indices].flatMap((index, b) => {
    const at = (b * tokens + index) * stride;
    return [...x.subarray(at, at + width)];
  });
  const found = runKernel(kernel, {
    inputs: [x, indices],
    outputLength: wordsOf(elements, batch * width),
    args: (output, pointers) => [output, ...pointers, tokens, width, tokens * stride, stride],
    grid: batch,
    misaligned: seed % 4,
  });
  return compare(written(elements, found), expected, 0, 0);
}

/** Indices outside of the table read its last row. */
function checkOutside(kernel: KernelFunction, elements: Elements = "words"): string | undefined {
  const width = 4;
  const table = anyElements(elements, 3 * width, 9);
  const found = runKernel(kernel, {
    inputs: [table, Int32Array.of(-1, 3, 2147483647, 0)],
    outputLength: wordsOf(elements, 4 * width),
    args: (output, pointers) => [output, ...pointers, 3, width, 0, width],
    grid: 4,
  });
  const last = [...table.subarray(2 * width)];
  return compare(written(elements, found), [...last, ...last, ...last, ...table.subarray(0, width)], 0, 0);
}

export interface PatchRun {
  readonly batch: number;
  readonly channels: number;
  readonly grid: readonly [number, number];
  readonly patch: readonly [number, number];
  /** Elements after each row, row block of a channel, and image that belong to nobody. */
  readonly gaps: readonly [number, number, number];
}

export function checkPatchify(
  kernel: KernelFunction,
  run: PatchRun,
  seed: number,
  elements: Elements = "words",
): string | undefined {
  const { batch, channels, grid, patch, gaps } = run;
  const [height, width] = [grid[0] * patch[0], grid[1] * patch[1]];
  const rowStride = width + gaps[0];
  const channelStride = height * rowStride + gaps[1];
  const batchStride = channels * channelStride + gaps[2];
  const x = anyElements(elements, batch * batchStride - gaps[0] - gaps[1] - gaps[2], seed);
  const image: number[] = [];
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < height; y++) {
        const at = n * batchStride + c * channelStride + y * rowStride;
        image.push(...x.subarray(at, at + width));
      }
    }
  }
  const expected = ref.patchify(ref.refTensor("i32", [batch, channels, height, width], image), patch[0], patch[1]);
  const found = runKernel(kernel, {
    inputs: [x],
    outputLength: wordsOf(elements, image.length),
    args: (output, pointers) => [output, ...pointers, channels, ...grid, batchStride, channelStride, rowStride],
    grid: batch * grid[0] * grid[1],
    misaligned: seed % 4,
  });
  return compare(written(elements, found), expected.data, 0, 0);
}

/** Strides of a copy: shape [o..., rows, columns], the output with gaps, the operand contiguous along rows. */
export interface TransposeRun {
  readonly shape: readonly number[];
  readonly output: readonly number[];
  readonly operand: readonly number[];
}

/** Dense but for `gap` elements after each row of the output, and after each column of the operand. */
export function transposeRun(outer: readonly number[], rows: number, columns: number, gap: number): TransposeRun {
  const shape = [...outer, rows, columns];
  const output = [columns + gap, 1];
  const operand = [1, rows + gap];
  // The other axes in reverse order in the operand.
  let [outputSize, operandSize] = [rows * (columns + gap) + 1, columns * (rows + gap) + 2];
  for (let i = outer.length - 1; i >= 0; i--) {
    output.unshift(outputSize);
    outputSize *= outer[i];
  }
  const strides = outer.map((size) => {
    const stride = operandSize;
    operandSize *= size;
    return stride;
  });
  return { shape, output, operand: [...strides, ...operand] };
}

export function checkTranspose(kernel: KernelFunction, run: TransposeRun, seed: number): string | undefined {
  const copy = transposedCopy(collapseAxes(run.shape, [run.output, run.operand]));
  if (copy === undefined) return "it is no transposed copy";
  const [to, from] = [offsets(run.shape, run.output), offsets(run.shape, run.operand)];
  const x = anyBits(Math.max(...from) + 1, seed);
  const expected = new Int32Array(Float32Array.from({ length: Math.max(...to) + 1 }, () => UNWRITTEN).buffer);
  to.forEach((at, i) => {
    expected[at] = x[from[i]];
  });
  const found = runKernel(kernel, {
    inputs: [x],
    outputLength: expected.length,
    args: (output, pointers) => [output, ...pointers, ...(transposedCopyWords(copy) as number[])],
    grid: transposedCopyGrid(copy) as number,
    misaligned: seed % 4,
  });
  return compare(new Int32Array(found.buffer), expected, 0, 0);
}

function transposeCase(outer: readonly number[]): KernelCase {
  const sizes = [
    [19, 71],
    [16, 64],
    [5, 7],
    [35, 130],
    [17, 65],
  ];
  const runs = sizes.map(([rows, columns], i) => transposeRun(outer, rows, columns, 1 + i));
  return {
    name: `transposed copy, ${outer.length} other axes`,
    module: transposedCopyKernel(outer.length),
    check: (bytes) =>
      guarded(() => {
        const kernel = instantiate(bytes);
        return firstWrong(runs.map((run, i) => () => checkTranspose(kernel, run, i)));
      }),
  };
}

function gatherCase(): KernelCase {
  return {
    name: "gather and take_row",
    module: gatherKernel(4),
    check: (bytes) =>
      guarded(() => {
        const kernel = instantiate(bytes);
        return firstWrong([
          () => checkGather(kernel, 7, 1, 9, 1),
          () => checkGather(kernel, 5, 23, 6, 2),
          () => checkTakeRow(kernel, [3, 4, 6], 1, 3),
          () => checkTakeRow(kernel, [2, 5, 8], 0, 4),
          () => checkOutside(kernel),
        ]);
      }),
  };
}

function gatherBytesCase(): KernelCase {
  return {
    name: "gather and take_row of bytes",
    module: gatherKernel(1),
    check: (bytes) =>
      guarded(() => {
        const kernel = instantiate(bytes);
        return firstWrong([
          () => checkGather(kernel, 7, 4, 9, 1, "bytes"),
          () => checkGather(kernel, 5, 44, 6, 2, "bytes"),
          () => checkTakeRow(kernel, [3, 4, 28], 1, 3, "bytes"),
          () => checkTakeRow(kernel, [2, 5, 32], 0, 4, "bytes"),
          () => checkOutside(kernel, "bytes"),
        ]);
      }),
  };
}

function patchifyBytesCase(patchHeight: number, patchWidth: number): KernelCase {
  const patch = [patchHeight, patchWidth] as const;
  const runs: readonly PatchRun[] = [
    { batch: 2, channels: 4, grid: [4, 2], patch, gaps: [3, 2, 5] },
    { batch: 3, channels: 4, grid: [3, 4], patch, gaps: [0, 0, 0] },
    { batch: 1, channels: 8, grid: [1, 3], patch, gaps: [0, 1, 0] },
  ];
  return {
    name: `patchify of bytes ${patchHeight} x ${patchWidth}`,
    module: patchifyKernel({ patchHeight, patchWidth, elementBytes: 1 }),
    check: (bytes) =>
      guarded(() => {
        const kernel = instantiate(bytes);
        return firstWrong(runs.map((run, i) => () => checkPatchify(kernel, run, i, "bytes")));
      }),
  };
}

function patchifyCase(patchHeight: number, patchWidth: number): KernelCase {
  const patch = [patchHeight, patchWidth] as const;
  const runs: readonly PatchRun[] = [
    { batch: 2, channels: 3, grid: [4, 2], patch, gaps: [3, 2, 5] },
    { batch: 3, channels: 1, grid: [3, 4], patch, gaps: [0, 0, 0] },
    { batch: 1, channels: 2, grid: [1, 3], patch, gaps: [0, 1, 0] },
  ];
  return {
    name: `patchify ${patchHeight} x ${patchWidth}`,
    module: patchifyKernel({ patchHeight, patchWidth, elementBytes: 4 }),
    check: (bytes) =>
      guarded(() => {
        const kernel = instantiate(bytes);
        return firstWrong(runs.map((run, i) => () => checkPatchify(kernel, run, i)));
      }),
  };
}

export function layoutCases(): readonly KernelCase[] {
  return [
    ...[transposeCase([]), transposeCase([3, 2])],
    ...[gatherCase(), gatherBytesCase()],
    ...[patchifyCase(2, 7), patchifyCase(8, 8), patchifyBytesCase(3, 23), patchifyBytesCase(2, 16)],
  ];
}
