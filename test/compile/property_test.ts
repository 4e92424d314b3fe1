/** Random graphs over random intervals and ranges: compiled for each range, they give what the evaluator gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Node } from "../../runtime/ir/builder.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { GROWTHS, growGraph, OPS_OF_PASSES, RANDOM_SYMBOLS } from "../kit/random_graph.ts";
import { buildGraph } from "../kit/run_graph.ts";
import { boxesOf, checkRanges, divisions, pointsOf, recipes, SEED } from "./property_kit.ts";

const RUNS = 30;

for (const enabled of [true, false]) {
  test(`random graphs agree with the evaluator at the edges of random ranges, ${enabled ? "optimised" : "op by op"}`, async () => {
    const { tried, points, ranges } = await checkRanges("wasm-simd128", enabled, RUNS);
    assert.ok(ranges > RUNS && points > 2 * RUNS, `${points} points of ${ranges} ranges`);
    assert.ok(points > 0.9 * tried, `${tried - points} of ${tried} were no judges`);
  });
}

/** The nodes of every growth alone. */
function grownNodes(): readonly Node[] {
  return GROWTHS.flatMap((_, growth) =>
    [0, 1, 2, 3].flatMap((salt) =>
      nodesOf(
        buildGraph(RANDOM_SYMBOLS, (b) => growGraph(b, { steps: [{ growth, x: 0, y: 1, salt }], integers: true })),
      ),
    ),
  );
}

test("random graphs have every op of the table, and integers beside floats", () => {
  const nodes = grownNodes();
  const written = [...OP_TABLE.keys()].filter((op) => !OPS_OF_PASSES.includes(op));
  assert.deepEqual([...new Set(nodes.map((n) => n.op))].sort(), written.sort());
  const moved = nodes.filter((n) => n.dtype === "i32" && n.op !== "input").map((n) => n.op);
  for (const op of ["contiguous", "transpose", "reshape", "slice", "concat"]) assert.ok(moved.includes(op), op);
  const readers = nodes.filter((n) => n.inputs.some((i) => i.dtype === "i32") && n.dtype === "f32").map((n) => n.op);
  for (const op of ["lt", "le", "eq", "where", "gather", "take_row", "attention"]) assert.ok(readers.includes(op), op);
});

test("the points of a division have every end, what follows it, and every corner and exact size", () => {
  fc.assert(
    fc.property(divisions, (division) => {
      const { spec, relations } = division;
      const boxes = boxesOf(division);
      const points = pointsOf(boxes, relations);
      for (const box of boxes) {
        const { min, max, multipleOf = 1 } = box.tokens;
        const first = Math.ceil(min / multipleOf) * multipleOf;
        // The first batch is possible with every size.
        for (const tokens of [first, max - (max % multipleOf)]) assert.ok(points.some((p) => p.tokens === tokens));
      }
      for (const tuple of spec.exact ?? [])
        assert.ok(points.some((p) => p.tokens === tuple.tokens && p.batch === tuple.batch));
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("a failing case shrinks to the one growth that matters and the smallest sizes, and prints its seed", () => {
  const guilty = GROWTHS.length >> 1;
  const failing = fc.property(recipes, divisions, ({ steps }, { symbols }) => {
    assert.ok(!steps.some((s) => s.growth === guilty) || symbols.tokens.max < 4);
  });
  const { failed, counterexample, seed } = fc.check(failing, { seed: SEED, numRuns: 500 });
  assert.ok(failed && counterexample !== null);
  const [{ steps, other }, { symbols, spec }] = counterexample;
  assert.deepEqual(steps, [{ growth: guilty, x: 0, y: 0, salt: 0 }]);
  assert.deepEqual([other, symbols.tokens.max, spec.ends?.tokens?.length, spec.exact?.length], [undefined, 4, 0, 0]);
  assert.equal(seed, SEED);
  assert.throws(() => fc.assert(failing, { seed: SEED, numRuns: 500 }), new RegExp(`seed: ${SEED}, path: "[0-9:]+"`));
});
