import assert from "node:assert/strict";
import { test } from "node:test";
import { fillReader } from "../../runtime/core/fill.ts";
import { exp } from "../../runtime/core/math.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { createSampler, type ElementsAt, type SampleOptions } from "../../runtime/ir/evaluate/sample.ts";
import { vector } from "../../runtime/ir/evaluate/sample_reader.ts";
import { createWeightReaders } from "../../runtime/ir/evaluate/sample_weights.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner, type Node, type OpRow } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "../kit/random_graph.ts";
import { buildGraph } from "../kit/run_graph.ts";

type Values = Readonly<Record<string, RefTensor>>;

/** A sampler over given inputs and weights. */
function samplerOver(
  inputs: Values,
  weights: ReturnType<typeof randomWeights>,
  rest: Omit<SampleOptions, "given">,
): ElementsAt {
  return createSampler({
    ...rest,
    given: (node) => {
      const name = String(node.attributes.name);
      if (node.op !== "input" && node.op !== "weight") return undefined;
      const { data } = node.op === "input" ? inputs[name] : weights(name, node.shape as readonly number[]);
      return (position) => data[position];
    },
  });
}

/** Every element of every output, against the evaluator. Sums are taken in other orders. */
function checkAll(graph: Graph, sample: ElementsAt, expected: Values, what: string): void {
  for (const { name, node } of graph.outputs) {
    const { data } = expected[name];
    const all = [...data.keys()];
    const [together, alone] = [sample(node, all), all.map((i) => sample(node, [i])[0])];
    for (const found of [together, alone]) {
      assert.equal(found.length, data.length);
      for (let i = 0; i < data.length; i++) {
        const apart = Math.abs(found[i] - data[i]);
        assert.ok(apart <= 1e-12 * (1 + Math.abs(data[i])), `${what}, ${name}[${i}]: ${found[i]}, ${data[i]}`);
      }
    }
  }
}

test("sample: every element of random graphs equals the evaluator's", () => {
  for (let seed = 0; seed < 150; seed++) {
    const graph = buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed));
    const bindings = randomBindings(seed);
    const [inputs, weights] = [randomInputs(seed, bindings), randomWeights(seed)];
    const expected = evaluateGraph(graph, bindings, inputs, weights);
    checkAll(graph, samplerOver(inputs, weights, { bindings }), expected, `seed ${seed}`);
  }
});

test("sample: attention in segments and windows with fewer key heads, masked", () => {
  const b = createGraphBuilder({ symbols: {} });
  const q = b.input("q", [2, 6, 4, 3]);
  const [k, v] = [b.input("k", [2, 6, 2, 3]), b.input("v", [2, 6, 2, 3])];
  const keyMask = b.input("mask", [2, 6]);
  const cuSeqlens = b.input("offsets", [4], "i32");
  for (const causal of [false, true]) {
    b.output(`causal ${causal}`, b.attention(q, k, v, { causal, keyMask, cuSeqlens }));
    b.output(`causal ${causal}, window`, b.attention(q, k, v, { causal, window: 1 }));
    b.output(`causal ${causal}, window, masked`, b.attention(q, k, v, { causal, window: 2, keyMask }));
  }
  const graph = b.finish();
  const inputs: Values = {
    q: randomTensor(1, [2, 6, 4, 3]),
    k: randomTensor(2, [2, 6, 2, 3]),
    v: randomTensor(3, [2, 6, 2, 3]),
    // The last row has a segment without a key.
    mask: { dtype: "f32", shape: [2, 6], data: Float64Array.of(1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0) },
    offsets: { dtype: "i32", shape: [4], data: Int32Array.of(0, 2, 4, 6) },
  };
  const expected = evaluateGraph(graph, {}, inputs, randomWeights(1));
  checkAll(graph, samplerOver(inputs, randomWeights(1), { bindings: {} }), expected, "segments");
});

test("sample: attention over parts of one value reads the same in runs as element by element", () => {
  const b = createGraphBuilder({ symbols: {} });
  const packed = b.reshape(b.input("packed", [2, 70, 36]), [2, 70, 3, 4, 3]);
  const [q, k, v] = [0, 1, 2].map((i) => b.reshape(b.slice(packed, 2, i, i + 1), [2, 70, 4, 3]));
  // The second reads rows of keys along an axis that lies elsewhere in what is given.
  const turned = b.transpose(b.input("turned", [2, 3, 4, 70]), [0, 3, 2, 1]);
  b.output("sliced", b.attention(q, k, v));
  b.output("turned", b.attention(q, turned, v, { causal: true }));
  const graph = b.finish();
  const fill = fillReader({ kind: "uniform", seed: 3, scale: 1 });
  const [inRuns, oneByOne] = [fill, (position: number) => fill(position)].map((reader) =>
    createSampler({ bindings: {}, given: (node) => (node.op === "input" ? reader : undefined) }),
  );
  const all = [...Array(2 * 70 * 12).keys()];
  for (const { node } of graph.outputs) assert.deepEqual(inRuns(node, all), oneByOne(node, all));
});

test("sample: products broadcast batches of either side", () => {
  const b = createGraphBuilder({ symbols: {} });
  const x = b.input("x", [2, 1, 3, 4]);
  const y = b.input("y", [5, 4, 2]);
  b.output("plain", b.matmul(x, y));
  b.output("transposed", b.matmul(b.transpose(y, [0, 2, 1]), b.reshape(x, [2, 1, 3, 4]), { transposeB: true }));
  const graph = b.finish();
  const inputs = { x: randomTensor(1, [2, 1, 3, 4]), y: randomTensor(2, [5, 4, 2]) };
  const expected = evaluateGraph(graph, {}, inputs, randomWeights(1));
  checkAll(graph, samplerOver(inputs, randomWeights(1), { bindings: {} }), expected, "products");
});

test("sample: ops of plugins are sampled through their expansion, whatever their kind", () => {
  const mirrored: OpRow = {
    kind: "assembly",
    arity: [1, 1],
    infer: ([x]) => ({ shape: x.shape.length === 2 ? [x.shape[1], x.shape[0]] : [], dtype: x.dtype }),
    expand: ([x], _, make) => make("neg", [make("transpose", [make("softmax", [x])], { perm: [1, 0] })]),
  };
  const table = new Map([
    ...OP_TABLE,
    ["mirrored", mirrored],
    ["twisted", { ...mirrored, kind: "contraction" }],
  ] as const);
  const b = createGraphBuilder({ symbols: {}, interner: createInterner(table) });
  const x = b.input("x", [3, 5]);
  b.output("y", b.op("twisted", [b.op("mirrored", [b.unary("exp", x)])]));
  const graph = b.finish();
  const inputs = { x: randomTensor(4, [3, 5]) };
  const expected = evaluateGraph(graph, {}, inputs, randomWeights(1), table);
  checkAll(graph, samplerOver(inputs, randomWeights(1), { bindings: {}, table }), expected, "plugin");
});

test("sample: only what an element depends on is read, and shared values once", () => {
  const b = createGraphBuilder({ symbols: {} });
  const x = b.input("x", [1000, 8]);
  // Without sharing, thirty doublings would read a thousand million elements.
  let doubled = x;
  for (let i = 0; i < 30; i++) doubled = b.add(doubled, doubled);
  const normal = b.softmax(x);
  b.output("y", doubled);
  let reads = 0;
  const sample = createSampler({
    bindings: {},
    given: (node) =>
      node !== x
        ? undefined
        : (position) => {
            reads++;
            return position / 8000;
          },
  });
  assert.deepEqual([...sample(doubled, [4000])], [0.5 * 2 ** 30]);
  assert.ok(reads <= 2, `${reads} reads`);
  reads = 0;
  const row = sample(
    normal,
    Array.from({ length: 8 }, (_, i) => 800 + i),
  );
  assert.equal(reads, 8);
  const powers = Array.from({ length: 8 }, (_, i) => exp((i - 7) / 8000));
  const total = powers.reduce((p, q) => p + q, 0);
  for (let i = 0; i < 8; i++) assert.ok(Math.abs(row[i] - powers[i] / total) < 1e-15);
  assert.throws(() => sample(b.weight("w", [4]), [0]), /internal: the weight "w" has no values to sample/);
});

test("sample: what follows from weights is computed once for all graphs that have it", () => {
  let reads = 0;
  const readerOf = createWeightReaders(OP_TABLE, () => (position) => {
    reads++;
    return position % 7;
  });
  const scaled = (name: string): Node => {
    const b = createGraphBuilder({ symbols: {} });
    const w = b.mul(b.weight(name, [6, 5]), b.constant(3));
    return b.reshape(b.op("reduce_sum", [b.transpose(w, [1, 0])]), [5]);
  };
  const columns = [0, 1, 2, 3, 4].map((j) => 3 * [0, 1, 2, 3, 4, 5].reduce((sum, i) => sum + ((i * 5 + j) % 7), 0));
  assert.deepEqual([...vector(readerOf(scaled("w")), 0, 1, 5)], columns);
  assert.equal(reads, 30);
  assert.deepEqual([...vector(readerOf(scaled("w")), 0, 1, 5)], columns);
  assert.equal(reads, 30);
  assert.deepEqual([...vector(readerOf(scaled("other")), 0, 1, 5)], columns);
  assert.equal(reads, 60);

  // More than is kept: forgotten, and right again.
  const large = (): Node => {
    const b = createGraphBuilder({ symbols: {} });
    return b.unary("neg", b.weight("large", [2 ** 22]));
  };
  assert.equal(vector(readerOf(large()), 0, 1, 2 ** 22)[9], -2);
  assert.deepEqual([...vector(readerOf(scaled("w")), 0, 1, 5)], columns);
  assert.equal(reads, 90 + 2 ** 22);
});
