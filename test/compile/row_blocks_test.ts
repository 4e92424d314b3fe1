import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { symbol } from "../../runtime/core/dim.ts";
import { blockSizes } from "../../runtime/core/row_blocks.ts";
import { proveArtifact } from "../../runtime/exec/prove.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { limitFor } from "../kit/noise.ts";
import { randomWeights } from "../kit/random_graph.ts";
import { maxDifference, type OpenGraph, openGraph } from "../kit/run_graph.ts";
import { openWasm } from "./property_kit.ts";

const WIDTH = 12;
const INNER = 40;
const ROWS = symbol("rows");

const values = (shape: readonly number[], seed: number) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
    Math.fround(((i * 37 + seed) % 101) / 50 - 1),
  );
  return refTensor("f32", shape, data);
};

/** x + down(gelu(up(norm(x)))) over the last axis. */
function mlp(b: GraphBuilder, x: ReturnType<GraphBuilder["input"]>, name: string): ReturnType<GraphBuilder["input"]> {
  const norm = b.layerNorm(x, b.weight(`${name}.scale`, [WIDTH]), b.weight(`${name}.shift`, [WIDTH]), 1e-6);
  const up = b.unary(
    "gelu",
    b.add(
      b.matmul(norm, b.weight(`${name}.up`, [INNER, WIDTH]), { transposeB: true }),
      b.weight(`${name}.bias`, [INNER]),
    ),
  );
  return b.add(x, b.matmul(up, b.weight(`${name}.down`, [WIDTH, INNER]), { transposeB: true }));
}

const flat = (b: GraphBuilder): void => {
  b.output("y", mlp(b, b.input("x", [ROWS, WIDTH]), "a"));
};

async function opened(
  build: (b: GraphBuilder) => void,
  rows: { min: number; max: number; multipleOf?: number },
  blockBytes: number,
) {
  const device = await openWasm("wasm-simd128");
  const graph = await openGraph({
    device,
    plugins: [wasmPlugin],
    symbols: { rows },
    build,
    weights: randomWeights(3),
    blockBytes,
  });
  return { device, graph };
}

async function compare({ graph, run }: OpenGraph, rows: number, shape: readonly number[]): Promise<void> {
  const inputs = { x: values(shape, rows) };
  const expected = evaluateGraph(graph, { rows }, inputs, randomWeights(3));
  const found = await run({ rows }, inputs);
  for (const [name, value] of Object.entries(expected)) {
    const off = maxDifference(found[name], value);
    assert.ok(off <= limitFor(value, 1e-5), `${name} of ${rows} rows is off by ${off}`);
  }
}

test("row blocks: an MLP with its norm and residual runs over some rows at a time, in the memory of those", async () => {
  const { device, graph } = await opened(flat, { min: 1, max: 5000 }, 10_000);
  const { artifact } = graph.compiled;
  const [block] = artifact.blocks ?? [];
  assert.deepEqual(block, { steps: [0, artifact.steps.length], symbol: "rows", most: 48, multiple: 1 });
  // Input and output are whole, what lies between them is not.
  assert.ok(artifact.peakBytes < 2 * 5000 * WIDTH * 4 + 12_000, `${artifact.peakBytes}`);
  for (const rows of [1, 2, 47, 48, 49, 95, 96, 97, 1000, 4999, 5000]) await compare(graph, rows, [rows, WIDTH]);
  // Expectations see the sizes of blocks.
  assert.ok(artifact.expectations.every((e) => e.dims.rows <= 48));
  const { results } = await proveArtifact(device, artifact);
  assert.ok(results.size > 0 && [...results.values()].every((r) => r.pass));
  graph.release();
  assert.equal(device.stats().bytesInUse, 0);
  await device.close();
});

test("row blocks: results have the same bits as whole ones", async () => {
  const whole = await opened(flat, { min: 4, max: 600, multipleOf: 4 }, 1e9);
  const cut = await opened(flat, { min: 4, max: 600, multipleOf: 4 }, 1);
  assert.equal(whole.graph.compiled.artifact.blocks, undefined);
  assert.deepEqual(
    cut.graph.compiled.artifact.blocks?.map(({ most, multiple }) => [most, multiple]),
    [[16, 4]],
  );
  for (const rows of [4, 16, 20, 100, 600]) {
    const inputs = { x: values([rows, WIDTH], 5) };
    assert.deepEqual((await cut.graph.run({ rows }, inputs)).y, (await whole.graph.run({ rows }, inputs)).y);
  }
  for (const { graph, device } of [whole, cut]) {
    graph.release();
    await device.close();
  }
});

test("row blocks: what mixes rows ends a block, and what others read stays whole", async () => {
  const build = (b: GraphBuilder): void => {
    const x = b.input("x", [ROWS, 3, WIDTH]);
    const first = mlp(b, x, "a");
    // Every row needs the mean over all.
    const mean = b.op("reduce_mean", [b.transpose(first, [1, 2, 0])]);
    const mixed = b.add(first, b.reshape(mean, [1, 3, WIDTH]));
    b.output("y", mlp(b, mixed, "b"));
    b.output("mixed", mixed);
  };
  const { device, graph } = await opened(build, { min: 1, max: 300 }, 1);
  const { artifact } = graph.compiled;
  assert.equal(artifact.blocks?.length, 2, graph.compiled.report.planned);
  assert.match(graph.compiled.report.planned, /#0 to #\d+ in blocks of at most 4 rows/);
  for (const rows of [1, 4, 5, 9, 300]) await compare(graph, rows, [rows, 3, WIDTH]);
  graph.release();
  await device.close();
});

test("row blocks: there are none where a range starts too late for a block, or saves too little", async () => {
  for (const [rows, bytes] of [
    [{ min: 150, max: 300 }, 1],
    [{ min: 7, max: 7 }, 1],
    [{ min: 1, max: 300 }, 1 << 20],
  ] as const) {
    const { device, graph } = await opened(flat, rows, bytes);
    assert.equal(graph.compiled.artifact.blocks, undefined, JSON.stringify(rows));
    graph.release();
    await device.close();
  }
});

test("row blocks: rows are shared out evenly, in multiples, no block above the most", () => {
  for (const multiple of [1, 4, 6]) {
    for (const units of [1, 2, 5, 17, 100]) {
      for (let most = multiple; most <= multiple * 12; most += multiple) {
        const sizes = blockSizes(units * multiple, { symbol: "rows", most, multiple });
        assert.equal(
          sizes.reduce((a, b) => a + b, 0),
          units * multiple,
        );
        assert.ok(
          sizes.every((s) => s > 0 && s <= most && s % multiple === 0),
          `${units} ${most}: ${sizes}`,
        );
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= multiple);
        assert.equal(sizes.length, Math.ceil((units * multiple) / most));
      }
    }
  }
});
