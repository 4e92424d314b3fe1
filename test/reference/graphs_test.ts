import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { isRefusal } from "../../runtime/abi/kernel.ts";
import { createClaimContext } from "../../runtime/compile/cover.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import { type Bindings, evaluate } from "../../runtime/core/dim.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { evaluateGraph, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { FIXTURES, openClip, readJson } from "../clip/model_kit.ts";
import {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "../kit/random_graph.ts";
import { BARE_HOST, buildGraph, maxDifference, maxMagnitude, runGraph } from "../kit/run_graph.ts";

const open = (): Promise<Device> => referencePlugin.devices?.[0].open(BARE_HOST, {}) as Promise<Device>;

for (const enabled of [true, false]) {
  test(`reference: compiled random graphs equal the evaluator, ${enabled ? "optimised" : "op by op"}`, async () => {
    const device = await open();
    for (let seed = 0; seed < 100; seed++) {
      const at = randomBindings(seed);
      const build = (b: Parameters<typeof growRandomGraph>[0]): void => growRandomGraph(b, seed);
      const inputs = randomInputs(seed, at);
      const weights = randomWeights(seed);
      const options = { device, plugins: [referencePlugin], symbols: RANDOM_SYMBOLS, bindings: at, inputs, weights };
      const { outputs } = await runGraph({ ...options, build, enabled });
      const expected = evaluateGraph(buildGraph(RANDOM_SYMBOLS, build), at, inputs, weights);
      for (const name of Object.keys(expected)) {
        const difference = maxDifference(outputs[name], expected[name]);
        const limit = 2e-6 * (1 + maxMagnitude(expected[name]));
        assert.ok(difference <= limit, `seed ${seed}, ${name}: ${difference} over ${limit}`);
      }
    }
    assert.equal(device.stats().bytesInUse, 0);
    await device.close();
  });
}

test("reference: outputs may be inputs, weights, constants, views and each other", async () => {
  const device = await open();
  const symbols = { batch: { min: 1, max: 4 } };
  const build = (b: GraphBuilder): void => {
    const x = b.input("x", [b.dims.batch, 8]);
    const w = b.weight("w", [3, 4]);
    b.output("input", x);
    b.output("input again", x);
    b.output("weight", w);
    b.output("weight view", b.transpose(w, [1, 0]));
    b.output("weight view again", b.transpose(w, [1, 0]));
    b.output("repeated weight", b.broadcastTo(b.weight("v", [8]), [b.dims.batch, 8]));
    b.output("constant", b.constant(2));
    b.output("constant expression", b.unary("exp", b.constant(1)));
    b.output("slice", b.slice(x, 1, 2, 5));
    b.output("scaled weight", b.mul(w, b.unary("exp", b.constant(1))));
  };
  const inputs = { x: randomTensor(1, [3, 8]) };
  const weights = randomWeights(1);
  const options = { device, plugins: [referencePlugin], symbols, build, bindings: { batch: 3 }, inputs, weights };
  const { outputs } = await runGraph(options);
  const expected = evaluateGraph(buildGraph(symbols, build), { batch: 3 }, inputs, weights);
  assert.deepEqual(Object.keys(outputs).sort(), Object.keys(expected).sort());
  for (const name of Object.keys(expected)) {
    const difference = maxDifference(outputs[name], expected[name]);
    assert.ok(difference <= 1e-6, `${name}: ${difference}`);
  }
});

/** Normal values; small indices for integers, 0 and 1 for masks. */
function componentInputs(graph: Graph, bindings: Bindings): Record<string, RefTensor> {
  return Object.fromEntries(
    graph.inputs.map((n, i): [string, RefTensor] => {
      const shape = n.shape.map((d) => evaluate(d, bindings));
      const name = n.attributes.name as string;
      const count = shape.reduce((a, d) => a * d, 1);
      const counted = (f: (j: number) => number): number[] => Array.from({ length: count }, (_, j) => f(j));
      if (n.dtype === "i32")
        return [
          name,
          refTensor(
            "i32",
            shape,
            counted((j) => j % 2),
          ),
        ];
      if (name === "key_mask")
        return [
          name,
          refTensor(
            "f32",
            shape,
            counted((j) => (j % 3 < 2 ? 1 : 0)),
          ),
        ];
      return [name, randomTensor(i, shape)];
    }),
  );
}

test("reference: the components of CLIP equal the evaluator in every range, optimised and op by op", async () => {
  const device = await open();
  const { towers } = openClip(readJson(join(FIXTURES, "clip/config.json")));
  for (const { tag, symbols, ranges, build } of towers.flatMap((t) => t.components)) {
    for (const box of splitRanges(symbols, ranges ?? {}, { tag })) {
      const graph = buildGraph(box, build);
      const bindings = Object.fromEntries(
        Object.entries(box).map(([name, { min, max }]) => [name, Math.min(min + 1, max)]),
      );
      const inputs = componentInputs(graph, bindings);
      const weights = randomWeights(3);
      const expected = evaluateGraph(graph, bindings, inputs, weights);
      for (const enabled of [true, false]) {
        const options = { device, plugins: [referencePlugin], symbols: box, build, bindings, inputs, weights, enabled };
        const { outputs } = await runGraph(options);
        for (const name of Object.keys(expected)) {
          const difference = maxDifference(outputs[name], expected[name]);
          const limit = 2e-6 * (1 + maxMagnitude(expected[name]));
          assert.ok(difference <= limit, `${tag} ${name}: ${difference} over ${limit}`);
        }
      }
    }
  }
});

test("reference: an op is claimed alone, views are left to strides, foreign types are refused", () => {
  const kernel = referencePlugin.kernels?.[0];
  assert.ok(kernel !== undefined);
  const { make } = createInterner(OP_TABLE);
  const input = (dtype: string): ReturnType<typeof make> => make("input", [], { name: dtype, shape: [2], dtype });
  const offers = (node: ReturnType<typeof make>): ReturnType<typeof kernel.claim> => {
    const graph: Graph = { symbols: {}, inputs: [], outputs: [{ name: "y", node }] };
    const view = createViewResolver(OP_TABLE);
    return kernel.claim(createClaimContext(graph, { capabilities: {}, table: OP_TABLE, view }), node);
  };
  const [tanh] = offers(make("tanh", [input("f32")]));
  assert.ok(!isRefusal(tanh));
  assert.deepEqual([tanh.covers.length, tanh.operands.length, tanh.cost.launches], [1, 1, 1]);
  const [refusal] = offers(make("neg", [input("f16")]));
  assert.ok(isRefusal(refusal));
  assert.match(refusal.reason, /values of type f16 are not held by this device, only f32, i32/);
  assert.deepEqual(offers(make("reshape", [input("f32")], { shape: [1, 2] })), []);
});
