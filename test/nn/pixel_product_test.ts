/** Products with samples of pixels: normalisation lies in the weights, in one step on wasm. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { proveArtifact } from "../../runtime/exec/prove.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { foldValueSteps, type PatchLayout, patchEmbedding, pixelProduct } from "../../runtime/nn/mod.ts";
import { randomTensor, randomWeights } from "../kit/random_graph.ts";
import { BARE_HOST, buildGraph, maxDifference, maxMagnitude, runGraph } from "../kit/run_graph.ts";

const STEPS: ValueSteps = { rescaleFactor: 1 / 255, mean: [0.48, 0.45, 0.4], std: [0.26, 0.27, 0.28] };

const bytes = (seed: number, shape: readonly number[]): RefTensor =>
  refTensor(
    "u8",
    shape,
    Uint8Array.from({ length: shape.reduce((a, d) => a * d, 1) }, (_, i) => hash32(seed, i)),
  );

/** The samples as a processor normalises them. */
function normalized(x: RefTensor, layout: PatchLayout, steps: ValueSteps): RefTensor {
  const { rescaleFactor = 1, mean = [0, 0, 0], std = [1, 1, 1] } = steps;
  const width = x.shape[x.shape.length - 1];
  const values = Float64Array.from(x.data, (v, i) => {
    const channel = layout === "planes" ? Math.floor((i % width) / (width / 3)) : i % 3;
    return (v * rescaleFactor - mean[channel]) / std[channel];
  });
  return refTensor("f32", x.shape, values);
}

for (const layout of ["planes", "interleaved"] as const) {
  for (const steps of [STEPS, { rescaleFactor: 1 / 127.5 }, { mean: [3, 3, 3], std: [2, 2, 2] }]) {
    for (const biased of [true, false]) {
      const text = `${Object.keys(steps).join(" and ")}, ${biased ? "a bias" : "no bias"}`;
      test(`nn: the product with bytes is that with normalised values (${layout}, ${text})`, () => {
        const x = bytes(3, [2, 5, 21]);
        const run = (given: RefTensor): RefTensor => {
          const build = (b: GraphBuilder): void => {
            const weight = b.weight("w", [4, 21]);
            const bias = biased ? { bias: b.weight("b", [4]) } : {};
            const pixels = b.input("x", given.shape, given.dtype);
            b.output("y", pixelProduct(b, pixels, weight, { layout, steps, ...bias }));
          };
          return evaluateGraph(buildGraph({}, build), {}, { x: given }, randomWeights(5)).y;
        };
        const wanted = run(normalized(x, layout, steps));
        assert.ok(maxDifference(run(x), wanted) < 1e-12 * 21 * 255);
      });
    }
  }
}

test("nn: bytes without steps, and rows that are no whole channels, are refused", () => {
  const build = (make: (b: GraphBuilder) => Node) => () => buildGraph({}, (b) => b.output("y", make(b)));
  const weight = (b: GraphBuilder): Node => b.weight("w", [4, 20]);
  assert.throws(
    build((b) => pixelProduct(b, b.input("x", [5, 20], "u8"), weight(b), { layout: "planes" })),
    { code: "shape_error", message: /u8 need the steps/ },
  );
  assert.throws(
    build((b) => foldValueSteps(b, weight(b), "planes", STEPS).weight),
    { code: "shape_error", message: /\[4, 20\] cannot take 3 means/ },
  );
});

test("wasm-simd128: an embedding of bytes reads them in place and has the bits of one that converts them first", async () => {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, {
    target: "wasm-simd128",
    threads: 0,
    memory: 64 * 2 ** 20,
  })) as Device;
  const symbols = { batch: { min: 1, max: 4 } };
  const build = (b: GraphBuilder): void => {
    const pixels = b.input("x", [b.dims.batch, 3, 21, 35], "u8");
    const options = { outFeatures: 37, patchHeight: 7, patchWidth: 5, bias: true, steps: STEPS };
    b.output("y", patchEmbedding(b, pixels, "p.", options));
  };
  const x = bytes(9, [3, 3, 21, 35]);
  const weights = (name: string, shape: readonly number[]): RefTensor => randomTensor(name.length, shape);
  const run = { device, plugins: [wasmPlugin], symbols, build, bindings: { batch: 3 }, inputs: { x }, weights };
  const fused = await runGraph({ ...run, enabled: true });
  const alone = await runGraph({ ...run, enabled: false });
  assert.deepEqual(
    fused.compiled.artifact.steps.map((s) => s.covers),
    ["patchify", "cast + matmul + add"],
  );
  // The sum with the bias is rounded once in both: the epilogue adds as the step of its own does.
  assert.equal(maxDifference(fused.outputs.y, alone.outputs.y), 0);
  const expected = evaluateGraph(buildGraph(symbols, build), { batch: 3 }, { x }, weights).y;
  assert.ok(maxDifference(fused.outputs.y, expected) < 5e-6 * (1 + maxMagnitude(expected)));
  await device.close();
});

test("wasm: a large product with bytes is proven by the grid items that write what is compared", async () => {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, memory: 64 * 2 ** 20 })) as Device;
  const symbols = { rows: { min: 300, max: 600 } };
  const build = (b: GraphBuilder): void => {
    const x = b.input("x", [b.dims.rows, 300], "u8");
    b.output("y", pixelProduct(b, x, b.weight("w", [331, 300]), { layout: "planes", steps: STEPS }));
  };
  const inputs = { x: bytes(4, [301, 300]) };
  const run = { device, plugins: [wasmPlugin], symbols, build, bindings: { rows: 301 }, inputs, enabled: true };
  const { compiled } = await runGraph({ ...run, weights: randomWeights(2) });
  assert.ok(compiled.artifact.expectations.some((e) => e.items !== undefined && e.items.length > 1));
  await device.load(compiled.code);
  const { results } = await proveArtifact(device, compiled.artifact);
  assert.equal(results.size, compiled.artifact.expectations.length);
  for (const proof of results.values()) assert.ok(proof.pass, JSON.stringify(proof));
  await device.close();
});
