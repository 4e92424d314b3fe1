/** Values as f16: what may be too large for it stays f32, whatever the inputs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { narrowValues, type ValueWidth } from "../../runtime/compile/narrow_values.ts";
import { magnitudesName } from "../../runtime/core/calibration.ts";
import { normal } from "../../runtime/core/random.ts";
import { factOf, roundedUp, type WeightFacts } from "../../runtime/core/weight_facts.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { createBounds } from "../../runtime/ir/value_bounds.ts";

const [ROWS, WIDTH, INNER] = [3, 16, 32];

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "norm.weight": [WIDTH],
  "norm.bias": [WIDTH],
  "fc1.weight": [INNER, WIDTH],
  "fc1.bias": [INNER],
  "fc2.weight": [WIDTH, INNER],
};

/** A transformer's MLP with its residual, as in Whisper, whose inner values grow beyond f16 in some layers. */
function mlp(b: GraphBuilder): void {
  const w = (name: string) => b.weight(name, SHAPES[name] as number[]);
  const x = b.input("x", [ROWS, WIDTH]);
  const normed = b.op("layer_norm", [x, w("norm.weight"), w("norm.bias")], { eps: 1e-5 });
  const inner = b.unary("gelu", b.add(b.matmul(normed, w("fc1.weight"), { transposeB: true }), w("fc1.bias")));
  b.output("y", b.add(x, b.matmul(inner, w("fc2.weight"), { transposeB: true })));
}

/** Weights of a layer; `planted` is the largest of its inner values, and what reads it has small weights. */
function weightsFor(planted: number): ReadonlyMap<string, Float32Array> {
  const draw = (name: string, seed: number, scale: number): [string, Float32Array] => {
    const count = SHAPES[name].reduce((a, b) => a * b, 1);
    return [name, Float32Array.from({ length: count }, (_, i) => scale * normal(seed, i))];
  };
  const weights = new Map([
    draw("norm.weight", 1, 0.2),
    draw("norm.bias", 2, 0.1),
    draw("fc1.weight", 3, 0.3),
    draw("fc1.bias", 4, 0.1),
    draw("fc2.weight", 5, 1e-5),
  ]);
  (weights.get("fc1.bias") as Float32Array)[7] = planted;
  return weights;
}

const factsOf = (weights: ReadonlyMap<string, Float32Array>): WeightFacts =>
  Object.fromEntries([...weights].flatMap(([name, values]) => [[name, factOf(values, SHAPES[name]) ?? assert.fail()]]));

function narrowed(facts: WeightFacts, build: (b: GraphBuilder) => void = mlp) {
  const { make, table } = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner: { make, table } });
  build(b);
  const traced = b.finish();
  const widths: ValueWidth[] = [];
  const graph = narrowValues(traced, { make, table, facts, onValue: (width) => widths.push(width) });
  const keptOf = (op: string): string => widths.find(({ value }) => value.startsWith(`${op} `))?.kept ?? "nothing";
  return { traced, graph, widths, keptOf };
}

function run(graph: ReturnType<typeof narrowed>["graph"], weights: ReadonlyMap<string, Float32Array>): RefTensor {
  const x = refTensor(
    "f32",
    [ROWS, WIDTH],
    Float32Array.from({ length: ROWS * WIDTH }, (_, i) => 100 * normal(9, i)),
  );
  const read = (name: string): RefTensor =>
    refTensor("f32", SHAPES[name] as number[], weights.get(name) ?? assert.fail());
  return evaluateGraph(graph, {}, { x }, read).y;
}

test("values that norms and weights bound are f16, the sums that layers pass on are not", () => {
  const weights = weightsFor(0.1);
  const { traced, graph, keptOf, widths } = narrowed(factsOf(weights));
  assert.equal(keptOf("layer_norm"), "f16");
  assert.equal(keptOf("gelu"), "f16");
  assert.equal(widths.length, 2);
  assert.equal(nodesOf(graph).filter(({ op }) => op === "narrow").length, 2);
  const [expected, found] = [traced, graph].map((g) => run(g, weights).data);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(found[i] - expected[i]) <= 1e-3 * (1 + Math.abs(expected[i])));
});

test("a planted activation beyond f16 stays f32 and does not overflow; as f16 it would", () => {
  const weights = weightsFor(2e5);
  const { traced, graph, keptOf, widths } = narrowed(factsOf(weights));
  assert.equal(keptOf("layer_norm"), "f16");
  assert.equal(keptOf("gelu"), "f32");
  assert.match(widths.find(({ kept }) => kept === "f32")?.reason ?? "", /f16 holds at most 65504/);
  const [expected, found] = [traced, graph].map((g) => run(g, weights).data);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(found[i] - expected[i]) <= 1e-3 * (1 + Math.abs(expected[i])));
  // The same with facts of small weights: all of it f16.
  const careless = narrowed(factsOf(weightsFor(0.1))).graph;
  assert.ok(run(careless, weights).data.some((v) => !Number.isFinite(v)));
});

test("without facts only what needs none is f16", () => {
  const { keptOf } = narrowed({});
  assert.equal(keptOf("layer_norm"), "f32");
  const softmax = narrowed({}, (b) => {
    const x = b.input("x", [ROWS, WIDTH]);
    b.output("y", b.matmul(b.op("softmax", [x]), b.weight("fc1.weight", [INNER, WIDTH]), { transposeB: true }));
  });
  assert.equal(softmax.keptOf("softmax"), "f16");
});

test("a calibration bounds what weights do not, with room to grow", () => {
  const magnitudes = (largest: number): WeightFacts => ({
    [magnitudesName("fc1.weight")]: { largest, row: largest * 4 },
  });
  assert.equal(narrowed(magnitudes(1000)).keptOf("layer_norm"), "f16");
  assert.equal(narrowed(magnitudes(10_000)).keptOf("layer_norm"), "f32");
});

test("bounds hold for random weights and inputs", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const weights = weightsFor(seed);
    const { traced } = narrowed(factsOf(weights));
    const boundOf = createBounds(factsOf(weights));
    for (const node of nodesOf(traced)) {
      const { largest, row } = boundOf(node);
      if (largest === Number.POSITIVE_INFINITY || node.shape.length !== 2) continue;
      const { data } = run({ ...traced, outputs: [{ name: "y", node }] }, weights);
      const width = node.shape[1] as number;
      for (let at = 0; at < data.length; at += width) {
        const values = Array.from(data.subarray(at, at + width));
        assert.ok(Math.max(...values.map(Math.abs)) <= largest * 1.0001, node.op);
        assert.ok(Math.sqrt(values.reduce((n, v) => n + v * v, 0)) <= row * 1.0001, node.op);
      }
    }
  }
});

test("facts are rounded up to few numbers, and no number leaves none", () => {
  assert.equal(roundedUp(0), 0);
  for (const value of [1e-9, 0.3, 1, 1.01, 7, 8.2, 1000, 65504]) {
    assert.ok(roundedUp(value) >= value && roundedUp(value) <= value * 1.126, String(value));
    assert.equal(roundedUp(roundedUp(value)), roundedUp(value));
  }
  assert.deepEqual(factOf(Float32Array.of(3, -4, 0, 1), [2, 2]), { largest: 4, row: 5 });
  assert.equal(factOf(Float32Array.of(1, Number.NaN), [2]), undefined);
  assert.equal(factOf(Float32Array.of(1, Number.POSITIVE_INFINITY), [2]), undefined);
});
