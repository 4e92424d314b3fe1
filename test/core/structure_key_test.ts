import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { structureKey } from "../../runtime/core/structure_key.ts";

/** What the key must tell apart and nothing else: objects by sorted names, numbers with their signs. */
const spelled = (value: unknown): string => {
  if (Object.is(value, -0)) return "minus zero";
  if (typeof value !== "object" || value === null) return `${typeof value} ${String(value)}`;
  if (Array.isArray(value)) return `list(${value.map((v) => JSON.stringify(spelled(v))).join()})`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `object(${fields.map(([k, v]) => JSON.stringify([k, spelled(v)])).join()})`;
};

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1),
    fc.constantFrom("", "#0", "0", "-0", "null", "a,b", '"', "\n"),
    fc.constantFrom(true, false, null, undefined),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "#1", '"'), tie("value"), { maxKeys: 3 }),
  ),
})).value;

test("data has one key exactly when it is equal", () => {
  fc.assert(
    fc.property(plain, plain, (a, b) => {
      assert.equal(structureKey(a) === structureKey(b), spelled(a) === spelled(b));
      assert.equal(structureKey(a), structureKey(structuredClone(a)));
    }),
    { seed: 20261129, numRuns: 2000 },
  );
});

test("properties have no order, and shared parts are told by value", () => {
  assert.equal(structureKey({ a: 1, b: [2] }), structureKey({ b: [2], a: 1 }));
  const shared = { op: "mul", args: [{ input: 0 }, { input: 0 }] };
  const copied = structuredClone([shared, structuredClone(shared)]);
  assert.equal(structureKey([shared, shared]), structureKey(copied));
});

test("a part that is read again and again is written once", () => {
  const chain = (depth: number): unknown => {
    let value: unknown = { input: 0 };
    for (let i = 0; i < depth; i++) value = { op: "mul", args: [value, value] };
    return value;
  };
  // 2^18 parts, were each written where it is read.
  const [short, long] = [9, 18].map((depth) => structureKey(chain(depth)).length);
  assert.ok(long <= 2.5 * short, `${short} characters became ${long}`);
});
