/** Norms together with what computes their rows: the kernel between poison, and graphs that are dealt out either way. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Memory } from "../../kernels/webgpu/emit/kernel.ts";
import { isHeld, rowKernel } from "../../kernels/webgpu/emit/rows.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { createRuntime } from "../../mod.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { KernelSpec } from "../../runtime/abi/kernel.ts";
import { evaluate, mul } from "../../runtime/core/dim.ts";
import { evaluateData } from "../../runtime/core/dim_data.ts";
import { proveArtifact } from "../../runtime/exec/prove.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import { evaluateGraph, layerNorm, type RefTensor, refTensor, rmsNorm } from "../../runtime/ir/evaluate/mod.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openGraph } from "../kit/run_graph.ts";
import { assertNear, asValues, HALF_STEP, halves, normals, openGpu, runOutputs } from "./gpu_kit.ts";

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openGpu();
  return opened;
};
after(async () => (await opened)?.close());

const EPS = 1e-5;
const [BATCHES, ROWS, PARTS] = [2, 3, 3];

interface RowCase {
  readonly op: "layer_norm" | "rms_norm";
  readonly width: number;
  readonly inFours: boolean;
  readonly parts: boolean;
  readonly stored: boolean;
  /** The norm is written as f16, and an operand lies so. */
  readonly half?: boolean;
}

/** (sum of parts, or nothing) + a row of each batch + what lies in batches with gaps; its norm. */
async function checkRows({ op, width, inFours, parts, stored, half = false }: RowCase): Promise<void> {
  const { make } = createInterner(OP_TABLE);
  const input = (name: string, shape: readonly number[]) => make("input", [], { name, shape, dtype: "f32" });
  const vectors = [normals(1, width), normals(2, width)].slice(0, op === "layer_norm" ? 2 : 1);
  const all = BATCHES * ROWS;
  const node = make(op, [input("x", [all, width]), ...vectors.map((_, i) => input(`p${i}`, [width]))], { eps: EPS });
  const added = normals(3, PARTS * all * width);
  const bias = half ? halves(4, width) : { values: normals(4, width) };
  // Rows, and batches, lie further apart than they are long.
  const [rowStep, batchStep] = [width + 8, ROWS * (width + 8) + 4];
  const spread = Float32Array.from(normals(5, BATCHES * batchStep), (v, i) =>
    i % batchStep < ROWS * rowStep && (i % batchStep) % rowStep < width ? 1 + 2 * v : Number.NaN,
  );
  const rows = Float32Array.from({ length: all * width }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    const other = spread[Math.floor(row / ROWS) * batchStep + (row % ROWS) * rowStep + column];
    const sum = parts ? [0, 1, 2].reduce((n, part) => n + added[part * all * width + i], 0) : 0;
    return sum + bias.values[column] + other;
  });
  const first = parts ? 1 : 0;
  const sum = { op: "add", args: [{ input: first }, { input: first + 1 }] } as const;
  const kinds: readonly Memory[] = [half ? "read16" : "weight", "read"];
  const found = await runOutputs(await device(), {
    code: rowKernel(node, {
      kinds: ["write", "weight", "read"],
      ...{ out: half ? "write16" : "write", inFours },
      front: { expr: parts ? { op: "add", args: [{ input: 0 }, sum] } : sum, parts, stored, operands: kinds },
    }),
    inputs: [...(parts ? [added] : []), "bytes" in bias ? bias.bytes : bias.values, spread, ...vectors],
    ...(half ? { outputLength: 2 * all * width, bytes: true } : { outputLength: all * width }),
    ...(stored ? { alsoLength: all * width } : {}),
    words: [
      ...[width, width, width, ROWS, ...(parts ? [PARTS, all * width] : [])],
      ...[0, 0, 1],
      ...[batchStep, rowStep, 1],
    ],
    grid: all,
  });
  const what = `${op} of ${width}${inFours ? " in fours" : ""}${parts ? " of parts" : ""}`;
  if (stored) assertNear(found.also, rows, 2e-6, `rows under ${what}`);
  const [scale, bias2] = vectors.map((v) => refTensor("f32", [width], v));
  const x = refTensor("f32", [all, width], rows);
  const { data } = op === "layer_norm" ? layerNorm(x, scale, bias2, EPS) : rmsNorm(x, scale, EPS);
  assertNear(half ? asValues(found.output) : (found.output as Float32Array), data, half ? HALF_STEP : 3e-6, what);
}

for (const op of ["layer_norm", "rms_norm"] as const) {
  test(`${op} of rows that it computes, short and long, by numbers and by fours`, async () => {
    for (const width of [37, 259, 2100])
      await checkRows({ op, width, inFours: false, parts: width !== 259, stored: true });
    for (const width of [36, 772, 2052])
      await checkRows({ op, width, inFours: true, parts: width !== 36, stored: true });
  });
}

test("rows that nobody else reads are not written, where registers hold them", async () => {
  for (const [width, inFours] of [
    [130, false],
    [260, true],
  ] as const) {
    assert.ok(isHeld(width, inFours));
    await checkRows({ op: "layer_norm", width, inFours, parts: true, stored: false });
  }
});

test("norms of computed rows are written as f16, of short and of long rows", async () => {
  for (const width of [38, 2500])
    await checkRows({ op: "layer_norm", width, inFours: false, parts: true, stored: true, half: true });
  await checkRows({ op: "rms_norm", width: 130, inFours: false, parts: false, stored: false, half: true });
});

interface GraphCase {
  readonly build: (b: GraphBuilder) => void;
  readonly most: number;
  /** Steps that have a grid, by numbers of rows; the joined kernel's alone. */
  readonly launches: Readonly<Record<number, readonly number[]>>;
}

/** Numbers by name; sums over hundreds of a matrix's are of the size of one. */
function values(name: string, shape: readonly number[]): RefTensor {
  const seed = [...name].reduce((n, c) => 31 * n + c.charCodeAt(0), 7);
  const count = shape.reduce((a, b) => a * b, 1);
  return refTensor(
    "f32",
    shape,
    normals(seed, count).map((v) => (shape.length > 1 ? v / 8 : 1 + v)),
  );
}

/** Runs a graph at several sizes beside the evaluator, between what other calls left in its memory; its proofs pass. */
async function checkGraph({ build, most, launches }: GraphCase): Promise<void> {
  const own = await device();
  const symbols = { rows: { min: 1, max: most } };
  const opened = await openGraph({ device: own, plugins: [webgpuPlugin], build, weights: values, symbols });
  try {
    const { compiled, graph } = opened;
    const { steps, expectations } = compiled.artifact;
    for (const [rows, expected] of Object.entries(launches)) {
      const dims = { rows: Number(rows) };
      const at = steps.flatMap((s, i) => (s.kernel.startsWith("row_join/") ? [i] : []));
      assert.deepEqual(
        at.filter((i) => evaluateData(steps[i].grid, dims) > 0),
        expected,
        `steps of ${rows} rows`,
      );
      const inputs = Object.fromEntries(
        graph.inputs.map(({ attributes: { name }, shape }) => [
          name as string,
          values(
            name as string,
            shape.map((d) => evaluate(d, dims)),
          ),
        ]),
      );
      const found = await opened.run(dims, inputs);
      for (const [name, value] of Object.entries(evaluateGraph(graph, dims, inputs, values))) {
        const tolerance = steps.some((s) => s.covers.includes("narrow")) ? HALF_STEP : 1e-5;
        assertNear(found[name].data as Float64Array, value.data as Float64Array, tolerance, `${name} of ${rows} rows`);
      }
    }
    const { results } = await proveArtifact(own, compiled.artifact);
    assert.equal(results.size, expectations.length);
    for (const proof of results.values()) assert.ok(proof.pass, JSON.stringify(proof));
  } finally {
    opened.release();
  }
}

/** Long enough for workgroups to share the sums of few rows. */
const K = 512;

/** x w^T + bias + residual: [rows, width], or that for each of two batches. */
function projected(b: GraphBuilder, width: number, batches?: number): Node {
  const lead = batches === undefined ? [b.dims.rows] : [batches, b.dims.rows];
  const product = b.matmul(b.input("x", [...lead, K]), b.weight("w", [width, K]), { transposeB: true });
  // One residual for all batches.
  return b.add(b.add(product, b.weight("bias", [width])), b.input("residual", [b.dims.rows, width]));
}

test("a product's parts are added and normed in one launch; where it is whole, the norm is a launch of its own", async () => {
  await checkGraph({
    build: (b) => {
      const sum = projected(b, 32);
      b.output("sum", sum);
      b.output("normed", b.layerNorm(sum, b.weight("scale", [32]), b.weight("shift", [32]), EPS));
    },
    most: 4400,
    // Parts and what adds and norms them stand first, then the whole product and its norm.
    launches: { 1: [0, 1], 5: [0, 1], 4229: [2, 3] },
  });
});

test("rows of odd width in two batches, normed through a view and read by others", async () => {
  await checkGraph({
    build: (b) => {
      const sum = projected(b, 27, 2);
      const rows = b.reshape(sum, [mul(2, b.dims.rows), 27]);
      b.output("normed", b.rmsNorm(rows, b.weight("scale", [27]), EPS));
      b.output("later", b.unary("abs", sum));
    },
    most: 9,
    launches: { 1: [0, 1], 7: [0, 1] },
  });
});

test("a norm that is rounded to f16, of rows that nobody else reads", async () => {
  await checkGraph({
    build: (b) => {
      const sum = b.matmul(b.input("x", [b.dims.rows, K]), b.weight("w", [30, K]), { transposeB: true });
      const normed = b.rmsNorm(sum, b.weight("scale", [30]), EPS);
      b.output("normed", b.op("widen", [b.op("narrow", [normed])]));
    },
    most: 4400,
    launches: { 3: [0, 1], 4229: [2, 3] },
  });
});

test("sums of values that lie otherwise, and of a column, are normed where they are added", async () => {
  for (const width of [24, 27]) {
    await checkGraph({
      build: (b) => {
        const { rows } = b.dims;
        // One of four columns: its rows begin at multiples of four, and it has one number for a row.
        const column = b.slice(b.input("columns", [rows, 4]), 1, 0, 1);
        const turned = b.transpose(b.input("x", [rows, 2, width]), [1, 0, 2]);
        const sum = b.add(b.mul(turned, column), b.input("y", [2, rows, width]));
        b.output("sum", sum);
        b.output("normed", b.softmax(sum));
        const own = b.add(b.input("z", [rows, width]), b.weight("bias", [width]));
        b.output("own", b.layerNorm(own, b.weight("scale", [width]), b.weight("shift", [width]), EPS));
      },
      most: 9,
      launches: { 1: [0, 1], 7: [0, 1] },
    });
  }
});

test("proofs of a norm beside a constant are of values whose bits the constant leaves", async () => {
  for (const value of [2, -40]) {
    await checkGraph({
      build: (b) => {
        const shifted = b.add(b.input("x", [b.dims.rows, 8]), b.constant(value));
        b.output("normed", b.layerNorm(shifted, b.weight("scale", [8]), b.weight("shift", [8]), EPS));
      },
      most: 9,
      launches: { 1: [0], 7: [0] },
    });
  }
});

/** The kernels with a join that writes the norm where the rows belong, and the rows where it belongs. */
const swapped: readonly KernelSpec[] = (webgpuPlugin.kernels ?? []).map((kernel) => ({
  ...kernel,
  ...(kernel.join === undefined
    ? {}
    : {
        join: (...pair: Parameters<NonNullable<KernelSpec["join"]>>) => {
          const made = kernel.join?.(...pair);
          return made && { ...made, emit: (e) => made.emit({ ...e, output: e.also[0], also: [e.output] }) };
        },
      }),
}));

test("a joined claim that fails its proof is put aside, and what it joined is used", async () => {
  const runtime = await createRuntime({ device: "webgpu", plugins: [{ ...webgpuPlugin, kernels: swapped }] });
  try {
    const component = await runtime.compile({
      tag: "test/residual",
      symbols: { rows: { min: 1, max: 9 } },
      build: (b) => {
        const sum = b.add(b.input("x", [b.dims.rows, 8]), b.input("y", [b.dims.rows, 8]));
        b.output("sum", sum);
        b.output("normed", b.softmax(sum));
      },
    });
    const x = { dtype: "f32" as const, shape: [3, 8], data: normals(1, 24) };
    const { sum } = await component.run({ x, y: x });
    assertNear(
      sum.data as Float32Array,
      x.data.map((v) => 2 * v),
      1e-6,
      "sum",
    );
    assert.deepEqual(
      runtime.stats().quarantined.map(({ kernel }) => kernel),
      ["row_join"],
    );
  } finally {
    await runtime.close();
  }
});
