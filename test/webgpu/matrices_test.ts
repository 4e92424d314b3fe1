/** The kernels of subgroup matrices with plain WGSL in the matrices' place, at odd sizes between poison. */
import { after, test } from "node:test";
import { type AttentionOptions, attentionNames } from "../../kernels/webgpu/emit/attention.ts";
import { matrixAttentionGrid, matrixAttentionKernel } from "../../kernels/webgpu/emit/attention_matrix.ts";
import { matmulGrid } from "../../kernels/webgpu/emit/matmul.ts";
import {
  type MatrixMatmulOptions,
  type MatrixTile,
  matrixMatmulKernel,
} from "../../kernels/webgpu/emit/matmul_matrix.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { attention } from "../../runtime/ir/evaluate/attention.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
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

interface AttentionCase {
  readonly title: string;
  readonly headDim: number;
  readonly group?: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly keyMask?: boolean;
  readonly segments?: boolean;
  /** Rows' largest scores grow by much from block to block. */
  readonly scale?: number;
  readonly half?: boolean;
}

const ATTENTIONS: readonly AttentionCase[] = [
  { title: "heads of 16", headDim: 16 },
  { title: "heads of 24, which are no whole matrices, and scores that grow", headDim: 24, scale: 4 },
  { title: "keys for two heads each, results of f16", headDim: 40, group: 2, half: true },
  { title: "causal", headDim: 16, causal: true, scale: 2 },
  { title: "a window", headDim: 8, window: 5 },
  { title: "a mask", headDim: 16, keyMask: true },
  { title: "segments", headDim: 16, segments: true },
];

for (const given of ATTENTIONS) {
  const { headDim, group = 1, causal = false, window = 0, keyMask = false, segments = false, half = false } = given;
  test(`attention by matrices, ${given.title}`, async () => {
    const [batch, tokens, heads] = [segments ? 1 : 2, 71, 2];
    const own = heads / group;
    const scale = given.scale ?? 0.31;
    const [q, k, v] = [heads, own, own].map((count, i) => halves(31 + i, batch * tokens * count * headDim));
    const mask = Float32Array.from({ length: batch * tokens }, (_, i) => (hash32(7, i) % 3 === 0 ? 0 : 1));
    const offsets = Int32Array.of(0, 5, 40, tokens);
    const options: AttentionOptions = {
      ...{ headDim, scale, causal, window, keyMask, segments, group },
      kinds: ["read16", "read16", "read16", ...(keyMask || segments ? (["read"] as const) : [])],
      out: half ? "write16" : "write",
    };
    const words: Record<string, number> = { heads, queries: tokens, keys: tokens, segments: 3 };
    for (const [name, count] of Object.entries({ q: heads, k: own, v: own })) {
      words[`${name}_batch`] = tokens * count * headDim;
      words[`${name}_token`] = count * headDim;
      words[`${name}_head`] = headDim;
    }
    const count = q.values.length;
    const found = await runKernel(await device(), {
      code: withPlainMatrices(matrixAttentionKernel({ ...options, dialect: DIALECT })),
      inputs: [q.bytes, k.bytes, v.bytes, ...(keyMask ? [mask] : []), ...(segments ? [offsets] : [])],
      ...(half ? { outputLength: 2 * count, bytes: true } : { outputLength: count }),
      words: attentionNames(options).map((name) => words[name]),
      grid: matrixAttentionGrid(batch, heads, tokens) as number,
    });
    const tensor = (x: Float32Array, n: number): RefTensor => refTensor("f32", [batch, tokens, n, headDim], x);
    const expected = attention(tensor(q.values, heads), tensor(k.values, own), tensor(v.values, own), {
      ...{ scale, causal, window },
      ...(keyMask ? { keyMask: refTensor("f32", [batch, tokens], mask) } : {}),
      ...(segments ? { cuSeqlens: refTensor("i32", [offsets.length], offsets) } : {}),
    });
    // Weights are f16.
    assertNear(half ? asValues(found) : found, expected.data, HALF_STEP, "attention");
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
