/** Fixed-point resampling of bytes, and copies of strided bytes. */

import { byteCopyGrid, byteCopyKernel, byteCopyWords, byteLines } from "../../../kernels/wasm/emit/byte_copy.ts";
import { PIXEL_ROWS, resampleColumnsKernel } from "../../../kernels/wasm/emit/resample_columns.ts";
import { resampleRowsKernel } from "../../../kernels/wasm/emit/resample_rows.ts";
import { collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import { hash32 } from "../../../runtime/core/random.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import * as ref from "../../../runtime/ir/evaluate/mod.ts";
import { compare, guarded, instantiate, type KernelCase, type KernelFunction, runKernel } from "../emit_kit.ts";

const bytes = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => hash32(seed, i));

/** Starts that lie behind the axis now and then, weights of both signs, bits for sums around the middle. */
function table(length: number, outputs: number, taps: number, narrow: boolean, seed: number): readonly Int32Array[] {
  const bits = narrow ? 9 + (hash32(seed, 1) % 6) : 16 + (hash32(seed, 1) % 7);
  const most = 2 ** (narrow ? Math.min(bits, 15) : bits);
  const weights = Int32Array.from({ length: outputs * taps }, (_, i) => (hash32(seed + 2, i) % (2 * most)) - most);
  const starts = Int32Array.from({ length: outputs }, (_, i) => hash32(seed + 3, i) % (length + 2));
  return [starts, weights, Int32Array.of(bits)];
}

const tensors = ([starts, weights, bits]: readonly Int32Array[], taps: number): readonly ref.RefTensor[] => [
  ref.refTensor("i32", [starts.length], starts),
  ref.refTensor("i32", [starts.length, taps], weights),
  ref.refTensor("i32", [1], bits),
];

export interface ResampleSizes {
  readonly rows: number;
  readonly length: number;
  readonly outputs: number;
  readonly taps: number;
}

/** x [rows, length, 3] along its rows. */
export function checkColumns(
  kernel: KernelFunction,
  sizes: ResampleSizes,
  narrow: boolean,
  seed: number,
): string | undefined {
  const { rows, length, outputs, taps } = sizes;
  const x = bytes(rows * length * 3, seed);
  const own = table(length, outputs, taps, narrow, seed);
  const meaning = ref.resampleTable(tensors(own, taps), narrow);
  const expected = ref.resampleColumns(ref.refTensor("u8", [rows, length, 3], x), meaning);
  const found = runKernel(kernel, {
    inputs: [x, ...own],
    outputLength: Math.ceil(expected.data.length / 4),
    args: (output, pointers) => [output, ...pointers, rows, length, outputs, taps],
    grid: Math.ceil(rows / PIXEL_ROWS),
  });
  return compare(new Uint8Array(found.buffer, 0, expected.data.length), expected.data, 0, 0);
}

/** x [length, width], `width` a multiple of 4 unless there is one output: the kit looks at whole words of what a grid item writes. */
export function checkRows(
  kernel: KernelFunction,
  width: number,
  { length, outputs, taps }: ResampleSizes,
  narrow: boolean,
  seed: number,
): string | undefined {
  const x = bytes(length * width, seed);
  const own = table(length, outputs, taps, narrow, seed);
  const expected = ref.resampleRows(
    ref.refTensor("u8", [length, width], x),
    ref.resampleTable(tensors(own, taps), narrow),
  );
  const found = runKernel(kernel, {
    inputs: [x, ...own],
    outputLength: Math.ceil((outputs * width) / 4),
    args: (output, pointers) => [output, ...pointers, length, width, taps],
    grid: outputs,
  });
  return compare(new Uint8Array(found.buffer, 0, expected.data.length), expected.data, 0, 0);
}

/** Widths and numbers of outputs. */
const ROWS: readonly (readonly [number, number])[] = [
  [8, 3],
  [16, 3],
  [36, 3],
  [33, 1],
  [15, 1],
];

/** A check by several seeds: many sums are clamped. */
const checked =
  (check: (kernel: KernelFunction, seed: number) => string | undefined): KernelCase["check"] =>
  (bytes) =>
    guarded(() => {
      const kernel = instantiate(bytes);
      for (let seed = 0; seed < 100; seed++) {
        const wrong = check(kernel, seed);
        if (wrong !== undefined) return `seed ${seed}: ${wrong}`;
      }
      return undefined;
    });

/** Both kernels for both kinds of weights, with vectors, single elements and starts behind the axis. */
export function resampleCases(): readonly KernelCase[] {
  return [true, false].flatMap((narrow): readonly KernelCase[] => {
    const weights = narrow ? "narrow" : "wide";
    return [
      {
        name: `resample columns, ${weights}`,
        module: resampleColumnsKernel({ narrow }),
        check: checked((kernel, seed) => {
          const [rows, length] = seed % 3 === 0 ? [2, 3] : [4 + (seed % 8), 17 + (seed % 9)];
          return checkColumns(kernel, { rows, length, outputs: 5, taps: 4 * (1 + (seed % 3)) }, narrow, seed);
        }),
      },
      {
        name: `resample rows, ${weights}`,
        module: resampleRowsKernel({ narrow }),
        check: checked((kernel, seed) => {
          // One output may have any width, see checkRows.
          const [width, outputs] = ROWS[seed % ROWS.length];
          return checkRows(
            kernel,
            width,
            { rows: 1, length: 7 + (seed % 9), outputs, taps: 4 * (1 + (seed % 3)) },
            narrow,
            seed,
          );
        }),
      },
    ];
  });
}

/** A dense copy of a transposed tensor of bytes whose last two axes make whole words. */
export function checkByteCopy(shape: readonly number[], perm: readonly number[], seed: number): string | undefined {
  const x = bytes(
    shape.reduce((a, b) => a * b, 1),
    seed,
  );
  const own = denseStrides(shape);
  const to = perm.map((p) => shape[p]);
  const lines = byteLines(collapseAxes(to, [denseStrides(to), perm.map((p) => own[p])]));
  const expected = ref.transpose(ref.refTensor("u8", shape, x), perm);
  const found = runKernel(instantiate(byteCopyKernel(lines.options).bytes), {
    inputs: [x],
    outputLength: x.length / 4,
    args: (output, pointers) => [output, ...pointers, ...(byteCopyWords(lines) as readonly number[])],
    grid: byteCopyGrid(lines) as number,
  });
  return compare(new Uint8Array(found.buffer), expected.data, 0, 0);
}
