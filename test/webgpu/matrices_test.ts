/** The kernels of subgroup matrices with plain WGSL in the matrices' place, at odd sizes between poison. */
import { after, test } from "node:test";
import type { AttentionOptions } from "../../kernels/webgpu/emit/attention.ts";
import { matrixAttentionGrid, matrixAttentionKernel } from "../../kernels/webgpu/emit/attention_matrix.ts";
import { matmulGrid } from "../../kernels/webgpu/emit/matmul.ts";
import {
  type MatrixMatmulOptions,
  type MatrixTile,
  matrixMatmulKernel,
} from "../../kernels/webgpu/emit/matmul_matrix.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { type AttentionShape, attentionProblem } from "./attention_kit.ts";
import { assertNear, asValues, HALF_STEP, halves, normals, openGpu, runKernel } from "./gpu_kit.ts";
import { withPlainMatrices } from "./plain_matrices.ts";
import { product } from "./tile_kit.ts";

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openGpu();
  return opened;
};
after(async () => (await opened)?.close());

const DIALECT = "chromium";

interface AttentionCase extends AttentionShape {
  readonly title: string;
  readonly half?: boolean;
}

const ATTENTIONS: readonly AttentionCase[] = [
  { title: "heads of 16", headDim: 16 },
  {
    title: "heads of 24, which are no whole matrices, and scores that grow from block to block",
    headDim: 24,
    scale: 4,
  },
  { title: "keys for two heads each, results of f16", headDim: 40, group: 2, half: true },
  { title: "causal", headDim: 16, causal: true, scale: 2 },
  { title: "a window", headDim: 8, window: 5 },
  { title: "a mask", headDim: 16, keyMask: true },
  { title: "segments", headDim: 16, segments: true },
];

for (const given of ATTENTIONS) {
  const { title, half = false } = given;
  test(`attention by matrices, ${title}`, async () => {
    const problem = attentionProblem(given, (seed, count) => {
      const { values, bytes } = halves(seed, count);
      return { values, stored: bytes };
    });
    const { batch, tokens, heads, inputs, expected } = problem;
    const options: AttentionOptions = {
      ...problem.options,
      kinds: inputs.map((_, i) => (i < 3 ? "read16" : "read")),
      out: half ? "write16" : "write",
    };
    const found = await runKernel(await device(), {
      code: withPlainMatrices(matrixAttentionKernel({ ...options, dialect: DIALECT })),
      ...{ inputs, words: problem.wordsOf(options) },
      ...(half ? { outputLength: 2 * expected.length, bytes: true } : { outputLength: expected.length }),
      grid: matrixAttentionGrid(batch, heads, tokens) as number,
    });
    // Weights are f16.
    assertNear(half ? asValues(found) : found, expected, HALF_STEP, "attention");
  });
}

/** As the card's, with parts of the sizes that drivers on the processor compile in a second. */
const TILE: MatrixTile = { rows: 64, columns: 64, ownRows: 32, ownColumns: 32, depth: 32 };

interface ProductCase {
  readonly title: string;
  readonly unit: 2 | 4;
  /** Numbers of K beyond whole blocks of them. */
  readonly over: number;
  readonly half?: boolean;
  readonly parts?: boolean;
}

const PRODUCTS: readonly ProductCase[] = [
  { title: "whole blocks of K, by four words", unit: 4, over: 0 },
  { title: "a K that ends inside of a block, by two words, results of f16", unit: 2, over: 12, half: true },
  { title: "a K that ends inside of a block, by four words, results of f16", unit: 4, over: 8, half: true },
  { title: "parts of K", unit: 4, over: 8, parts: true },
];

for (const { title, unit, over, half = false, parts = false } of PRODUCTS) {
  test(`products by matrices, ${title}`, async () => {
    const [m, n, k] = [TILE.rows + 3, TILE.columns + 24, 2 * TILE.depth + over];
    const [a, b] = [halves(1, 2 * m * k), halves(2, n * k)];
    // A bias, a residual of f16 and one that is read column by column.
    const [bias, residual, turned] = [normals(3, n), halves(4, 2 * m * n), normals(5, 2 * m * n)];
    const kinds: MatrixMatmulOptions["kinds"] = {
      out: half ? "write16" : "write",
      ...{ a: "read16", b: "weight16" },
      operands: parts
        ? []
        : [
            { kind: "weight", whole: true, isLine: true },
            { kind: "read16", whole: true, isLine: false },
            { kind: "read", whole: false, isLine: false },
          ],
    };
    const sum = [1, 2, 3].reduce((x: object, input) => ({ op: "add", args: [x, { input }] }), { input: 0 });
    const epilogue = parts ? undefined : (sum as MatrixMatmulOptions["epilogue"]);
    const chunk = TILE.depth;
    const count = parts ? Math.ceil(k / chunk) : 1;
    const elements = 2 * m * n;
    const operandWords = [0, 0, 1, m * n, n, 1, m * n, 1, m];
    const found = await runKernel(await device(), {
      code: withPlainMatrices(
        matrixMatmulKernel({ tile: TILE, unit, whole: over === 0 && !parts, epilogue, kinds, dialect: DIALECT }),
      ),
      inputs: [a.bytes, b.bytes, ...(parts ? [] : [bias, residual.bytes, turned])],
      ...(half ? { outputLength: 2 * elements, bytes: true } : { outputLength: count * elements }),
      words: [m, n, k, m * k, k, 0, k, ...(parts ? [chunk, elements] : operandWords)],
      grid: count * (matmulGrid(m, n, 2, TILE) as number),
    });
    const expected = Array.from({ length: count }, (_, part) =>
      [0, 1].flatMap((batch) => {
        const rows = a.values.subarray(batch * m * k, (batch + 1) * m * k);
        const own = parts ? rows.map((x, i) => (Math.floor((i % k) / chunk) === part ? x : 0)) : rows;
        return Array.from(product(own, b.values, [m, n, k], true), (x, i) => {
          if (parts) return x;
          const [row, column] = [Math.floor(i / n), i % n];
          const at = batch * m * n;
          return x + bias[column] + residual.values[at + i] + turned[at + column * m + row];
        });
      }),
    ).flat();
    assertNear(half ? asValues(found) : found, expected, half ? HALF_STEP : 1e-6, "C");
  });
}
