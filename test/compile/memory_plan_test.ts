import assert from "node:assert/strict";
import { test } from "node:test";
import { findOverlap, type Lifetime, planMemory } from "../../runtime/compile/memory_plan.ts";
import { add, type Box, bounds, mul, symbol } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";

const BOX: Box = { tokens: { min: 1, max: 64 } };
const TOKENS = symbol("tokens");
const life = (bytes: Lifetime["bytes"], first: number, last: number): Lifetime => ({ bytes, first, last });

function randomLifetimes(seed: number): readonly Lifetime[] {
  const pick = (count: number, salt: number): number => hash32(seed, salt) % count;
  return Array.from({ length: 1 + pick(30, 0) }, (_, i) => {
    const first = pick(20, 10 + 3 * i);
    const bytes = pick(2, 11 + 3 * i) === 0 ? 64 * (1 + pick(50, 500 + i)) : mul(TOKENS, 4 * (1 + pick(50, 500 + i)));
    return life(bytes, first, first + pick(5, 12 + 3 * i));
  });
}

const upper = (sizes: readonly Lifetime["bytes"][]): number => Math.max(0, ...sizes.map((d) => bounds(d, BOX).max));

test("memory plan: values alive together never share a slot, and every value fits into its own", () => {
  let saved = 0;
  for (let seed = 0; seed < 400; seed++) {
    const lifetimes = randomLifetimes(seed);
    const plan = planMemory(lifetimes, BOX);
    assert.equal(findOverlap(lifetimes, plan), undefined, `seed ${seed}`);
    lifetimes.forEach((a, i) => {
      lifetimes.forEach((b, j) => {
        const together = i !== j && a.first <= b.last && b.first <= a.last;
        assert.ok(!together || plan.slotOf[i] !== plan.slotOf[j], `seed ${seed}: ${i} and ${j}`);
      });
      // Sizes stay symbolic: a slot lists every size, so that it is large enough for any tokens.
      assert.ok(plan.slots[plan.slotOf[i]].some((d) => d === a.bytes || JSON.stringify(d) === JSON.stringify(a.bytes)));
    });
    const [all, planned] = [upperSum(lifetimes.map((l) => [l.bytes])), upperSum(plan.slots)];
    assert.ok(planned <= all, `seed ${seed}`);
    saved += all - planned;
    // No plan can do with fewer slots than values are alive at once.
    const alive = Math.max(
      ...Array.from({ length: 26 }, (_, t) => lifetimes.filter((l) => l.first <= t && t <= l.last).length),
    );
    assert.equal(plan.slots.length, alive, `seed ${seed}`);
  }
  assert.ok(saved > 0);
});

const upperSum = (slots: readonly (readonly Lifetime["bytes"][])[]): number =>
  slots.reduce((sum, sizes) => sum + upper(sizes), 0);

test("memory plan: a chain needs two slots, and the best fitting free slot is taken", () => {
  const chain = Array.from({ length: 10 }, (_, i) => life(mul(TOKENS, 768), i, i + 1));
  const plan = planMemory(chain, BOX);
  assert.equal(plan.slots.length, 2);
  assert.deepEqual(plan.slotOf, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
  assert.deepEqual(
    plan.slots.map((s) => s.length),
    [1, 1],
  );
  // Free at step 2: 1000, 400 and 100 bytes. 300 bytes take 400, 2000 grow 1000.
  const mixed = [life(1000, 0, 1), life(100, 0, 1), life(400, 0, 1), life(300, 2, 3), life(2000, 2, 3)];
  assert.deepEqual(planMemory(mixed, BOX).slotOf, [0, 1, 2, 2, 0]);
  assert.deepEqual(planMemory(mixed, BOX).slots, [[1000, 2000], [100], [400, 300]]);
  assert.deepEqual(planMemory([], BOX), { slotOf: [], slots: [] });
});

test("memory plan: a value read and one written by the same step do not share", () => {
  assert.deepEqual(planMemory([life(8, 0, 3), life(8, 3, 4)], BOX).slotOf, [0, 1]);
  assert.deepEqual(planMemory([life(8, 0, 3), life(8, 4, 4)], BOX).slotOf, [0, 0]);
});

test("memory plan: the verifier finds planted overlaps", () => {
  const lifetimes = [life(8, 0, 2), life(8, 2, 3), life(add(TOKENS, 1), 4, 5)];
  assert.deepEqual(findOverlap(lifetimes, { slotOf: [0, 0, 0], slots: [[8]] }), [0, 1]);
  assert.equal(findOverlap(lifetimes, { slotOf: [0, 1, 0], slots: [[8], [8]] }), undefined);
});
