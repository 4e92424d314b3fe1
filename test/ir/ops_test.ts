import assert from "node:assert/strict";
import { test } from "node:test";
import { type Box, evaluate } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { evaluateNode, evaluatorOf, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { type AttributeKind, OP_ATTRIBUTES } from "../../runtime/ir/op_attributes.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { broadcastShapes } from "../../runtime/ir/shapes.ts";
import {
  growRandomGraph,
  OPS_OF_PASSES,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomWeights,
} from "../kit/random_graph.ts";
import { buildGraph } from "../kit/run_graph.ts";

test("ops: inferred types are the types of evaluated values", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 120; seed++) {
    const graph = buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed));
    const at = randomBindings(seed);
    const inputs = randomInputs(seed, at);
    const values = new Map<Node, RefTensor>();
    for (const n of nodesOf(graph)) {
      seen.add(n.op);
      const name = String(n.attributes.name);
      const value =
        n.op === "input"
          ? inputs[name]
          : n.op === "weight"
            ? randomWeights(seed)(name, n.shape as readonly number[])
            : evaluateNode(
                n,
                n.inputs.map((i) => values.get(i) as RefTensor),
                at,
              );
      values.set(n, value);
      assert.deepEqual(
        value.shape,
        n.shape.map((d) => evaluate(d, at)),
        `seed ${seed}: ${n.op}`,
      );
      assert.equal(value.dtype, n.dtype, `seed ${seed}: ${n.op}`);
    }
  }
  assert.deepEqual([...OP_TABLE.keys()].filter((op) => !seen.has(op)).sort(), OPS_OF_PASSES);
});

test("ops: every row has a kind, and a meaning for the evaluator", () => {
  for (const [name, row] of OP_TABLE) {
    assert.ok(row.arity[0] <= row.arity[1], name);
    if (name !== "input" && name !== "weight") assert.notEqual(evaluatorOf(name), undefined, name);
    // Inputs and weights have nothing to compute from; everything else that takes no operands is a constant.
    if (row.arity[1] === 0) assert.equal(row.kind, "source", name);
  }
});

test("ops: expansions are made of other ops and keep the type", () => {
  const { make } = createInterner(OP_TABLE);
  const x = make("input", [], { name: "x", shape: [2, 3, 4, 8], dtype: "f32" });
  const parameters = (count: number): Node[] =>
    Array.from({ length: count }, (_, i) => make("input", [], { name: `p${i}`, shape: [8], dtype: "f32" }));
  let expanded = 0;
  for (const [name, row] of OP_TABLE) {
    if (row.expand === undefined || row.kind === "assembly") continue;
    expanded++;
    const inputs = [x, ...parameters(row.arity[0] - 1)];
    const attributes = { eps: 1e-5 };
    const whole = make(name, inputs, attributes);
    const result = row.expand(inputs, attributes, make);
    assert.deepEqual([result.dtype, result.shape], [whole.dtype, whole.shape], name);
    assert.ok(
      nodesOf({ symbols: {}, inputs: [], outputs: [{ name: "y", node: result }] }).every(
        (n) => OP_TABLE.get(n.op)?.expand === undefined,
      ),
      name,
    );
  }
  assert.ok(expanded >= 9);
});

test("ops: shapes broadcast as numpy's do, symbols by name", () => {
  const symbols: Box = { batch: { min: 1, max: 2 }, tokens: { min: 1, max: 2 } };
  const { batch, tokens } = createGraphBuilder({ symbols }).dims;
  assert.deepEqual(broadcastShapes([[batch, 1, 8], [tokens, 1], []]), [batch, tokens, 8]);
  assert.deepEqual(broadcastShapes([[1], [batch]]), [batch]);
  assert.match(String(broadcastShapes([[batch], [tokens]])), /sizes batch and tokens do not broadcast on axis -1/);
  assert.match(
    String(
      broadcastShapes([
        [4, 1],
        [3, 1],
      ]),
    ),
    /sizes 4 and 3 do not broadcast on axis -2/,
  );
});

test("ops: sizes follow symbols", () => {
  const b: GraphBuilder = createGraphBuilder({
    symbols: { h: { min: 8, max: 64, multipleOf: 8 }, batch: { min: 1, max: 2 } },
  });
  const image = b.input("image", [b.dims.batch, 3, b.dims.h, 16]);
  const patches = b.patchify(image, 8, 8);
  const at = { h: 24, batch: 2 };
  assert.deepEqual(
    patches.shape.map((d) => evaluate(d, at)),
    [2, 6, 192],
  );
  const joined = b.concat([patches, b.slice(patches, 1, 0, 2)], 1);
  assert.equal(evaluate(joined.shape[1], at), 8);
  const value = refTensor("f32", [2, 3, 24, 16], new Float64Array(2 * 3 * 24 * 16));
  assert.deepEqual(evaluateNode(patches, [value], at).shape, [2, 6, 192]);
});

test("ops: f32 is rounded to f16, and f16 read as f32", () => {
  const graph = (build: (b: GraphBuilder) => Node) => () => buildGraph({}, (b) => b.output("y", build(b)));
  const of = (op: string, dtype: "i32" | "f32") => graph((b) => b.op(op, [b.input("x", [4], dtype)]));
  assert.throws(of("narrow", "i32"), /it rounds f32 to f16, found i32/);
  assert.throws(of("widen", "f32"), /it reads f16 as f32, found f32/);
});

/** Kinds that an attribute's value may be of. */
const kindOf = (value: unknown): AttributeKind =>
  Array.isArray(value)
    ? "list"
    : typeof value === "boolean"
      ? "boolean"
      : typeof value === "string"
        ? "text"
        : "number";

test("ops: nodes have the attributes that the table of attributes lists, of its kinds", () => {
  for (let seed = 0; seed < 120; seed++) {
    const graph = buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed));
    for (const { op, attributes } of nodesOf(graph)) {
      const kinds = (OP_ATTRIBUTES as Readonly<Record<string, Readonly<Record<string, AttributeKind>>>>)[op];
      for (const [name, value] of Object.entries(attributes)) assert.equal(kinds[name], kindOf(value), `${op}.${name}`);
    }
  }
});
