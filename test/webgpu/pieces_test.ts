/** Weights that are larger than a buffer or a binding: kernels see them in pieces or windows, with the same bits. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type GpuTile, matmulKernel } from "../../kernels/webgpu/emit/matmul.ts";
import { elementwiseKernel } from "../../kernels/webgpu/emit/elementwise.ts";
import { lookupKernel } from "../../kernels/webgpu/emit/lookup.ts";
import { packedHalfKernel } from "../../kernels/webgpu/emit/stored.ts";
import { createRuntime, type Tensor } from "../../mod.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES, readCase } from "../kit/tower_fixtures.ts";
import { type GpuRun, normals, openGpu, runKernel } from "./gpu_kit.ts";
import { limitedWebGpu, openLimited, type SmallLimits } from "./limited_kit.ts";

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
  await sameEverywhere(productOf(1, { batch: 2, m: 5, n: 61, k: 37 }), [
    { bytes: 5 * KIB, buffers: 4 },
    { bytes: 4 * KIB + 100, buffers: 4 },
  ]);
  // Panels fill pieces, and one is bound at a time.
  await sameEverywhere(productOf(4, { batch: 1, m: 6, n: 85, k: 32 }), [{ bytes: 4 * KIB, buffers: 3 }]);
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
    [{ bytes: 3 * KIB, buffers: 3 }],
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
  await sameEverywhere(run, [
    { bytes: 8 * KIB, buffers: 4 },
    { bytes: 8 * KIB, buffers: 3 },
    { bytes: 8 * KIB, buffers: 2 },
    // Pieces of the output: of those, what has read no entry writes none.
    { bytes: 3 * KIB, buffers: 4 },
  ]);
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
  await sameEverywhere(run, [{ bytes: 4 * KIB, buffers: 8 }]);
  const few = await device({ bytes: 4 * KIB, buffers: 7 });
  // Devices in workers tell with the next answer.
  await assert.rejects(
    runKernel(few, run),
    hasCode(
      "out_of_memory",
      /cannot run the kernel elementwise on memory of 18\.6 KiB: its memory lies in 8 pieces of 4 KiB, .* grants a shader 7 buffers\. Use an adapter with larger limits/,
    ),
  );
});
