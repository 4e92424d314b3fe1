import assert from "node:assert/strict";
import { test } from "node:test";
import { constantRules } from "../../runtime/compile/fold_constants.ts";
import { applyRules, mapGraph, type Rule } from "../../runtime/compile/rewrite.ts";
import { CANONICAL_RULES } from "../../runtime/compile/rules.ts";
import type { Bindings, Box } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { type Graph, nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { verifyGraph } from "../../runtime/ir/verify.ts";
import {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "../kit/random_graph.ts";

const ALL_RULES: readonly Rule[] = [...CANONICAL_RULES, ...constantRules(OP_TABLE)];
const SYMBOLS: Box = { b: { min: 1, max: 4 }, t: { min: 2, max: 6 } };

interface Traced {
  readonly graph: Graph;
  readonly interner: Interner;
}

function trace(symbols: Box, build: (b: GraphBuilder) => void): Traced {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols, interner });
  build(b);
  return { graph: b.finish(), interner };
}

function assertEqual(found: Record<string, RefTensor>, expected: Record<string, RefTensor>, what: string): void {
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(found[name].shape, value.shape, `${what}, ${name}`);
    value.data.forEach((v, i) => {
      const difference = Math.abs(found[name].data[i] - v);
      assert.ok(difference <= 1e-12 * (1 + Math.abs(v)), `${what}, ${name}[${i}]: ${found[name].data[i]}, ${v}`);
    });
  }
}

/** Places where a rule applies, and where it must not; x is [b, t, 8], w [8, 4]. */
interface RuleCase {
  readonly applies: readonly ((b: GraphBuilder, x: Node, w: Node) => Node)[];
  readonly not: readonly ((b: GraphBuilder, x: Node, w: Node) => Node)[];
}

const CASES: Readonly<Record<string, RuleCase>> = {
  "reshape to its own shape": {
    applies: [(b, x) => b.reshape(x, x.shape)],
    not: [(b, x) => b.reshape(x, [b.dims.t, b.dims.b, 8])],
  },
  "reshape of reshape": {
    applies: [(b, x) => b.reshape(b.reshape(x, [b.dims.b, b.dims.t, 2, 4]), [b.dims.t, b.dims.b, 8])],
    not: [(b, x) => b.reshape(b.transpose(x, [1, 0, 2]), [b.dims.b, b.dims.t, 8])],
  },
  "transpose that keeps the order": {
    applies: [(b, x) => b.transpose(x, [0, 1, 2])],
    not: [(b, x) => b.transpose(x, [0, 2, 1])],
  },
  "transpose of transpose": {
    applies: [
      (b, x) => b.transpose(b.transpose(x, [1, 2, 0]), [1, 2, 0]),
      (b, x) => b.transpose(b.transpose(x, [2, 0, 1]), [0, 2, 1]),
    ],
    not: [(b, x) => b.transpose(b.unary("neg", b.transpose(x, [1, 2, 0])), [1, 2, 0])],
  },
  "slice of everything": {
    applies: [(b, x) => b.slice(x, 1, 0, b.dims.t), (b, x) => b.slice(x, 2, 0, 8)],
    not: [(b, x) => b.slice(x, 1, 1, b.dims.t), (b, x) => b.slice(x, 2, 0, 7)],
  },
  "broadcast to its own shape": {
    applies: [(b, x) => b.broadcastTo(x, x.shape)],
    not: [(b, x) => b.broadcastTo(x, [2, ...x.shape])],
  },
  "broadcast of broadcast": {
    applies: [
      (b, x) => b.broadcastTo(b.broadcastTo(b.slice(x, 1, 0, 1), x.shape), [3, ...x.shape]),
      (b, _, w) => b.broadcastTo(b.broadcastTo(w, [1, 8, 4]), [b.dims.b, 8, 4]),
    ],
    not: [(b, x) => b.broadcastTo(b.unary("neg", b.broadcastTo(b.slice(x, 1, 0, 1), x.shape)), [3, ...x.shape])],
  },
  "multiply by one": {
    applies: [(b, x) => b.mul(x, b.constant(1)), (b, x) => b.mul(b.constant(1), x)],
    not: [(b, x) => b.mul(x, b.constant(2)), (b, x) => b.mul(x, x), (b, x) => b.add(x, b.constant(1))],
  },
  "weights of a product read as [out, in]": {
    applies: [
      (b, x, w) => b.matmul(x, b.transpose(b.transpose(w, [1, 0]), [1, 0])),
      (b, x, w) => b.matmul(x, b.transpose(w, [1, 0]), { transposeB: true }),
      (b, x) => b.matmul(x, b.transpose(x, [0, 2, 1])),
    ],
    not: [
      (b, x, w) => b.matmul(b.transpose(x, [0, 1, 2]), w),
      (b, x) => b.matmul(b.transpose(x, [0, 2, 1]), x),
      // Batches of the right-hand side move, its rows and columns stay.
      (b, x) => b.matmul(b.slice(x, 0, 0, 1), b.transpose(b.weight("v", [1, 3, 8, 2]), [1, 0, 2, 3])),
    ],
  },
  "elementwise op of constants alone": {
    applies: [
      (b, x) => b.mul(x, b.unary("exp", b.constant(0.1))),
      (b, x) => b.add(x, b.op("where", [b.op("lt", [b.constant(1), b.constant(2)]), b.constant(3), b.constant(4)])),
      (b, x) => b.add(x, b.unary("gelu", b.div(b.constant(1), b.constant(3)))),
    ],
    // What f32 cannot hold is left alone.
    not: [(b, x) => b.op("min", [x, b.div(b.constant(1), b.constant(0))]), (b, x) => b.unary("exp", x)],
  },
  "elementwise op of a repeated constant": {
    applies: [
      (b, x) => b.mul(x, b.broadcastTo(b.constant(3), [8])),
      (b, x) => b.mul(b.slice(x, 2, 0, 1), b.broadcastTo(b.constant(3), [8])),
      (b, x) => b.sub(b.broadcastTo(b.constant(3), x.shape), x),
      (b, x) => b.add(x, b.unary("exp", b.broadcastTo(b.constant(0.5), [b.dims.t, 8]))),
    ],
    not: [(b, x) => b.mul(x, b.constant(3)), (b, x) => b.mul(x, b.broadcastTo(b.weight("v", [1]), [8]))],
  },
  "view of a repeated constant": {
    applies: [
      (b, x) => b.add(x, b.reshape(b.broadcastTo(b.constant(2), [2, 4]), [8])),
      (b, x) => b.add(x, b.transpose(b.broadcastTo(b.constant(2), [8, b.dims.t]), [1, 0])),
      (b, x) => b.add(x, b.slice(b.broadcastTo(b.constant(2), [20]), 0, 3, 11)),
      (b, x) => b.add(x, b.op("contiguous", [b.broadcastTo(b.constant(2), [8])])),
      (b, x) => b.add(x, b.reshape(b.constant(2), [1, 1])),
      (b, x) => b.add(x, b.reshape(b.broadcastTo(b.constant(2), [1]), [])),
    ],
    not: [(b, x) => b.add(x, b.reshape(b.weight("v", [2, 4]), [8])), (b, x) => b.add(x, b.constant(2))],
  },
};

test("rules: every one has its cases here", () => {
  assert.deepEqual(ALL_RULES.map((r) => r.name).sort(), Object.keys(CASES).sort());
});

for (const rule of ALL_RULES) {
  test(`rule alone keeps the meaning: ${rule.name}`, () => {
    const { applies, not } = CASES[rule.name] ?? { applies: [], not: [] };
    for (const [at, build] of [...applies, ...not].entries()) {
      const { graph, interner } = trace(SYMBOLS, (b) => {
        b.output("y", build(b, b.input("x", [b.dims.b, b.dims.t, 8]), b.weight("w", [8, 4])));
      });
      const counts = new Map<string, number>();
      const rewritten = applyRules(graph, [rule], interner.make, counts);
      verifyGraph(rewritten, OP_TABLE, rule.name);
      assert.equal((counts.get(rule.name) ?? 0) > 0, at < applies.length, `case ${at}`);
      for (let seed = 0; seed < 4; seed++) {
        const bindings: Bindings = { b: 1 + (hash32(seed, at) % 4), t: 2 + (hash32(seed, at + 50) % 5) };
        const inputs = { x: randomTensor(seed, [bindings.b, bindings.t, 8]) };
        const [one, two] = [graph, rewritten].map((g) => evaluateGraph(g, bindings, inputs, randomWeights(seed)));
        assertEqual(two, one, `case ${at}, seed ${seed}`);
      }
    }
  });
}

test("rules together keep the meaning of random graphs and settle", () => {
  const applied = new Map<string, number>();
  for (let seed = 0; seed < 150; seed++) {
    const { graph, interner } = trace(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed));
    const rewritten = applyRules(graph, ALL_RULES, interner.make, applied);
    verifyGraph(rewritten, OP_TABLE, "rules");
    assert.deepEqual(applyRules(rewritten, ALL_RULES, interner.make).outputs, rewritten.outputs);
    const at = randomBindings(seed);
    const [one, two] = [graph, rewritten].map((g) => evaluateGraph(g, at, randomInputs(seed, at), randomWeights(seed)));
    assertEqual(two, one, `seed ${seed}`);
  }
  assert.ok([...applied.values()].reduce((a, b) => a + b, 0) > 20);
});

test("rules: constants fold to exactly what the evaluator computes", () => {
  const { graph, interner } = trace({}, (b) => {
    const third = b.div(b.constant(1), b.constant(3));
    b.output("y", b.unary("exp", b.unary("tanh", b.broadcastTo(third, [2, 3]))));
    b.output("unheld", b.mul(b.constant(1e30), b.constant(1e30)));
  });
  const folded = applyRules(graph, ALL_RULES, interner.make);
  assert.deepEqual(
    nodesOf(folded).map((n) => n.op),
    ["constant", "broadcast_to", "constant", "mul"],
  );
  const [one, two] = [graph, folded].map((g) => evaluateGraph(g, {}, {}, randomWeights(1)));
  assert.deepEqual(two, one);
});

test("rewriting: nothing to do is identity, a rule that never settles is our own error", () => {
  const { graph, interner } = trace(SYMBOLS, (b) => b.output("y", b.unary("neg", b.input("x", [4]))));
  assert.equal(applyRules(graph, ALL_RULES, interner.make).outputs[0].node, graph.outputs[0].node);
  assert.equal(mapGraph(graph, interner.make, (n) => n).outputs[0].node, graph.outputs[0].node);
  const swing: Rule = {
    name: "swing",
    apply: (n, make) => (n.op === "neg" || n.op === "abs" ? make(n.op === "neg" ? "abs" : "neg", n.inputs) : undefined),
  };
  assert.throws(() => applyRules(graph, [swing], interner.make), /internal: rules still apply after 16 rounds: swing/);
});
