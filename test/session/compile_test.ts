/** `runtime.compile`: any single graph, its ranges and its errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComponentInput, RecordedSizes, Tensor, Tensors } from "../../mod.ts";
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

test("arguments that no type checker saw are refused with sentences", async () => {
  await using runtime = await openRuntime({ threads: 0 });
  const component = await runtime.compile(MLP, WEIGHTS);
  const x = weight(1, [2, 6]);
  const run = (inputs: unknown): Promise<unknown> => component.run(inputs as Tensors);
  const compile = (spec: unknown, weights: unknown): Promise<unknown> =>
    runtime.compile(spec as ComponentInput, weights as Tensors);
  const input = 'Input "x" of component "test/mlp"';
  const fc2 = 'The weight "fc2.weight" of component "test/mlp"';
  const whole = { ...WEIGHTS, "fc2.weight": x };
  const refusals: readonly (readonly [() => Promise<unknown>, string, string])[] = [
    [() => run(undefined), "invalid_input", 'Component "test/mlp" takes tensors by input name (x); found undefined.'],
    [
      () => run({ x: 5 }),
      "invalid_input",
      `${input} must be a tensor { dtype, shape, data } whose shape is a list of sizes, found 5.`,
    ],
    [
      () => run({ x: { ...x, shape: [-2, 6] } }),
      "invalid_input",
      `${input} has the shape [-2, 6]; sizes are whole numbers from 0.`,
    ],
    [
      () => run({ x: { ...x, dtype: "f64" } }),
      "invalid_input",
      `${input} has type f64; expected one of f32, i32, u8, bool.`,
    ],
    [
      () => run({ x: { ...x, data: Int32Array.from(x.data) } }),
      "invalid_input",
      `${input} has type f32 and its values in an object of type Int32Array; expected a Float32Array.`,
    ],
    [
      () => run({ x: { ...x, data: [...x.data] } }),
      "invalid_input",
      `${input} has type f32 and its values in a list; expected a Float32Array.`,
    ],
    [
      () => compile(MLP, { ...whole, "fc2.weight": { dtype: "f16", shape: [3, 10], data: new Uint16Array(30) } }),
      "invalid_tensor",
      `${fc2} has type f16; expected one of f32, i32, u8, bool.`,
    ],
    [
      () => compile(MLP, { ...whole, "fc2.weight": { ...x, shape: [3, 10] } }),
      "wrong_shape",
      `${fc2} brings 12 values for the shape [3, 10], which takes 30.`,
    ],
    [
      () =>
        compile(MLP, { ...WEIGHTS, "fc2.weight": { ...weight(1, [3, 10]), data: new Float32Array(30).fill(NaN, 7) } }),
      "non_finite_weights",
      `${fc2} holds NaN at element 7; expected finite numbers.`,
    ],
    [() => compile(MLP, null), "invalid_input", "compile takes weights by name; found null."],
    [
      () => compile(undefined, {}),
      "invalid_input",
      "compile takes a component { tag, symbols, build }; found undefined.",
    ],
    [
      () => compile({ ...MLP, tag: "" }, {}),
      "invalid_input",
      'The component given to compile has `tag` ""; expected a text.',
    ],
    [
      () => compile({ ...MLP, symbols: undefined }, {}),
      "invalid_input",
      "The component given to compile has `symbols` undefined; expected an object.",
    ],
    [
      () => runtime.freeze("/nowhere/at/all", ""),
      "bad_usage",
      'freeze takes the path of a folder to write into; found "".',
    ],
    [
      () => runtime.buildPack("/nowhere/at/all", undefined as unknown as string),
      "bad_usage",
      "buildPack takes the path of a folder to write into; found undefined.",
    ],
    [
      () => runtime.tuneRanges("/nowhere/at/all", undefined as unknown as readonly RecordedSizes[]),
      "invalid_input",
      'tuneRanges takes a list of sizes such as { tag: "clip/text.block", dims: { batch: 1 } }; found undefined.',
    ],
  ];
  for (const [act, code, message] of refusals) await assert.rejects(act(), { code, message });
});

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
