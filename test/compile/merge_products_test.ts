import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeSiblingProducts } from "../../runtime/compile/merge_products.ts";
import type { Box } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { type Graph, nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { verifyGraph } from "../../runtime/ir/verify.ts";
import { randomTensor, randomWeights } from "../kit/random_graph.ts";
import { maxDifference } from "../kit/run_graph.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 4 }, tokens: { min: 2, max: 6 } };

interface Projection {
  readonly name: string;
  readonly bias?: readonly number[] | false;
  readonly from?: (b: GraphBuilder, x: Node) => Node;
}

const ATTENTION: readonly Projection[] = [{ name: "q" }, { name: "k" }, { name: "v" }];

/** Attention over projections of x [batch, tokens, 8], and what else uses them. */
function build(
  projections: readonly Projection[],
  more: (b: GraphBuilder, parts: readonly Node[], x: Node) => void = () => {},
): { before: Graph; after: Graph } {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: SYMBOLS, interner });
  const { batch, tokens } = b.dims;
  const x = b.input("x", [batch, tokens, 8]);
  const parts = projections.map(({ name, bias = [8], from = (_, y) => y }) => {
    const product = b.matmul(from(b, x), b.weight(`${name}.weight`, [8, 8]), { transposeB: true });
    return bias === false ? product : b.add(product, b.weight(`${name}.bias`, bias));
  });
  const [q, k, v] = parts.map((p) => b.reshape(p, [batch, tokens, 2, 4]));
  b.output("y", b.attention(q, k, v));
  more(b, parts, x);
  const before = b.finish();
  const after = mergeSiblingProducts(before, interner.make, OP_TABLE);
  verifyGraph(after, OP_TABLE, "merge");
  for (const at of [
    { batch: 1, tokens: 2 },
    { batch: 3, tokens: 5 },
  ]) {
    const inputs = { x: randomTensor(7, [at.batch, at.tokens, 8]) };
    const [one, two] = [before, after].map((g) => evaluateGraph(g, at, inputs, randomWeights(2)));
    for (const name of Object.keys(one)) assert.ok(maxDifference(one[name], two[name]) < 1e-12, name);
  }
  return { before, after };
}

const products = (graph: Graph): number => nodesOf(graph).filter((n) => n.op === "matmul").length;
const widths = (graph: Graph): readonly unknown[] =>
  nodesOf(graph)
    .filter((n) => n.op === "matmul")
    .map((n) => n.shape[n.shape.length - 1]);

test("merge: projections of one value become one product, with biases or without", () => {
  assert.deepEqual(widths(build(ATTENTION).after), [24]);
  assert.deepEqual(widths(build(ATTENTION.map((p) => ({ ...p, bias: false as const }))).after), [24]);
});

test("merge: nothing happens where a result is needed by itself or a bias cannot be stacked", () => {
  const alone = (more: Parameters<typeof build>[1], projections = ATTENTION): void => {
    const { before, after } = build(projections, more);
    assert.equal(after, before);
  };
  // Each of the three is an output or feeds an elementwise op.
  alone((b, parts) => {
    for (const [i, p] of parts.entries()) b.output(`part ${i}`, p);
  });
  alone((b, parts) => {
    for (const [i, p] of parts.entries()) b.output(`part ${i}`, b.unary("tanh", p));
  });
  // A bias of one element cannot be stacked.
  alone(
    undefined,
    ATTENTION.map((p) => ({ ...p, bias: [1] })),
  );
  alone(
    undefined,
    ATTENTION.map((p, i) => ({ ...p, from: (b: GraphBuilder, x: Node) => b.mul(x, b.constant(i + 2)) })),
  );
});

test("merge: a projection without a bias merges with those that have one", () => {
  const { after } = build([{ name: "q" }, { name: "k", bias: false }, { name: "v" }]);
  assert.deepEqual(widths(after), [24]);
});

test("merge: two of three merge when the third is needed elsewhere", () => {
  const { after } = build(ATTENTION, (b, parts) => b.output("v", parts[2]));
  assert.deepEqual(widths(after), [16, 8]);
});

test("merge: the same weights applied to another value stay a product of their own", () => {
  const { after } = build(ATTENTION, (b, _, x) => {
    const other = b.unary("tanh", x);
    b.output(
      "other",
      b.add(b.matmul(other, b.weight("q.weight", [8, 8]), { transposeB: true }), b.weight("q.bias", [8])),
    );
  });
  assert.deepEqual([...widths(after)].sort(), [24, 8]);
  assert.equal(products(after), 2);
});

test("merge: two groups that share weights merge each for itself", () => {
  const { after } = build(ATTENTION, (b, _, x) => {
    const other = b.unary("tanh", x);
    const { batch, tokens } = b.dims;
    const [q, k] = ["q", "extra"].map((name) =>
      b.reshape(
        b.add(b.matmul(other, b.weight(`${name}.weight`, [8, 8]), { transposeB: true }), b.weight(`${name}.bias`, [8])),
        [batch, tokens, 2, 4],
      ),
    );
    b.output("z", b.attention(q, k, k));
  });
  assert.deepEqual(widths(after), [24, 16]);
});
