/** Every rule, pass and expansion keeps the meaning of random graphs in which it applies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { copyOutputs, expandUncovered, materializeViews } from "../../runtime/compile/legalize.ts";
import { mergeSiblingProducts } from "../../runtime/compile/merge_products.ts";
import { allRules, PIPELINE } from "../../runtime/compile/passes.ts";
import { applyRules, type Rule } from "../../runtime/compile/rewrite.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { type Graph, nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { verifyGraph } from "../../runtime/ir/verify.ts";
import { EDGE_GROWTHS, SPELLINGS } from "../kit/edge_growths.ts";
import {
  GROWTHS,
  type GraphRecipe,
  type Grow,
  growGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomWeights,
} from "../kit/random_graph.ts";
import { maxDifference, maxMagnitude } from "../kit/run_graph.ts";
import { recipes, SEED } from "./property_kit.ts";

const RULES = allRules(OP_TABLE);
const RUNS = 25;

/**
 * Largest difference that a rewrite may make in the evaluator's f64, as a share of 1 + the largest magnitude. Zero: the
 * values are the same bits. A new rule says here what it claims.
 */
const TOLERANCE: Readonly<Record<string, number>> = {
  "reshape to its own shape": 0,
  "reshape of reshape": 0,
  "transpose that keeps the order": 0,
  "transpose of transpose": 0,
  "slice of everything": 0,
  "broadcast to its own shape": 0,
  "broadcast of broadcast": 0,
  "multiply by one": 0,
  "weights of a product read as [out, in]": 0,
  "elementwise op of constants alone": 0,
  "elementwise op of a repeated constant": 0,
  "view of a repeated constant": 0,
};

/** Expansions add and multiply in another order. */
const EXPANSION_TOLERANCE = 1e-9;

const salts = fc.nat(1 << 20);

/** Random graphs that hold a growth somewhere, its value among the outputs. */
function holding(grow: Grow | undefined): fc.Arbitrary<GraphRecipe> {
  const growth = GROWTHS.indexOf(grow as Grow);
  assert.ok(growth >= 0);
  return fc.tuple(recipes, fc.nat(6), fc.nat(2), salts).map(
    ([{ steps, ...rest }, at, x, salt]): GraphRecipe => ({
      ...rest,
      other: 2 + Math.min(at, steps.length),
      steps: [...steps.slice(0, at), { growth, x, y: 0, salt }, ...steps.slice(at)],
    }),
  );
}

function trace(recipe: GraphRecipe): { readonly graph: Graph; readonly interner: Interner } {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: RANDOM_SYMBOLS, interner });
  growGraph(b, recipe);
  return { graph: b.finish(), interner };
}

function assertSameMeaning(before: Graph, after: Graph, seed: number, tolerance: number, what: string): void {
  verifyGraph(after, OP_TABLE, what);
  const at = randomBindings(seed);
  const [one, two] = [before, after].map((g) => evaluateGraph(g, at, randomInputs(seed, at), randomWeights(seed)));
  assert.deepEqual(Object.keys(two), Object.keys(one));
  for (const [name, value] of Object.entries(one)) {
    assert.equal(two[name].dtype, value.dtype, what);
    const difference = maxDifference(two[name], value);
    const limit = tolerance * (1 + maxMagnitude(value));
    assert.ok(difference <= limit, `${what}: ${name} is off by ${difference}, over ${limit}`);
  }
}

/** Checks a rewrite on random graphs, and that it applied as often as graphs were tried. */
function keepsMeaning(
  graphs: fc.Arbitrary<GraphRecipe>,
  what: string,
  tolerance: number,
  rewrite: (graph: Graph, interner: Interner) => { readonly after: Graph; readonly fired: number },
): void {
  let fired = 0;
  const property = fc.property(graphs, salts, (recipe, seed) => {
    const { graph, interner } = trace(recipe);
    const result = rewrite(graph, interner);
    fired += result.fired;
    assertSameMeaning(graph, result.after, seed, tolerance, what);
  });
  fc.assert(property, { seed: SEED, numRuns: RUNS });
  assert.ok(fired >= RUNS, `${what} applied ${fired} times in ${RUNS} graphs`);
}

test("every rule states what it may lose, and random graphs spell what it looks for", () => {
  const names = RULES.map((r) => r.name).sort();
  assert.deepEqual(Object.keys(TOLERANCE).sort(), names, "a rule without a tolerance");
  assert.deepEqual(Object.keys(SPELLINGS).sort(), names, "a rule without a spelling in test/kit/edge_growths.ts");
});

for (const rule of RULES) {
  test(`rule on random graphs: ${rule.name}`, () => {
    const growth = EDGE_GROWTHS[Object.keys(SPELLINGS).indexOf(rule.name)];
    keepsMeaning(holding(growth), rule.name, TOLERANCE[rule.name], (graph, { make }) => {
      const counts = new Map<string, number>();
      const after = applyRules(graph, [rule], make, counts);
      return { after, fired: counts.get(rule.name) ?? 0 };
    });
  });
}

test("a rule that changes values, or a type, is caught", () => {
  const wrong: readonly Rule[] = [
    {
      name: "wrong order",
      apply: (n) => (n.op === "transpose" && n.inputs[0].op === "transpose" ? n.inputs[0] : undefined),
    },
    {
      name: "wrong last bit",
      apply: (n, make) =>
        n.op === "constant" && n.attributes.value === 1
          ? make("constant", [], { value: 1 + Number.EPSILON })
          : undefined,
    },
  ];
  const spellings = ["transpose of transpose", "multiply by one"];
  for (const [i, rule] of wrong.entries()) {
    const growth = EDGE_GROWTHS[Object.keys(SPELLINGS).indexOf(spellings[i])];
    const check = (): void =>
      keepsMeaning(holding(growth), rule.name, 0, (graph, { make }) => ({
        after: applyRules(graph, [rule], make),
        fired: 1,
      }));
    assert.throws(check, /Property failed after \d+ tests/, rule.name);
  }
});

test("merged products on random graphs", () => {
  const projections = EDGE_GROWTHS[Object.keys(SPELLINGS).length];
  keepsMeaning(holding(projections), "merge products", 0, (graph, { make, table }) => {
    const after = mergeSiblingProducts(graph, make, table);
    return { after, fired: after === graph ? 0 : 1 };
  });
});

test("every pass of the pipeline keeps the meaning of random graphs", () => {
  for (const enabled of [true, false]) {
    keepsMeaning(recipes, "the pipeline", 0, (graph, interner) => {
      const context = { ...interner, rules: RULES, counts: new Map<string, number>(), enabled, dtype: "f32" as const };
      const after = PIPELINE.reduce((g, pass) => pass.run(g, context), graph);
      return { after, fired: 1 };
    });
  }
});

test("every expansion keeps the meaning of random graphs", () => {
  const expandable = [...OP_TABLE].filter(([, row]) => row.expand !== undefined).map(([op]) => op);
  const seen = new Map<string, number>();
  const grown = GROWTHS.filter((_, growth) => {
    const ops = nodesOf(trace({ steps: [{ growth, x: 0, y: 1, salt: 0 }] }).graph).map((n) => n.op);
    return ops.some((op) => expandable.includes(op));
  });
  for (const grow of grown) {
    const single = salts.map(
      (salt): GraphRecipe => ({
        steps: [{ growth: GROWTHS.indexOf(grow), x: 0, y: 1, salt }],
      }),
    );
    keepsMeaning(single, "expansions", EXPANSION_TOLERANCE, (graph, { make, table }) => {
      for (const n of nodesOf(graph)) if (expandable.includes(n.op)) seen.set(n.op, (seen.get(n.op) ?? 0) + 1);
      const after = expandUncovered(graph, make, table, () => false);
      assert.ok(!nodesOf(after).some((n) => table.get(n.op)?.expand !== undefined && nodesOf(graph).includes(n)));
      return { after, fired: 1 };
    });
  }
  for (const op of expandable) assert.ok((seen.get(op) ?? 0) >= RUNS, `${op} was expanded ${seen.get(op) ?? 0} times`);
});

test("copies for views and outputs keep the meaning of random graphs", () => {
  keepsMeaning(recipes, "copies", 0, (graph, { make, table }) => {
    const view = createViewResolver(table);
    return { after: copyOutputs(materializeViews(graph, make, table, view), make, table), fired: 1 };
  });
});
