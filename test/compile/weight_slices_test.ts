import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { add, symbol } from "../../runtime/core/dim.ts";
import { evaluateGraph, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { randomWeights } from "../kit/random_graph.ts";
import { maxDifference, openGraph } from "../kit/run_graph.ts";
import { openWasm } from "./property_kit.ts";

test("weights: a slice of fixed length that begins at a symbolic place is read anew for every size", async () => {
  const at = symbol("at");
  const device = await openWasm("wasm-simd128");
  const graph = await openGraph({
    device,
    plugins: [wasmPlugin],
    symbols: { at: { min: 1, max: 9 } },
    build: (b) => {
      const rows = b.slice(b.weight("table", [16, 8]), 0, at, add(at, 4));
      b.output("y", b.add(b.unary("tanh", rows), b.slice(b.input("x", [at, 8]), 0, 0, 1)));
    },
    weights: randomWeights(3),
  });
  for (const size of [1, 2, 9]) {
    const x = refTensor("f32", [size, 8], new Float32Array(size * 8).fill(0.25));
    const expected = evaluateGraph(graph.graph, { at: size }, { x }, randomWeights(3));
    const found = await graph.run({ at: size }, { x });
    assert.ok(maxDifference(found.y, expected.y) < 1e-6, `from row ${size}`);
  }
  graph.release();
  await device.close();
});
