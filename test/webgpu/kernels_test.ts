/** Each kernel alone, at odd sizes, between poison. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { byteCopyKernel, byteInsertKernel } from "../../kernels/webgpu/emit/byte_copy.ts";
import { elementwiseKernel } from "../../kernels/webgpu/emit/elementwise.ts";
import { lookupKernel, patchifyKernel } from "../../kernels/webgpu/emit/lookup.ts";
import { directKernel } from "../../kernels/webgpu/emit/matmul_direct.ts";
import { sumKernel } from "../../kernels/webgpu/emit/matmul_sum.ts";
import { resampleKernel } from "../../kernels/webgpu/emit/resample.ts";
import { rotaryGrid, rotaryKernel } from "../../kernels/webgpu/emit/rotary.ts";
import { storedKernel } from "../../kernels/webgpu/emit/stored.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { numberToBf16, numberToF16, roundToHalf } from "../../runtime/core/half.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { resampleColumns, resampleRows, resampleTable } from "../../runtime/ir/evaluate/resample.ts";
import { rotary } from "../../runtime/ir/evaluate/rotary.ts";
import { testAttention } from "./attention_kit.ts";
import { assertNear, normals, openGpu, runKernel } from "./gpu_kit.ts";
import { product, testTile } from "./tile_kit.ts";

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openGpu();
  return opened;
};
after(async () => (await opened)?.close());

const ints = (seed: number, count: number, below: number): Int32Array<ArrayBuffer> =>
  Int32Array.from({ length: count }, (_, i) => hash32(seed, i) % below);
const bytes = (seed: number, count: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: count }, (_, i) => hash32(seed, i) % 256);

// The other takes drivers on the processor seconds; test/slow has it.
testTile(3, device);

test("parts of a product are added, with what follows", async () => {
  const [m, n, count] = [5, 17, 3];
  const [parts, other, row] = [normals(1, count * 2 * m * n), normals(2, 2 * m * n), normals(3, n)];
  const kinds = { out: "write", operands: ["read", "weight"] } as const;
  const sum = { op: "add", args: [{ input: 0 }, { input: 1 }] } as const;
  const found = await runKernel(await device(), {
    code: sumKernel({ epilogue: { op: "mul", args: [sum, { input: 2 }] }, kinds }),
    inputs: [parts, other, row],
    outputLength: 2 * m * n,
    words: [m, n, count, 2 * m * n, m * n, n, 1, 0, 0, 1],
    grid: 2,
  });
  const expected = Array.from(other, (v, i) => {
    const whole = parts[i] + parts[i + 2 * m * n] + parts[i + 4 * m * n];
    return (whole + v) * row[i % n];
  });
  assertNear(found, expected, 1e-6, "C");
});

test("products of few numbers, both ways of B", async () => {
  const [m, n, k] = [5, 17, 37];
  const [a, b, row] = [normals(1, 2 * m * k), normals(2, 2 * n * k), normals(3, n)];
  const kinds = { out: "write", a: "read", b: "read", operands: ["weight"] } as const;
  const epilogue = { op: "mul", args: [{ input: 0 }, { input: 1 }] } as const;
  for (const transposed of [true, false]) {
    const found = await runKernel(await device(), {
      code: directKernel({ transposed, epilogue, kinds }),
      inputs: [a, b, row],
      outputLength: 2 * m * n,
      words: [m, n, k, m * k, k, n * k, transposed ? k : n, 0, 0, 1, 2 * m * n],
      grid: 3,
    });
    const expected = [0, 1].flatMap((batch) =>
      Array.from(
        product(a.subarray(batch * m * k), b.subarray(batch * n * k), [m, n, k], transposed),
        (v, i) => v * row[i % n],
      ),
    );
    assertNear(found, expected, 1e-6, "C");
  }
});

for (const given of [
  {
    title: "causal keys of a window, masked, two heads for each of keys",
    group: 2,
    causal: true,
    window: 3,
    keyMask: true,
    tiled: true,
  },
  { title: "keys of the own segment, heads of odd size", headDim: 11, segments: true },
])
  testAttention(given, device);

const FUNCTIONS: Readonly<Record<string, (x: number) => number>> = {
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  silu: (x) => x / (1 + Math.exp(-x)),
  quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};
test("functions from small to far arguments, read through strides", async () => {
  const count = 301;
  const x = Float32Array.from({ length: count }, (_, i) => (i - 150) ** 3 / 40_000);
  for (const [op, exact] of Object.entries(FUNCTIONS)) {
    const expr = { op, args: [{ input: 0 }] } as never;
    const found = await runKernel(await device(), {
      code: elementwiseKernel({ expr, operands: [{ dtype: "f32", kind: "read" }], outer: 1 }),
      inputs: [x],
      starts: [count - 1],
      outputLength: count,
      // Seven columns of 43, read from the last to the first.
      words: [43, 7, 1, 43, 2 ** 32 - 1, 2 ** 32 - 43],
      grid: 2,
    });
    for (let i = 0; i < count; i++) {
      const [given, value] = [x[count - 1 - i], exact(x[count - 1 - i])];
      const off = Math.abs(found[i] - value);
      assert.ok(off <= 3e-6 * Math.abs(value) + 2e-7, `${op}(${given}) is ${found[i]} instead of ${value}`);
    }
  }
});

test("bytes through strides, and put between others", async () => {
  const from = bytes(8, 3 * 5 * 7);
  const turned = await runKernel(await device(), {
    code: byteCopyKernel(1, "read"),
    inputs: [from],
    outputLength: 35,
    bytes: true,
    // [5, 7] of [7, 15], turned.
    words: [35, 7, 15, 5, 1],
    grid: 1,
  });
  assert.deepEqual(
    [...turned],
    Array.from({ length: 35 }, (_, i) => from[(i % 7) * 15 + Math.floor(i / 7)]),
  );
  const inserted = await runKernel(await device(), {
    code: byteInsertKernel("read"),
    inputs: [from],
    outputLength: 3 * 9 * 5,
    bytes: true,
    // [3, 7, 5] into [3, 9, 5] from 1 on.
    words: [135, 9, 7, 5, 1],
    grid: 1,
  });
  const poison = new Uint8Array(Uint32Array.of(0xffc0dead).buffer);
  const expected = Array.from({ length: 135 }, (_, i) => {
    const [outer, along, inner] = [Math.floor(i / 45), Math.floor(i / 5) % 9, i % 5];
    return along < 1 || along > 7 ? poison[i % 4] : from[(outer * 7 + along - 1) * 5 + inner];
  });
  assert.deepEqual([...inserted], expected);
});

test("rows by index and patches, of words and of bytes", async () => {
  for (const size of [4, 1] as const) {
    const [x, moved] = size === 4 ? [normals(9, 200), {}] : [bytes(9, 200), { bytes: true }];
    const at = ints(10, 9, 6);
    const rows = await runKernel(await device(), {
      code: lookupKernel(size, "read", "read"),
      inputs: [x, at],
      starts: [3],
      outputLength: 9 * 11,
      ...moved,
      // Rows of 11 that begin every 13.
      words: [99, 11, 0, 13],
      grid: 1,
    });
    assert.deepEqual(
      [...rows],
      Array.from({ length: 99 }, (_, i) => x[3 + at[Math.floor(i / 11)] * 13 + (i % 11)]),
    );
    const patches = await runKernel(await device(), {
      code: patchifyKernel({ patchHeight: 3, patchWidth: 2, bytes: size, pixels: "read" }),
      inputs: [x],
      outputLength: 2 * 2 * 36,
      ...moved,
      // Two pictures of two planes of 6 x 6, with lines of 7.
      words: [144, 2, 2, 3, 84, 42, 7],
      grid: 1,
    });
    const expected = Array.from({ length: 144 }, (_, i) => {
      const [number, inside] = [Math.floor(i / 12), i % 12];
      const [plane, dy, dx] = [Math.floor(inside / 6), Math.floor(inside / 2) % 3, inside % 2];
      const [picture, down, across] = [Math.floor(number / 6), Math.floor(number / 3) % 2, number % 3];
      return x[picture * 84 + plane * 42 + (down * 3 + dy) * 7 + across * 2 + dx];
    });
    assert.deepEqual([...patches], expected);
  }
});

test("pixels resampled along columns and rows have the evaluator's bits", async () => {
  const [outputs, taps, length] = [7, 4, 11];
  const starts = ints(11, outputs, length);
  const weights = Int32Array.from({ length: outputs * taps }, (_, i) => (hash32(12, i) % 24_000) - 6000);
  const bits = Int32Array.of(14);
  const table = [
    refTensor("i32", [outputs], starts),
    refTensor("i32", [outputs, taps], weights),
    refTensor("i32", [1], bits),
  ];
  const kinds = ["read", "read", "read", "read"] as const;
  for (const narrow of [true, false]) {
    const x = bytes(13, 5 * length * 3);
    const columns = await runKernel(await device(), {
      code: resampleKernel({ along: "columns", narrow, kinds }),
      inputs: [x, starts, weights, bits],
      outputLength: 5 * 3 * outputs,
      bytes: true,
      words: [5 * 3 * outputs, outputs, length, taps, length],
      grid: 1,
    });
    const pixels = refTensor("u8", [5, length, 3], x);
    assert.deepEqual([...columns], [...resampleColumns(pixels, resampleTable(table, narrow)).data]);
    const lines = await runKernel(await device(), {
      code: resampleKernel({ along: "rows", narrow, kinds }),
      inputs: [x, starts, weights, bits],
      outputLength: outputs * 13,
      bytes: true,
      words: [outputs * 13, outputs, length, taps, 13],
      grid: 1,
    });
    const seen = refTensor("u8", [length, 13], x.subarray(0, length * 13));
    assert.deepEqual([...lines], [...resampleRows(seen, resampleTable(table, narrow)).data]);
  }
});

test("rotary positions, both orders of pairs, alone and two at a time, with and without a rest", async () => {
  const [batch, tokens, heads] = [2, 67, 3];
  const kinds = ["read", "read", "read"] as const;
  for (const [headDim, pairs] of [
    [10, 4],
    [12, 3],
    [12, 4],
    [20, 10],
  ]) {
    const x = normals(14, batch * tokens * heads * headDim);
    const [cos, sin] = [15, 16].map((seed) => normals(seed, batch * tokens * pairs));
    for (const interleaved of [true, false]) {
      const found = await runKernel(await device(), {
        code: rotaryKernel({ headDim, pairs, interleaved, kinds, out: "write" }),
        inputs: [x, cos, sin],
        outputLength: x.length,
        words: [x.length, tokens, heads, tokens * heads * headDim, heads * headDim, headDim, tokens * pairs],
        grid: rotaryGrid(x.length, { headDim, pairs }) as number,
      });
      const tables = [cos, sin].map((t) => refTensor("f32", [batch, tokens, pairs], t));
      const whole = refTensor("f32", [batch, tokens, heads, headDim], x);
      const what = `rotary of ${pairs} pairs in ${headDim}`;
      assertNear(found, rotary(whole, tables[0], tables[1], interleaved).data, 2e-7, what);
    }
  }
});

test("numbers rounded to f16 and bf16 have the same bits as everywhere", async () => {
  const edges = [
    0,
    -0,
    1,
    65504,
    65519.996,
    65520,
    1e9,
    2 ** -14,
    2 ** -14 - 2 ** -26,
    2 ** -24,
    2 ** -25,
    1.5 * 2 ** -25,
    3e-8,
    -5e-8,
  ];
  const between = [0x3f801000, 0x3f803000, 0x3f801001, 0x3f808000, 0x3f818000].map(
    (word) => new Float32Array(Uint32Array.of(word).buffer)[0],
  );
  const values = Float32Array.from([
    ...edges,
    ...between,
    ...normals(17, 300).map((v) => v * 1e-6),
    ...normals(18, 300),
  ]);
  for (const dtype of ["f16", "bf16"] as const) {
    const narrow = dtype === "f16" ? numberToF16 : numberToBf16;
    const found = await runKernel(await device(), {
      code: storedKernel(dtype, "read"),
      inputs: [values],
      outputLength: values.length,
      words: [values.length],
      grid: 3,
    });
    for (const [i, value] of values.entries()) {
      assert.equal(found[i], roundToHalf(dtype, value), `${value} as ${dtype}`);
      assert.equal(narrow(found[i]), narrow(value));
    }
  }
});
