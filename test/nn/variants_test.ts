import assert from "node:assert/strict";
import { test } from "node:test";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import * as ref from "../../runtime/ir/evaluate/mod.ts";
import { gatedMlp, layerScale, mlp, selfAttention } from "../../runtime/nn/mod.ts";
import { randomTensor } from "../kit/random_graph.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";

type RefTensor = ref.RefTensor;
type Inputs = Readonly<Record<string, RefTensor>>;

/** Seeded weights by name. */
function weight(name: string, shape: readonly number[]): RefTensor {
  const seed = [...name].reduce((n, c) => (Math.imul(n, 31) + c.charCodeAt(0)) >>> 0, 7);
  return randomTensor(seed, shape);
}

/** The block's result, and the names of the weights that it read. */
function run(
  inputs: Inputs,
  build: (b: GraphBuilder, given: Readonly<Record<string, Node>>) => Node,
): [RefTensor, string[]] {
  const names: string[] = [];
  const graph = buildGraph({}, (b) => {
    const given = Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, b.input(name, t.shape)]));
    b.output("y", build(b, given));
  });
  const read = (name: string, shape: readonly number[]): RefTensor => {
    names.push(name);
    return weight(name, shape);
  };
  return [ref.evaluateGraph(graph, {}, inputs, read).y, [...new Set(names)].sort()];
}

const near = (a: RefTensor, b: RefTensor): void => assert.ok(maxDifference(a, b) <= 1e-12, `${maxDifference(a, b)}`);

const X = randomTensor(3, [2, 3, 8]);

test("nn: self-attention with the family's names, its biases one by one, and rotary positions", () => {
  const [cos, sin] = [randomTensor(4, [3, 2]), randomTensor(5, [3, 2])];
  const names = { query: "q", key: "self.k", value: "v", output: "out.dense" };
  const bias = { query: true, key: false, value: true, output: false };
  const [y, asked] = run({ x: X, cos, sin }, (b, { x, cos: c, sin: s }) =>
    selfAttention(b, x, "attn.", { heads: 2, names, bias, rotary: { cos: c, sin: s } }),
  );
  assert.deepEqual(
    asked,
    ["out.dense.weight", "q.bias", "q.weight", "self.k.weight", "v.bias", "v.weight"].map((n) => `attn.${n}`),
  );
  const project = (x: RefTensor, which: keyof typeof names): RefTensor => {
    const prefix = `attn.${names[which]}.`;
    return ref.linear(x, weight(`${prefix}weight`, [8, 8]), bias[which] ? weight(`${prefix}bias`, [8]) : undefined);
  };
  const split = (which: keyof typeof names): RefTensor => ref.reshape(project(X, which), [2, 3, 2, 4]);
  const turn = (t: RefTensor): RefTensor => ref.rotary(t, cos, sin, false);
  const mixed = ref.attention(turn(split("query")), turn(split("key")), split("value"), { scale: 0.5, causal: false });
  near(y, project(ref.reshape(mixed, [2, 3, 8]), "output"));
});

test("nn: mlp with the family's names, without biases", () => {
  const options = { intermediateSize: 6, activation: "relu", names: ["up", "down"], bias: false } as const;
  const [y, asked] = run({ x: X }, (b, { x }) => mlp(b, x, "mlp.", options));
  assert.deepEqual(asked, ["mlp.down.weight", "mlp.up.weight"]);
  near(y, ref.linear(ref.relu(ref.linear(X, weight("mlp.up.weight", [6, 8]))), weight("mlp.down.weight", [8, 6])));
});

test("nn: the gated mlp is down(activation(gate(x)) * up(x)), with and without biases", () => {
  for (const bias of [true, false]) {
    const [y, asked] = run({ x: X }, (b, { x }) =>
      gatedMlp(b, x, "mlp.", { intermediateSize: 6, activation: "silu", ...(bias ? {} : { bias }) }),
    );
    assert.equal(asked.length, bias ? 6 : 3);
    const layer = (x: RefTensor, name: string, out: number, width: number): RefTensor =>
      ref.linear(x, weight(`mlp.${name}.weight`, [out, width]), bias ? weight(`mlp.${name}.bias`, [out]) : undefined);
    const inner = ref.mul(ref.silu(layer(X, "gate_proj", 6, 8)), layer(X, "up_proj", 6, 8));
    near(y, layer(inner, "down_proj", 8, 6));
  }
});

test("nn: a layer scale multiplies every channel by its own factor", () => {
  const [y, asked] = run({ x: X }, (b, { x }) => layerScale(b, x, "scale."));
  assert.deepEqual(asked, ["scale.lambda1"]);
  const factors = weight("scale.lambda1", [8]);
  near(y, { ...X, data: X.data.map((v, i) => v * factors.data[i % 8]) });
});
