/** `runtime.compile`: any single graph, its ranges and its errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComponentInput, Tensor } from "../../mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { randomTensor } from "../kit/random_graph.ts";
import { tensorOf } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const MLP: ComponentInput = {
  tag: "test/mlp",
  symbols: { rows: { min: 1, max: 40 } },
  ranges: { ends: { rows: [4] }, exact: [{ rows: 17 }] },
  build: (b) => {
    const x = b.input("x", [b.dims.rows, 6]);
    const hidden = b.unary(
      "gelu",
      b.add(b.matmul(x, b.weight("fc1.weight", [10, 6]), { transposeB: true }), b.weight("fc1.bias", [10])),
    );
    b.output("y", b.matmul(hidden, b.weight("fc2.weight", [3, 10]), { transposeB: true }));
  },
};

const weight = (seed: number, shape: readonly number[]): Tensor => tensorOf(randomTensor(seed, shape));
// Small sums: the series below converges slowly for large ones.
const scaled = (t: Tensor): Tensor => ({ ...t, data: Float32Array.from(t.data, (v) => v * 0.2) });

const WEIGHTS = {
  "fc1.weight": scaled(weight(1, [10, 6])),
  "fc1.bias": scaled(weight(2, [10])),
  "fc2.weight": weight(3, [3, 10]),
};

/** The Taylor series of erf (Abramowitz and Stegun 7.1.5). */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function mlp(x: Tensor): number[] {
  const { "fc1.weight": w1, "fc1.bias": b1, "fc2.weight": w2 } = WEIGHTS;
  return Array.from({ length: x.shape[0] }, (_, r) => {
    const hidden = Array.from({ length: 10 }, (_, o) => {
      let sum = b1.data[o];
      for (let i = 0; i < 6; i++) sum += x.data[r * 6 + i] * w1.data[o * 6 + i];
      return (sum / 2) * (1 + erf(sum / Math.SQRT2));
    });
    return Array.from({ length: 3 }, (_, o) => hidden.reduce((s, h, i) => s + h * w2.data[o * 10 + i], 0));
  }).flat();
}

for (const device of ["wasm", "reference"]) {
  test(`a small MLP computes what it says in every range (${device})`, async () => {
    const runtime = await openRuntime({ device, threads: 0, cache: false });
    const component = await runtime.compile(MLP, WEIGHTS);
    for (const rows of [1, 4, 5, 17, 40]) {
      const x = weight(rows, [rows, 6]);
      const { y } = await component.run({ x });
      assert.deepEqual(y.shape, [rows, 3]);
      mlp(x).forEach((v, i) => {
        assert.ok(Math.abs(v - y.data[i]) < 1e-5, `${rows} rows, element ${i}: ${y.data[i]} instead of ${v}`);
      });
    }
    assert.match(component.explain(), /test\/mlp.*rows 17: .*rows 1\.\.4: .*rows 5\.\.40: /s);
    assert.equal(runtime.stats().counters.compiled, 3);
    component.close();
    assert.equal(runtime.stats().device.bytesInUse, 0);
    await runtime.close();
  });
}

test("a component names what is wrong with its inputs, weights and ranges", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const component = await runtime.compile(MLP, WEIGHTS);
  await assert.rejects(component.run({}), hasCode("invalid_input", /"x".*missing/s));
  await assert.rejects(component.run({ x: weight(1, [2, 7]) }), hasCode("invalid_input", /\[2, 6\].*\[2, 7\]/s));
  await assert.rejects(component.run({ x: weight(1, [41, 6]) }), hasCode("outside_ranges", /rows = 41.*5\.\.40/s));
  const { "fc1.bias": _, ...incomplete } = WEIGHTS;
  await assert.rejects(runtime.compile(MLP, incomplete), hasCode("missing_tensor", /"fc1\.bias"/));
  await assert.rejects(
    runtime.compile(MLP, { ...WEIGHTS, "fc1.bias": weight(1, [9]) }),
    hasCode("wrong_shape", /"fc1\.bias".*\[9\].*\[10\]/s),
  );
  await assert.rejects(
    runtime.compile({ ...MLP, ranges: { ends: { rows: [50] } } }, WEIGHTS),
    hasCode("invalid_range", /50/),
  );
  const crooked: ComponentInput = {
    ...MLP,
    build: (b) => b.output("y", b.matmul(b.input("x", [b.dims.rows, 6]), b.weight("w", [10, 5]), { transposeB: true })),
  };
  await assert.rejects(runtime.compile(crooked), hasCode("shape_error", /6 and 5 differ.*compile_test/s));
  await runtime.close();
});
