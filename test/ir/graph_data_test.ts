/** Graphs survive the way to plain data and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mul } from "../../runtime/core/dim.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { graphFromData } from "../../runtime/ir/graph_data.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { printGraph } from "../../runtime/ir/print.ts";
import { growRandomGraph, RANDOM_SYMBOLS } from "../kit/random_graph.ts";

const again = (data: unknown): unknown =>
  graphToData(graphFromData(JSON.parse(JSON.stringify(data)), createInterner(OP_TABLE).make));

test("data of random graphs make the same graphs", () => {
  for (let seed = 0; seed < 50; seed++) {
    const b = createGraphBuilder({ symbols: RANDOM_SYMBOLS });
    growRandomGraph(b, seed);
    const graph = b.finish();
    const data = graphToData(graph);
    assert.deepEqual(again(data), data);
    const back = graphFromData(JSON.parse(JSON.stringify(data)), createInterner(OP_TABLE).make);
    assert.equal(printGraph(back), printGraph(graph));
  }
});

test("dims alone, lists of one dim, minus zero and symbolic slices keep their kinds", () => {
  const b = createGraphBuilder({ symbols: { n: { min: 2, max: 8, multipleOf: 2 } } });
  const x = b.input("x", [mul(b.dims.n, 3)]);
  const flat = b.slice(b.reshape(x, [b.dims.n, 3]), 0, 0, b.dims.n);
  b.output("y", b.mul(b.reshape(flat, [mul(b.dims.n, 3)]), b.constant(-0)));
  const data = graphToData(b.finish());
  assert.deepEqual(again(data), data);
});

test("what is no graph is refused", () => {
  const { make } = createInterner(OP_TABLE);
  for (const data of [undefined, null, 3, {}, { symbols: {}, inputs: [], nodes: {}, outputs: [] }])
    assert.throws(() => graphFromData(data, make), /not the data of a graph/);
  assert.throws(
    () => graphFromData({ symbols: {}, inputs: [0], nodes: [], outputs: [["y", 0]] }, make),
    /names node 0 before it is made/,
  );
});
