import assert from "node:assert/strict";
import { test } from "node:test";
import { add, type Box } from "../../runtime/core/dim.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner, type Node } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { printGraph, typeText } from "../../runtime/ir/print.ts";
import { verifyGraph } from "../../runtime/ir/verify.ts";
import { growRandomGraph, RANDOM_SYMBOLS } from "../kit/random_graph.ts";
import { buildGraph } from "../kit/run_graph.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 4 }, tokens: { min: 16, max: 64, multipleOf: 16 } };

test("print: one line a node, types and attributes readable", () => {
  const b = createGraphBuilder({ symbols: SYMBOLS });
  const x = b.input("x", [b.dims.batch, b.dims.tokens, 8]);
  const w = b.weight("norm.weight", [8]);
  const y = b.slice(b.rmsNorm(x, w, 1e-6), 1, 1, b.dims.tokens);
  b.output("y", y);
  b.output("ids", b.input("ids", [b.dims.batch], "i32"));
  assert.equal(
    printGraph(b.finish()),
    `graph (batch 1..4, tokens 16..64 step 16)
%0 = input() {name="x"} : f32[batch, tokens, 8]
%1 = input() {name="ids"} : i32[batch]
%2 = weight() {name="norm.weight"} : f32[8]
%3 = rms_norm(%0, %2) {eps=0.000001} : f32[batch, tokens, 8]
%4 = slice(%3) {axis=1,end={tokens},start=1} : f32[batch, tokens + -1, 8]
return y = %4
return ids = %1
`,
  );
  assert.equal(typeText(y), "f32[batch, tokens + -1, 8]");
});

test("print: equal graphs print equally, others do not", () => {
  const texts = Array.from({ length: 40 }, (_, seed) =>
    printGraph(buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed))),
  );
  const again = Array.from({ length: 40 }, (_, seed) =>
    printGraph(
      buildGraph(RANDOM_SYMBOLS, (b) => {
        b.unary("exp", b.constant(seed));
        growRandomGraph(b, seed);
      }),
    ),
  );
  assert.deepEqual(again, texts);
  assert.equal(new Set(texts).size, texts.length);
});

const interner = createInterner(OP_TABLE);
const x = interner.make("input", [], { name: "x", shape: [4, 8], dtype: "f32" });

/** A graph with one output. */
const graphOf = (node: Node, inputs: readonly Node[] = [x]): Graph => ({
  symbols: SYMBOLS,
  inputs,
  outputs: [{ name: "y", node }],
});

test("verify: random graphs are right", () => {
  for (let seed = 0; seed < 40; seed++)
    verifyGraph(
      buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed)),
      OP_TABLE,
      "trace",
    );
});

test("verify: every planted mistake is found and says after which stage", () => {
  const { make } = interner;
  const tanh = make("tanh", [x]);
  const symbolic = (shape: Node["shape"]): Node => make("input", [], { name: "s", shape, dtype: "f32" });
  const { tokens } = createGraphBuilder({ symbols: SYMBOLS }).dims;
  const { other } = createGraphBuilder({ symbols: { other: { min: 1, max: 2 } } }).dims;
  const cases: readonly (readonly [Graph, RegExp])[] = [
    [graphOf({ ...tanh, op: "fold" }), /unknown op/],
    [graphOf({ ...tanh, shape: [4, 9] }), /its type does not follow from its operands/],
    [graphOf({ ...tanh, shape: [4] }), /its type does not follow/],
    [graphOf({ ...tanh, dtype: "i32" }), /its type does not follow/],
    [graphOf({ ...tanh, inputs: [x, x] }), /it has 2 operands/],
    [graphOf({ ...tanh, inputs: [] }), /it has 0 operands/],
    [graphOf({ ...make("reshape", [x], { shape: [32] }), attributes: { shape: [31] } }), /cannot become \[31\]/],
    [graphOf(make("neg", [{ ...tanh, shape: [8] }])), /\(tanh\): its type does not follow/],
    [graphOf(tanh, []), /input "x" is not declared/],
    [graphOf(tanh, [x, tanh]), /"tanh" is declared as an input/],
    [graphOf(symbolic([other]), [symbolic([other])]), /symbol "other" has no interval/],
    [graphOf(symbolic([add(tokens, -65)]), [symbolic([add(tokens, -65)])]), /a size is negative/],
    [{ ...graphOf(tanh), outputs: [1, 2].map(() => ({ name: "y", node: tanh })) }, /output "y" appears twice/],
  ];
  verifyGraph(graphOf(tanh), OP_TABLE, "merge");
  for (const [graph, says] of cases) {
    assert.throws(
      () => verifyGraph(graph, OP_TABLE, "merge"),
      (error: Error) => /^internal: after merge[,:]/.test(error.message) && says.test(error.message),
      String(says),
    );
  }
});
