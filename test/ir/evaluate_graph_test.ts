import assert from "node:assert/strict";
import { test } from "node:test";
import { expandUncovered } from "../../runtime/compile/legalize.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { EVALUATORS, evaluateGraph, evaluateNode, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner, type OpRow } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import {
  growRandomGraph,
  OPS_OF_PASSES,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomWeights,
} from "../kit/random_graph.ts";
import { buildGraph, maxDifference, maxMagnitude } from "../kit/run_graph.ts";

const f32 = (shape: readonly number[], values: readonly number[]): RefTensor => refTensor("f32", shape, values);
const i32 = (shape: readonly number[], values: readonly number[]): RefTensor => refTensor("i32", shape, values);
const noWeights = (): never => assert.fail("no weight was declared");

/** Declares inputs for the operands, applies `build` and evaluates. */
function run(operands: readonly RefTensor[], build: (b: GraphBuilder, x: readonly Node[]) => Node): RefTensor {
  const graph = buildGraph({ n: { min: 1, max: 9 } }, (b) =>
    b.output(
      "y",
      build(
        b,
        operands.map((t, i) => b.input(`${i}`, t.shape, t.dtype)),
      ),
    ),
  );
  return evaluateGraph(graph, { n: 2 }, Object.fromEntries(operands.map((t, i) => [`${i}`, t])), noWeights).y;
}

test("evaluate: the table has every op but inputs and weights", () => {
  assert.deepEqual([...Object.keys(EVALUATORS), "input", "weight"].sort(), [...OP_TABLE.keys()].sort());
});

test("evaluate: attributes of views, reductions and layouts reach their functions", () => {
  const x = f32([2, 3], [1, 2, 3, 4, 5, 6]);
  const values = (t: RefTensor): readonly [readonly number[], readonly number[]] => [t.shape, [...t.data]];
  assert.deepEqual(values(run([x], (b, [v]) => b.reshape(v, [3, 2]))), [
    [3, 2],
    [1, 2, 3, 4, 5, 6],
  ]);
  assert.deepEqual(values(run([x], (b, [v]) => b.transpose(v, [1, 0]))), [
    [3, 2],
    [1, 4, 2, 5, 3, 6],
  ]);
  assert.deepEqual(values(run([x], (b, [v]) => b.slice(v, 1, 1, 3))), [
    [2, 2],
    [2, 3, 5, 6],
  ]);
  assert.deepEqual(values(run([x], (b, [v]) => b.slice(v, 0, 0, 1))), [
    [1, 3],
    [1, 2, 3],
  ]);
  assert.deepEqual(values(run([f32([3], [1, 2, 3])], (b, [v]) => b.broadcastTo(v, [b.dims.n, 3]))), [
    [2, 3],
    [1, 2, 3, 1, 2, 3],
  ]);
  assert.deepEqual(values(run([x], (b, [v]) => b.unary("reduce_sum", v))), [
    [2, 1],
    [6, 15],
  ]);
  assert.deepEqual(values(run([x], (b, [v]) => b.unary("reduce_mean", v))), [
    [2, 1],
    [2, 5],
  ]);
  assert.deepEqual(values(run([x], (b, [v]) => b.unary("reduce_max", v))), [
    [2, 1],
    [3, 6],
  ]);
  assert.deepEqual(values(run([x, x], (b, [v, w]) => b.concat([v, w], 1))), [
    [2, 6],
    [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6],
  ]);
  assert.deepEqual(values(run([x, i32([3], [1, 0, 1])], (b, [v, at]) => b.gather(v, at))), [
    [3, 3],
    [4, 5, 6, 1, 2, 3, 4, 5, 6],
  ]);
  const cube = f32([2, 2, 1], [1, 2, 3, 4]);
  assert.deepEqual(values(run([cube, i32([2], [1, 0])], (b, [v, at]) => b.takeRow(v, at))), [
    [2, 1],
    [2, 3],
  ]);
  const image = f32([1, 1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(values(run([image], (b, [v]) => b.patchify(v, 1, 2))), [
    [1, 4, 2],
    [1, 2, 3, 4, 5, 6, 7, 8],
  ]);
  assert.deepEqual(values(run([x, f32([1, 3], [1, 1, 1])], (b, [v, w]) => b.matmul(v, w, { transposeB: true }))), [
    [2, 1],
    [6, 15],
  ]);
  assert.deepEqual(values(run([], (b) => b.constant(2.5))), [[], [2.5]]);
});

test("evaluate: attention passes mask, segments, scale and order on", () => {
  const shape = [1, 3, 1, 1];
  const q = f32(shape, [0, 0, 0]);
  const v = f32(shape, [3, 6, 12]);
  const attend = (extra: readonly RefTensor[], options: (x: readonly Node[]) => object): number[] => [
    ...run([q, v, ...extra], (b, [x, y, ...rest]) => b.attention(x, x, y, { scale: 1, ...options(rest) })).data,
  ];
  assert.deepEqual(
    attend([], () => ({})),
    [7, 7, 7],
  );
  assert.deepEqual(
    attend([], () => ({ causal: true })),
    [3, 4.5, 7],
  );
  assert.deepEqual(
    attend([f32([1, 3], [1, 0, 1])], ([keyMask]) => ({ keyMask })),
    [7.5, 7.5, 7.5],
  );
  assert.deepEqual(
    attend([i32([3], [0, 1, 3])], ([cuSeqlens]) => ({ cuSeqlens })),
    [3, 9, 9],
  );
  const both = attend([f32([1, 3], [1, 1, 0]), i32([3], [0, 1, 3])], ([keyMask, cuSeqlens]) => ({
    keyMask,
    cuSeqlens,
  }));
  assert.deepEqual(both, [3, 6, 6]);
});

test("evaluate: ops and their expansions mean the same on random graphs, and every op appears", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 150; seed++) {
    const interner = createInterner(OP_TABLE);
    const b = createGraphBuilder({ symbols: RANDOM_SYMBOLS, interner });
    growRandomGraph(b, seed);
    const graph = b.finish();
    for (const n of nodesOf(graph)) seen.add(n.op);
    const simple = expandUncovered(graph, interner.make, OP_TABLE, () => false);
    assert.ok(nodesOf(simple).every((n) => OP_TABLE.get(n.op)?.expand === undefined));
    const at = randomBindings(seed);
    const [one, two] = [graph, simple].map((g) => evaluateGraph(g, at, randomInputs(seed, at), randomWeights(seed)));
    for (const name of Object.keys(one)) {
      const difference = maxDifference(one[name], two[name]);
      assert.ok(difference <= 1e-9 * (1 + maxMagnitude(one[name])), `seed ${seed}, ${name}: ${difference}`);
    }
  }
  const missing = [...OP_TABLE.keys()].filter((op) => !seen.has(op)).sort();
  assert.deepEqual(missing, OPS_OF_PASSES);
});

test("evaluate: an op of a plugin goes through its expansion; one without meaning is refused", () => {
  const like = OP_TABLE.get("tanh") as OpRow;
  const table = new Map([
    ...OP_TABLE,
    ["acme.twice", { ...like, expand: ([x], _, make) => make("acme.sum", [x, x]) } satisfies OpRow],
    [
      "acme.sum",
      {
        ...like,
        arity: [2, 2],
        expand: ([x, y], _, make) => make("add", [y, make("mul", [x, make("constant", [], { value: 1 })])]),
      } satisfies OpRow,
    ],
    ["acme.opaque", like],
  ]);
  const graph = buildGraph(
    { n: { min: 1, max: 4 } },
    (b) => {
      const x = b.input("x", [b.dims.n]);
      b.output("y", b.op("acme.twice", [b.add(x, b.constant(1))]));
    },
    table,
  );
  const y = evaluateGraph(graph, { n: 2 }, { x: f32([2], [1, 2]) }, noWeights, table).y;
  assert.deepEqual([...y.data], [4, 6]);
  const opaque = createInterner(table);
  const node = opaque.make("acme.opaque", [opaque.make("constant", [], { value: 1 })]);
  assert.throws(() => evaluateNode(node, [f32([], [1])], {}, table), {
    name: "FoveaError",
    code: "evaluate.no_meaning",
  });
});

test("evaluate: inputs and weights are checked against the graph", () => {
  const graph = buildGraph({ n: { min: 1, max: 4 } }, (b) => {
    b.output("y", b.add(b.input("x", [b.dims.n, 2]), b.weight("bias", [2])));
  });
  const bias = (shape: readonly number[]) => () => f32(shape, [1, 2, 3].slice(0, shape[0]));
  assert.deepEqual([...evaluateGraph(graph, { n: 1 }, { x: f32([1, 2], [1, 1]) }, bias([2])).y.data], [2, 3]);
  const message =
    (expected: RegExp) =>
    (e: FoveaError): boolean =>
      e.code === "evaluate.operand" && expected.test(e.message);
  assert.throws(
    () => evaluateGraph(graph, { n: 1 }, {}, bias([2])),
    message(/nothing for input "x", expected shape \[1, 2\]/),
  );
  assert.throws(
    () => evaluateGraph(graph, { n: 2 }, { x: f32([1, 2], [1, 1]) }, bias([2])),
    message(/shape \[1, 2\] for input "x", expected shape \[2, 2\]/),
  );
  assert.throws(
    () => evaluateGraph(graph, { n: 1 }, { x: f32([1, 2], [1, 1]) }, bias([3])),
    message(/shape \[3\] for weight "bias", expected shape \[2\]/),
  );
});
