/** Products of integers: codes of rows and of weights as the evaluator has them, and exact sums of their products. */
import { channelScalesGrid, channelScalesKernel } from "../../../kernels/wasm/emit/channel_scales.ts";
import {
  type MatmulOptions,
  matmulArguments,
  matmulGrid,
  matmulKernel,
  matmulScratch,
} from "../../../kernels/wasm/emit/matmul.ts";
import { type PackCodesOptions, packCodesKernel, packedCodes } from "../../../kernels/wasm/emit/pack_codes.ts";
import {
  codeSteps,
  codeWords,
  type QuantizeOptions,
  quantizeArguments,
  quantizeRowsKernel,
  ROW_PARAMETER_BYTES,
} from "../../../kernels/wasm/emit/quantize_rows.ts";
import { type IntegerForm, stepBytes } from "../../../kernels/wasm/emit/tile.ts";
import { hash32 } from "../../../runtime/core/random.ts";
import { channelScale, type Quantized, quantizeChannel, quantizeRow } from "../../../runtime/ir/evaluate/quantize.ts";
import { firstDifference, type KernelCase, normals, runKernel } from "../emit_kit.ts";
import { type Check, checkAll } from "./pack_b_cases.ts";

export const FORMS: readonly IntegerForm[] = ["dot", "pairs"];

/** The first word that differs, if one does. */
function sameWords(found: Float32Array, expected: Float32Array): string | undefined {
  const at = firstDifference(found, expected);
  const bits = (x: Float32Array): number => new Uint32Array(x.buffer, x.byteOffset)[at];
  return at < 0 ? undefined : `word ${at} is ${bits(found).toString(16)} instead of ${bits(expected).toString(16)}`;
}

/** Writes a row's codes as a kernel keeps them. */
function writeCodes(bytes: DataView, at: number, form: IntegerForm, codes: ArrayLike<number>): void {
  for (let i = 0; i < codes.length; i++) {
    if (form === "dot") bytes.setUint8(at + i, codes[i]);
    else bytes.setInt16(at + 2 * i, codes[i], true);
  }
}

/** Kinds of rows, in turns. */
const ROW_KINDS = 14;

/** Normal rows, one of zeros, of one sign, with ties, with numbers that round up at both ends, with an outlier in each lane. */
function rowsOf(count: number, k: number, seed: number): Float32Array {
  const x = normals(seed, count * k);
  return x.map((v, at) => {
    const [kind, i] = [Math.floor(at / k) % ROW_KINDS, at % k];
    if (kind === 1) return Math.abs(v) + 2;
    if (kind === 2) return -Math.abs(v);
    if (kind === 3) return 0;
    // With 63.5 among them a step is a half, and every other number a tie.
    if (kind === 4) return i === 0 ? 63.5 : (hash32(seed, at) % 250) / 4;
    // Codes of 126 and a half and of one and a half below 0: the zero point is 2, and 126 + 2 is no code.
    if (kind === 5) return i === 0 ? -1.5 : 125.5;
    if (kind > 5 && i === (kind - 6) % 4) return kind < 10 ? 60 : -60;
    return v;
  });
}

function quantizeCheck(options: QuantizeOptions, rows: number, gap: number): Check {
  const { form, k, scaled } = options;
  const stride = k + gap;
  const x = new Float32Array(rows * stride - gap);
  const own = rowsOf(rows, k, k + gap);
  const factors = Float32Array.from({ length: k }, (_, i) => 2 ** ((hash32(k, i) % 7) - 3));
  // Exact, so that what is quantised is the same with factors and without.
  const unscaled = own.map((v, i) => (scaled ? v / factors[i % k] : v));
  for (let i = 0; i < rows; i++) x.set(unscaled.subarray(i * k, (i + 1) * k), i * stride);
  const words = codeWords(options);
  const expected = new Float32Array(rows * (words + ROW_PARAMETER_BYTES / 4));
  const bytes = new DataView(expected.buffer);
  for (let i = 0; i < rows; i++) {
    const { codes, scale, zero } = quantizeRow(own.subarray(i * k, (i + 1) * k));
    writeCodes(bytes, 4 * i * words, form, codes);
    bytes.setFloat32(4 * rows * words + ROW_PARAMETER_BYTES * i, scale, true);
    bytes.setInt32(4 * rows * words + ROW_PARAMETER_BYTES * i + 4, zero, true);
  }
  return (kernel) =>
    sameWords(
      runKernel(kernel, {
        inputs: scaled ? [x, factors] : [x],
        outputLength: expected.length,
        args: (output, [from, by]) => {
          const values: Readonly<Record<string, number>> = {
            ...{ codes: output, parameters: output + 4 * rows * words, x: from, factors: by, row_stride: stride },
          };
          return quantizeArguments(options).map((name) => values[name]);
        },
        grid: rows,
        misaligned: k % 4,
      }),
      expected,
    );
}

/** A row that holds NaN has no scale; those beside it have theirs. */
function missingCheck(options: QuantizeOptions): Check {
  const { k, scaled } = options;
  const x = normals(3, 3 * k);
  x[k + 2] = Number.NaN;
  const words = codeWords(options);
  const scales = [0, 2].map((i) => quantizeRow(x.subarray(i * k, (i + 1) * k)).scale);
  return (kernel) => {
    const found = runKernel(kernel, {
      inputs: scaled ? [x, new Float32Array(k).fill(1)] : [x],
      outputLength: 3 * (words + 2),
      args: (output, [from, by]) => {
        const values: Readonly<Record<string, number>> = {
          ...{ codes: output, parameters: output + 12 * words, x: from, factors: by, row_stride: k },
        };
        return quantizeArguments(options).map((name) => values[name]);
      },
      grid: 3,
    });
    const [first, missing, last] = [0, 2, 4].map((at) => found[3 * words + at]);
    if (!Number.isNaN(missing)) return `the scale of a row with NaN is ${missing}`;
    return first === scales[0] && last === scales[1] ? undefined : `the scales are ${first} and ${last}`;
  };
}

export const quantizeCases = (): readonly KernelCase[] =>
  FORMS.flatMap((form) =>
    [1, 3, 16, 24, 39, 67].map((k) => {
      const options = { form, k, scaled: k % 2 === 1 };
      return {
        name: `quantize_rows ${form}, k ${k}`,
        module: quantizeRowsKernel(options),
        check: checkAll(() => [
          quantizeCheck(options, ROW_KINDS, 0),
          quantizeCheck(options, 6, 3),
          ...(k < 4 ? [] : [missingCheck(options)]),
        ]),
      };
    }),
  );

/** Weights in the kernel's layout. */
function packedWeights(options: PackCodesOptions, channels: readonly Quantized[], factors: Float32Array): Float32Array {
  const { form, columns, n, k } = options;
  const { panelBytes, scales, sums, bytes: length } = packedCodes(options);
  const words = new Float32Array(length / 4 + factors.length);
  const bytes = new DataView(words.buffer);
  const perStep = form === "dot" ? 4 : 2;
  const step = stepBytes({ integers: form });
  channels.forEach(({ codes, scale }, j) => {
    const first = Math.floor(j / columns) * panelBytes + (j % columns) * step;
    for (let i = 0; i < k; i++)
      bytes.setInt8(first + Math.floor(i / perStep) * step * columns + (i % perStep), codes[i]);
    bytes.setFloat32(scales + 4 * j, scale, true);
    bytes.setInt32(
      sums + 4 * j,
      codes.reduce((a, b) => a + b, 0),
      true,
    );
  });
  words.set(factors, length / 4);
  if (scales !== Math.ceil(n / columns) * panelBytes) throw new Error("panels and scales do not adjoin");
  return words;
}

function packCheck(options: PackCodesOptions, scaled: boolean): Check {
  const { columns, n, k } = options;
  // A row of zeros among rows whose largest number is anywhere, the first, the last, or one behind whole vectors.
  const w = normals(n + k, (n + (scaled ? 1 : 0)) * k).map((v, at) => {
    const [row, i] = [Math.floor(at / k), at % k];
    const largest = [-1, 0, 1, 2, 3, k - 1, k - 3][row % 7];
    return row === 7 ? 0 : i === largest ? -20 : v;
  });
  const channels = Array.from({ length: n }, (_, j) => quantizeChannel(w.subarray(j * k, (j + 1) * k)));
  const expected = packedWeights(options, channels, w.subarray(n * k));
  return (kernel) =>
    sameWords(
      runKernel(kernel, {
        inputs: [w],
        outputLength: expected.length,
        args: (output, [from]) => [output, from],
        grid: Math.ceil(n / columns),
        misaligned: n % 4,
      }),
      expected,
    );
}

export const packCodesCases = (): readonly KernelCase[] =>
  FORMS.flatMap((form) =>
    [
      { columns: 4, n: 3, k: 1 },
      { columns: 8, n: 17, k: 39 },
      { columns: 12, n: 24, k: 32 },
      { columns: 16, n: 35, k: 19 },
    ].map((sizes) => {
      const options = { form, ...sizes };
      const scaled = sizes.k % 2 === 1;
      return {
        name: `pack_codes ${form}, ${sizes.columns} columns, n ${sizes.n}, k ${sizes.k}`,
        module: packCodesKernel(options, scaled),
        check: checkAll(() => [packCheck(options, scaled)]),
      };
    }),
  );

function channelScalesCheck(n: number, k: number): Check {
  const w = normals(n, n * k).map((v, i) => (i % k === 2 ? 0 : v * 2 ** -(4 + (i % 5))));
  const magnitudes = Float32Array.from({ length: k }, (_, i) => (i % 5 === 4 ? 0 : 1 + (hash32(k, i) % 80)));
  const expected = magnitudes.map((m, j) => {
    let largest = 0;
    for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(w[i * k + j]));
    return channelScale(m, largest);
  });
  return (kernel) =>
    sameWords(
      runKernel(kernel, {
        inputs: [w, magnitudes],
        outputLength: k,
        args: (output, [from, sizes]) => [output, from, sizes, n, k],
        grid: channelScalesGrid(k) as number,
        misaligned: k % 4,
      }),
      expected,
    );
}

export const channelScalesCases = (): readonly KernelCase[] => [
  {
    name: "channel_scales",
    module: channelScalesKernel(),
    check: checkAll(() => [
      channelScalesCheck(3, 16),
      channelScalesCheck(1, 35),
      channelScalesCheck(2, 33),
      channelScalesCheck(5, 7),
    ]),
  },
];

interface IntegerProduct {
  readonly rows: number;
  readonly columns: number;
  readonly n: number;
  readonly k: number;
  readonly ms: readonly number[];
}

/** Edges of tiles, every low tile ahead of whole ones, edges of blocks of rows and of K, batches. */
const PRODUCTS: readonly IntegerProduct[] = [
  { rows: 6, columns: 8, n: 17, k: 37, ms: [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 66, 67, 132, 133] },
  { rows: 2, columns: 16, n: 32, k: 64, ms: [1, 2, 3, 64, 131] },
  { rows: 2, columns: 16, n: 35, k: 3301, ms: [1, 3] },
  { rows: 4, columns: 12, n: 13, k: 5, ms: [3, 65] },
];

/** Sums as the evaluator has them, and what the epilogue makes of them in f32. */
function productCheck(
  options: MatmulOptions & { readonly integers: IntegerForm; readonly n: number },
  k: number,
  m: number,
): Check {
  const { integers: form, columns, n } = options;
  const batch = 2;
  const rows = Array.from({ length: batch * m }, (_, i) => quantizeRow(rowsOf(1, k, i)));
  const channels = Array.from({ length: n }, (_, j) => quantizeChannel(normals(1000 + j, k)));
  const words = options.aRowStride as number;
  const codes = new Float32Array(batch * m * words);
  const parameters = new Float32Array(batch * m * 2);
  const [codeBytes, parameterBytes] = [new DataView(codes.buffer), new DataView(parameters.buffer)];
  rows.forEach(({ codes: own, scale, zero }, i) => {
    writeCodes(codeBytes, 4 * words * i, form, own);
    parameterBytes.setFloat32(8 * i, scale, true);
    parameterBytes.setInt32(8 * i + 4, zero, true);
  });
  const pack = { form, columns, n, k };
  const panels = packedWeights(pack, channels, new Float32Array(0));
  const bias = normals(7, n);
  const expected = new Float32Array(batch * m * n);
  rows.forEach((row, i) => {
    channels.forEach((channel, j) => {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += (row.codes[p] - row.zero) * channel.codes[p];
      expected[i * n + j] = Math.fround(Math.fround(sum) * Math.fround(row.scale * channel.scale)) + bias[j];
    });
  });
  const { scales, sums } = packedCodes(pack);
  return (kernel) =>
    sameWords(
      runKernel(kernel, {
        inputs: [codes, panels, parameters, bias],
        outputLength: expected.length,
        args: (output, [a, b, own, add]) => {
          const values: Record<string, number> = { output, a, b, m, a_batch_stride: m * words, operand_0: add };
          for (const i of [1, 2]) {
            values[`operand_${i}`] = own + 4 * (i - 1);
            values[`operand_${i}_row_stride`] = 2;
            values[`operand_${i}_batch_stride`] = 2 * m;
          }
          values.operand_3 = b + scales;
          values.operand_4 = b + sums;
          return matmulArguments(options).map((name) => values[name] ?? 0);
        },
        grid: matmulGrid(m, n, batch, options) as number,
        scratch: matmulScratch(options),
        misaligned: m % 4,
      }),
      expected,
    );
}

export const integerMatmulCases = (): readonly KernelCase[] =>
  FORMS.flatMap((form) =>
    PRODUCTS.map(({ rows, columns, n, k, ms }) => {
      const options = {
        ...{ rows, columns, n, madd: false, integers: form },
        k: codeSteps(form, k),
        aRowStride: codeWords({ form, k }),
        epilogue: { op: "add", args: [{ input: 0 }, { input: 1 }] },
        operands: ["row", "column", "column", "row", "row"],
      } as const;
      return {
        name: `matmul ${rows}x${columns}, n ${n}, k ${k}, integers, ${form}`,
        relaxed: form === "dot",
        module: matmulKernel(options),
        check: checkAll(() => ms.map((m) => productCheck(options, k, m))),
      };
    }),
  );

/** Those whose single constants are changed one by one. */
export const mutatedQuantizedCases = (): readonly KernelCase[] => [
  ...quantizeCases().filter((c) => /k 39$/.test(c.name)),
  ...packCodesCases().filter((c) => /n 17/.test(c.name)),
  ...channelScalesCases(),
  ...integerMatmulCases().filter((c) => /6x8/.test(c.name)),
];
