/** Comparisons of dims inside a box. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideNonNegative } from "../../runtime/core/compare.ts";
import {
  add,
  type Box,
  type Dim,
  evaluate,
  floorDiv,
  max,
  min,
  mod,
  mul,
  sub,
  symbol,
} from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";

const BOX: Box = { a: { min: 2, max: 40, multipleOf: 2 }, b: { min: 1, max: 9 }, c: { min: 5, max: 5 } };
const [a, b, c] = ["a", "b", "c"].map(symbol);

test("compare: what the intervals decide needs no split", () => {
  assert.equal(decideNonNegative(sub(a, 1), BOX), true);
  assert.equal(decideNonNegative(sub(1, a), BOX), false);
  assert.equal(decideNonNegative(sub(c, 5), BOX), true);
  assert.equal(decideNonNegative(3, BOX), true);
  assert.equal(decideNonNegative(-3, BOX), false);
  // The interval begins at 3, the values at 4.
  assert.equal(decideNonNegative(sub(a, 4), { ...BOX, a: { min: 3, max: 40, multipleOf: 2 } }), true);
});

test("compare: a split lies where the answer turns, at a value that the symbol may have", () => {
  assert.deepEqual(decideNonNegative(sub(a, 17), BOX), { symbol: "a", end: 16 });
  assert.deepEqual(decideNonNegative(sub(16, a), BOX), { symbol: "a", end: 16 });
  assert.deepEqual(decideNonNegative(sub(mul(a, c), 101), BOX), { symbol: "a", end: 20 });
  assert.deepEqual(decideNonNegative(sub(floorDiv(add(a, 3), 4), 3), BOX), { symbol: "a", end: 8 });
  assert.deepEqual(decideNonNegative(sub(mul(b, b), 26), BOX), { symbol: "b", end: 5 });
  assert.deepEqual(decideNonNegative(sub(max(a, 10), 12), BOX), { symbol: "a", end: 10 });
});

test("compare: what no split along one symbol decides says why", () => {
  assert.deepEqual(decideNonNegative(sub(a, b), BOX), { problem: "it depends on a and b together" });
  assert.match(
    JSON.stringify(decideNonNegative(sub(mod(a, 7), 3), BOX)),
    /neither grows nor falls throughout as a grows/,
  );
  assert.match(JSON.stringify(decideNonNegative(add(mul(a, a), mul(-30, a), 100), BOX)), /neither grows nor falls/);
});

test("compare: relations decide what intervals do not", () => {
  assert.equal(decideNonNegative(sub(b, a), BOX, [["a", "<=", "b"]]), true);
  assert.equal(decideNonNegative(sub(sub(a, b), 1), BOX, [["a", "<=", "b"]]), false);
  assert.equal(decideNonNegative(add(sub(b, a), 3), BOX, [["a", "<=", "b"]]), true);
});

test("compare: decisions and both sides of every split agree with the values", () => {
  let splits = 0;
  for (let seed = 0; seed < 400; seed++) {
    const pick = (count: number, salt: number): number => hash32(seed, salt) % count;
    const pieces: readonly Dim[] = [a, mul(a, c), floorDiv(a, 3), min(a, 11), max(a, 20), mul(a, a), 7, mod(a, 4)];
    const d = sub(add(pieces[pick(8, 0)], pieces[pick(8, 1)]), add(mul(pick(2, 2), pieces[pick(8, 3)]), pick(60, 4)));
    const values = Array.from({ length: 20 }, (_, i) => 2 * (i + 1));
    const holds = (value: number): boolean => evaluate(d, { a: value, b: 1, c: 5 }) >= 0;
    const decision = decideNonNegative(d, BOX);
    if (typeof decision === "boolean") for (const value of values) assert.equal(holds(value), decision, `seed ${seed}`);
    else if ("symbol" in decision) {
      splits++;
      const first = holds(2);
      for (const value of values) assert.equal(holds(value), value <= decision.end ? first : !first, `seed ${seed}`);
    }
  }
  assert.ok(splits > 50, `${splits} splits`);
});
