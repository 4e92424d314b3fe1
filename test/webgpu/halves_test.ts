/** Kernels that read and write f16, each alone at odd sizes between poison; uploads that stay mapped. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  type AttentionOptions,
  attentionGrid,
  attentionKernel,
  attentionNames,
} from "../../kernels/webgpu/emit/attention.ts";
import { elementwiseKernel } from "../../kernels/webgpu/emit/elementwise.ts";
import { matmulKernel, TILES } from "../../kernels/webgpu/emit/matmul.ts";
import { directKernel } from "../../kernels/webgpu/emit/matmul_direct.ts";
import { sumKernel } from "../../kernels/webgpu/emit/matmul_sum.ts";
import { rotaryGrid, rotaryKernel } from "../../kernels/webgpu/emit/rotary.ts";
import { rowKernel } from "../../kernels/webgpu/emit/rows.ts";
import { packedHalfKernel } from "../../kernels/webgpu/emit/stored.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { f32ToF16 } from "../../runtime/core/half.ts";
import { attention } from "../../runtime/ir/evaluate/attention.ts";
import { refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { layerNorm } from "../../runtime/ir/evaluate/normalize.ts";
import { rotary } from "../../runtime/ir/evaluate/rotary.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openGraph } from "../kit/run_graph.ts";
import { assertNear, asValues, HALF_STEP, halves, normals, openGpu, runKernel } from "./gpu_kit.ts";
import { product } from "./tile_kit.ts";

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openGpu();
  return opened;
};
after(async () => (await opened)?.close());

const ADD = { op: "add", args: [{ input: 0 }, { input: 1 }] } as const;

test("products of f16 in tiles, straight from memory, and of added parts", async () => {
  const tile = TILES[3];
  const [m, n, k] = [tile.rows + 3, tile.columns + 6, 36];
  const [a, b, other] = [halves(1, m * k), halves(2, n * k), halves(3, m * n)];
  const sums = Array.from(product(a.values, b.values, [m, n, k], true), (v, i) => v + other.values[i]);
  const kinds = { out: "write16", a: "read16", b: "weight16", operands: ["read16"] } as const;
  const words = [m, n, k, m * k, k, 0, k, m * n, n, 1];
  const run = async (code: Uint8Array, grid: number, more: readonly number[] = []): Promise<void> => {
    const inputs = [a.bytes, b.bytes, other.bytes];
    const outputLength = 2 * m * n;
    const given = { code, inputs, outputLength, bytes: true, words: [...words, ...more], grid };
    assertNear(asValues(await runKernel(await device(), given)), sums, HALF_STEP, "C");
  };
  const options = { transposed: true, epilogue: ADD, kinds };
  await run(matmulKernel({ ...options, tile, whole: false }), 4);
  await run(directKernel(options), Math.ceil((m * n) / 64), [m * n]);
  const parts = normals(4, 3 * m * n);
  const found = await runKernel(await device(), {
    code: sumKernel({ epilogue: ADD, kinds: { out: "write16", operands: ["read16"] } }),
    inputs: [parts, other.bytes],
    outputLength: 2 * m * n,
    bytes: true,
    words: [m, n, 3, m * n, m * n, n, 1],
    grid: Math.ceil((m * n) / 128),
  });
  const added = Array.from(other.values, (v, i) => v + parts[i] + parts[i + m * n] + parts[i + 2 * m * n]);
  assertNear(asValues(found), added, HALF_STEP, "sum of parts");
});

test("norms of f16 give f16, of short and of long rows", async () => {
  const { make } = createInterner(OP_TABLE);
  for (const width of [36, 2500]) {
    const x = halves(5, 3 * width);
    const [weight, bias] = [normals(6, width), normals(7, width)];
    const input = (name: string, shape: readonly number[]) => make("input", [], { name, shape, dtype: "f32" });
    const node = make("layer_norm", [input("x", [3, width]), input("w", [width]), input("b", [width])], { eps: 1e-5 });
    const found = await runKernel(await device(), {
      code: rowKernel(node, { kinds: ["read16", "weight", "read"], out: "write16", inFours: false }),
      inputs: [x.bytes, weight, bias],
      outputLength: 2 * 3 * width,
      bytes: true,
      words: [width, width, width],
      grid: 3,
    });
    const tensor = (shape: readonly number[], data: Float32Array) => refTensor("f32", shape, data);
    const expected = layerNorm(tensor([3, width], x.values), tensor([width], weight), tensor([width], bias), 1e-5);
    assertNear(asValues(found), expected.data, HALF_STEP, `rows of ${width}`);
  }
});

test("rotary positions and elementwise chains of f16", async () => {
  const [tokens, heads] = [61, 3];
  for (const [headDim, pairs] of [
    [10, 4],
    [12, 4],
    [12, 6],
  ]) {
    const x = halves(8, tokens * heads * headDim);
    const [cos, sin] = [15, 16].map((seed) => normals(seed, tokens * pairs));
    for (const interleaved of [true, false]) {
      const found = await runKernel(await device(), {
        code: rotaryKernel({ headDim, pairs, interleaved, kinds: ["read16", "read", "read"], out: "write16" }),
        inputs: [x.bytes, cos, sin],
        outputLength: 2 * x.values.length,
        bytes: true,
        words: [x.values.length, tokens, heads, 0, heads * headDim, headDim, 0],
        grid: rotaryGrid(x.values.length, { headDim, pairs }) as number,
      });
      const tables = [cos, sin].map((t) => refTensor("f32", [1, tokens, pairs], t));
      const whole = refTensor("f32", [1, tokens, heads, headDim], x.values);
      const what = `rotary of ${pairs} pairs in ${headDim}`;
      assertNear(asValues(found), rotary(whole, tables[0], tables[1], interleaved).data, HALF_STEP, what);
    }
  }
  const y = normals(9, 60);
  const [first] = [halves(10, 60)];
  const found = await runKernel(await device(), {
    code: elementwiseKernel({
      expr: { op: "narrow", args: [ADD] } as never,
      operands: [
        { dtype: "f32", kind: "read16" },
        { dtype: "f32", kind: "read" },
      ],
      outer: 1,
      out: "write16",
    }),
    inputs: [first.bytes, y],
    outputLength: 120,
    bytes: true,
    words: [12, 5, 1, 12, 1, 12, 1, 12],
    grid: 1,
  });
  assertNear(
    asValues(found),
    Array.from(y, (v, i) => v + first.values[i]),
    HALF_STEP,
    "sum",
  );
});

test("attention of f16 gives f16", async () => {
  const [batch, tokens, heads, headDim] = [2, 37, 2, 4];
  const [q, k, v] = [11, 12, 13].map((seed) => halves(seed, batch * tokens * heads * headDim));
  const options: AttentionOptions = {
    ...{ headDim, scale: 0.31, causal: false, window: 0, keyMask: false, segments: false, group: 1 },
    kinds: ["read16", "read16", "read16"],
    out: "write16",
  };
  const words: Record<string, number> = { heads, queries: tokens, keys: tokens };
  for (const name of ["q", "k", "v"]) {
    words[`${name}_batch`] = tokens * heads * headDim;
    words[`${name}_token`] = heads * headDim;
    words[`${name}_head`] = headDim;
  }
  const found = await runKernel(await device(), {
    code: attentionKernel(options),
    inputs: [q.bytes, k.bytes, v.bytes],
    outputLength: 2 * q.values.length,
    bytes: true,
    words: attentionNames(options).map((name) => words[name]),
    grid: attentionGrid(batch, heads, tokens, headDim) as number,
  });
  const tensor = ({ values }: typeof q) => refTensor("f32", [batch, tokens, heads, headDim], values);
  const expected = attention(tensor(q), tensor(k), tensor(v), { scale: 0.31, causal: false, window: 0 });
  assertNear(asValues(found), expected.data, HALF_STEP, "attention");
});

test("weights are packed to the nearest f16, small, large and odd ones", async () => {
  const values = Float32Array.from([0, -0, 1, -1.0005, 65504, 65519, 65520, -1e9, 6e-8, 2e-8, 3.1e-5, 1 / 3, 1e-7]);
  const found = (await runKernel(await device(), {
    code: packedHalfKernel(),
    inputs: [values],
    outputLength: 4 * Math.ceil(values.length / 2),
    bytes: true,
    words: [values.length],
    grid: 1,
  })) as Uint8Array;
  const expected = new Uint16Array(values.length + 1);
  f32ToF16(values, expected);
  assert.deepEqual([...new Uint16Array(found.buffer)], [...expected]);
});

test("what is written to one place again and again arrives, also where writes overlap", async () => {
  const own = await device();
  const bytes = 2 ** 17;
  const buffer = own.allocate(bytes);
  const found = new Uint8Array(bytes);
  for (let turn = 1; turn <= 6; turn++) {
    own.write(buffer, 0, new Uint8Array(bytes).fill(turn));
    // A later write of a part comes behind.
    own.write(buffer, 8, Uint8Array.of(99, 98, 97, 96));
    await own.read(buffer, 0, found);
    const expected = new Uint8Array(bytes).fill(turn);
    expected.set([99, 98, 97, 96], 8);
    assert.deepEqual(found, expected);
  }
  own.release(buffer);
});

test("a weight of an odd number of values is kept as f16 and multiplies", async () => {
  const [rows, n, k] = [3, 37, 65];
  const weight = asValues(halves(21, n * k).bytes);
  const x = normals(22, rows * k);
  const opened = await openGraph({
    ...{ device: await device(), plugins: [webgpuPlugin], symbols: {}, dtype: "f16" },
    build: (b) => b.output("y", b.matmul(b.input("x", [rows, k]), b.weight("w", [n, k]), { transposeB: true })),
    weights: (_, shape) => refTensor("f32", shape, weight),
  });
  try {
    assert.deepEqual(
      opened.compiled.artifact.weights.map(({ dtype, bytes }) => [dtype, bytes]),
      [["f16", 2 * (n * k + 1)]],
    );
    const { y } = await opened.run({}, { x: refTensor("f32", [rows, k], x) });
    assertNear(y.data as Float64Array, product(x, Float32Array.from(weight), [rows, n, k], true), 1e-5, "y");
  } finally {
    opened.release();
  }
});
