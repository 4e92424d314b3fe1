/** Weights that are larger than a buffer or a binding: kernels see them in pieces or windows, with the same bits. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { elementwiseKernel } from "../../kernels/webgpu/emit/elementwise.ts";
import { lookupKernel } from "../../kernels/webgpu/emit/lookup.ts";
import { type GpuTile, matmulKernel } from "../../kernels/webgpu/emit/matmul.ts";
import { packedHalfKernel } from "../../kernels/webgpu/emit/stored.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { createRuntime, type Plugin, type Tensor } from "../../mod.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { encodeCode, wordName } from "../../runtime/abi/gpu_code.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import { hasCode } from "../kit/assertions.ts";
import { type GpuRun, normals, openGpu, runKernel } from "./gpu_kit.ts";
import { limitedWebGpu, openLimited, type SmallLimits } from "./limited_kit.ts";
import { TINY, tinyPlugin, tinyRows } from "./tiny_model.ts";

const opened = new Map<string, Promise<Device>>();
/** A device of usual limits, or one of small ones. */
function device(limits?: SmallLimits): Promise<Device> {
  const key = JSON.stringify(limits ?? "usual");
  const known = opened.get(key) ?? (limits === undefined ? openGpu() : openLimited(limits));
  opened.set(key, known);
  return known;
}
after(async () => {
  for (const one of opened.values()) await (await one).close();
});

const bits = (values: Float32Array | Uint8Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Runs a kernel with usual and small limits: the results are the same to the bit. */
async function sameEverywhere(run: GpuRun, limits: readonly SmallLimits[]): Promise<void> {
  const usual = await runKernel(await device(), run);
  assert.ok(usual.some((v) => v !== 0 && !Number.isNaN(v)));
  for (const small of limits) {
    const found = await runKernel(await device(small), run);
    assert.ok(Buffer.from(bits(found)).equals(bits(usual)), `${run.words} within ${small.bytes}`);
  }
}

/** Drivers on the processor take a small one in no time. */
const tile: GpuTile = { rows: 4, columns: 8, ownRows: 4, ownColumns: 4, depth: 4, unrolled: 2 };
const ADD = { op: "add", args: [{ input: 0 }, { input: 1 }] } as const;
const KIB = 1024;

/** All pieces of what follows, two of a weight, one, and fewer than are needed. */
const ALL: SmallLimits = { bytes: 4 * KIB, buffers: 8 };
const TWO: SmallLimits = { bytes: 3 * KIB, buffers: 4 };
const ONE: SmallLimits = { bytes: 4 * KIB, buffers: 3 };
const FEW: SmallLimits = { bytes: KIB, buffers: 7 };

interface Sizes {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A of each batch times one B, and a row that is added, at odd sizes. */
function productOf(seed: number, { batch, m, n, k }: Sizes): GpuRun {
  const kinds = { out: "write", a: "read", b: "weight", operands: ["weight"] } as const;
  return {
    code: matmulKernel({ tile, transposed: true, whole: false, epilogue: ADD, kinds }),
    inputs: [normals(seed, batch * m * k), normals(seed + 1, n * k), normals(seed + 2, n)],
    outputLength: batch * m * n,
    words: [m, n, k, m * k, k, 0, k, 0, 0, 1],
    grid: batch * Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns),
  };
}

test("products over pieces and windows of their weight, and pieces of all else", async () => {
  // B of 8.8 KiB: 8 of its columns are 1.2, and some begin in one piece and end in the next.
  await sameEverywhere(productOf(1, { batch: 2, m: 5, n: 61, k: 37 }), [{ bytes: 4 * KIB + 100, buffers: 5 }]);
  // Panels fill pieces, and one is bound at a time; a launch may end inside of a line of panels.
  const aligned = productOf(4, { batch: 1, m: 6, n: 85, k: 32 });
  await sameEverywhere({ ...aligned, grid: aligned.grid - 3 }, [ONE]);
});

test("parts of K of products, over windows", async () => {
  const [m, n, k] = [3, 43, 39];
  const elements = m * n;
  const count = Math.ceil(k / 12);
  const kinds = { out: "write", a: "read", b: "weight", operands: [] } as const;
  await sameEverywhere(
    {
      code: matmulKernel({ tile, transposed: true, whole: false, epilogue: undefined, kinds }),
      inputs: [normals(7, m * k), normals(8, n * k)],
      outputLength: count * elements,
      words: [m, n, k, m * k, k, 0, k, 12, elements],
      grid: count * Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns),
    },
    [TWO],
  );
});

test("rows of tables over pieces and windows, each row once", async () => {
  const [rows, width] = [301, 19];
  const at = Int32Array.from({ length: 41 }, (_, i) => hash32(5, i) % rows);
  at.set([0, rows - 1], 3);
  const run: GpuRun = {
    code: lookupKernel(4, "weight", "read"),
    inputs: [normals(6, rows * width), at],
    outputLength: at.length * width,
    words: [at.length * width, width, 0, width],
    grid: Math.ceil((at.length * width) / 256),
  };
  // Of pieces of the output, too, what has read no entry writes none.
  await sameEverywhere(run, [ALL, ONE, TWO]);
});

test("memory that is seen as vectors is read from pieces, whole and by parts", async () => {
  const [out, from] = [0, 1].map((i) => `(${wordName(i)} >> 4u) + item`);
  const code = encodeCode({
    ...{ name: "turn", args: ["write", "weight"], element: "vec4<u32>", workgroup: 1 },
    wgsl: `fn run(item: u32, lane: u32) { @0@[${out}] = vec4<u32>(@1@[${from}][3], @1@[${from}].yz, @1@[${from}][item & 0u]); }`,
  });
  const run: GpuRun = { code, inputs: [normals(9, 3000)], outputLength: 3000, words: [], grid: 750 };
  await sameEverywhere(run, [ALL]);
  const found = await runKernel(await device(), run);
  assert.deepEqual(
    [...found.subarray(0, 4)],
    [3, 1, 2, 0].map((i) => run.inputs[0][i]),
  );
});

test("sums with a weight of pieces, whose windows nobody knows", async () => {
  const [rows, width] = [57, 40];
  const run: GpuRun = {
    code: elementwiseKernel({
      expr: ADD,
      operands: [
        { dtype: "f32", kind: "read" },
        { dtype: "f32", kind: "weight" },
      ],
      outer: 0,
    }),
    inputs: [normals(1, rows * width), normals(2, rows * width)],
    outputLength: rows * width,
    words: [rows * width, 1, 1, 1],
    grid: Math.ceil((rows * width) / 256),
  };
  await sameEverywhere(run, [ALL]);
  const few = await device(FEW);
  // Devices in workers tell with the next answer.
  await assert.rejects(
    runKernel(few, run),
    hasCode(
      "out_of_memory",
      /cannot run the kernel elementwise on memory of 18\.6 KiB: its memory lies in 28 pieces of 1 KiB, .* grants a shader 7 buffers\. Use an adapter with larger limits/,
    ),
  );
});

test("weights are rounded from pieces to pieces, item by item, and written and read back across them", async () => {
  const count = 5001;
  const values = normals(3, count);
  const code = packedHalfKernel();
  const digest = digestBytes(code);
  const packed = async (on: Device): Promise<Uint8Array> => {
    await on.load(new Map([[digest, code]]));
    const bytes = 4 * Math.ceil(count / 2);
    const [from, to] = [on.allocate(4 * count), on.allocate(bytes + 4)];
    on.write(to, 0, new Uint8Array(bytes + 4).fill(0xee));
    // Its ends lie inside of words and of pieces.
    const raw = new Uint8Array(values.buffer);
    on.write(from, 0, raw.subarray(0, 4099));
    on.write(from, 4099, raw.subarray(4099));
    const args = [{ buffer: to, offset: 0 }, { buffer: from, offset: 0 }, count];
    const grid = Math.ceil(count / 512);
    const bound = on.bind([{ kernel: "pack", code: digest, args, grid, flops: 0, workerScratch: 0 }]);
    await on.run(bound, {});
    const found = new Uint8Array(bytes + 4);
    await Promise.all([on.read(to, 0, found.subarray(0, 4095)), on.read(to, 4095, found.subarray(4095))]);
    bound.release();
    for (const buffer of [from, to]) on.release(buffer);
    assert.equal(on.stats().bytesInUse, 0);
    return found;
  };
  const usual = await packed(await device());
  assert.deepEqual([...usual.subarray(-4)], [0xee, 0xee, 0xee, 0xee]);
  for (const limits of [ALL, ONE])
    assert.ok(Buffer.from(await packed(await device(limits))).equals(usual), `${limits.buffers} buffers`);
});

test("a model whose weights are larger than a binding has the same bits", async () => {
  const states = async (...plugins: readonly Plugin[]): Promise<Tensor["data"] | undefined> => {
    const runtime = await createRuntime({ device: "webgpu", plugins: [...plugins, tinyPlugin] });
    try {
      const encoder = await runtime.load(TINY);
      return (await encoder.encode(tinyRows(5))).last_hidden_state?.data;
    } finally {
      await runtime.close();
    }
  };
  const usual = await states(webgpuPlugin);
  assert.deepEqual(await states(limitedWebGpu({ bytes: 2 * KIB, buffers: 6 })), usual);
});

test("what no window holds is refused with its component and its numbers", async () => {
  // B of 78 KiB, as elements straight from memory: which items read what is not known.
  const runtime = await createRuntime({ device: "webgpu", plugins: [limitedWebGpu(ALL)] });
  const large = {
    tag: "test/large",
    symbols: { rows: { min: 1, max: 2 } },
    build: (b: GraphBuilder) =>
      b.output("y", b.matmul(b.input("x", [b.dims.rows, 100]), b.weight("table", [200, 100]), { transposeB: true })),
  };
  const table: Tensor = { dtype: "f32", shape: [200, 100], data: new Float32Array(20_000) };
  const x: Tensor = { dtype: "f32", shape: [2, 100], data: new Float32Array(200) };
  await assert.rejects(
    // Where nothing was proven before, the proof finds it.
    async () => (await runtime.compile(large, { table })).run({ x }),
    hasCode("out_of_memory", /kernel matmul\/matmul on memory of 78\.1 KiB: its memory lies in 21 pieces of 4 KiB/),
  );
  await runtime.close();

  // A panel of 8 columns is 1.2 KiB.
  const few = await device(FEW);
  await assert.rejects(
    runKernel(few, productOf(1, { batch: 2, m: 5, n: 61, k: 37 })),
    hasCode(
      "out_of_memory",
      /kernel matmul on memory of 8\.8 KiB: its item 0 alone reads 2 pieces, with room for 1 of 1 KiB, .* grants a shader 7 buffers/,
    ),
  );
});
