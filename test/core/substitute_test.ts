/** Sizes in sizes: substitution keeps values, solving finds what a symbol must be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { add, ceilDiv, type Dim, dimKey, evaluate, max, mod, mul, sub, symbol } from "../../runtime/core/dim.ts";
import { solve, substitute } from "../../runtime/core/substitute.ts";

const [a, b, c] = ["a", "b", "c"].map(symbol);

test("a substituted dim has the value of the dim at the substituted values", () => {
  const dims: readonly Dim[] = [
    7,
    a,
    add(mul(2, a, b), 3),
    ceilDiv(add(a, b), 4),
    mod(mul(a, 5), add(b, 1)),
    max(a, sub(b, a)),
  ];
  const by = { a: add(mul(3, c), 1), b: mul(c, c) };
  for (const d of dims) {
    for (let at = 1; at < 40; at += 3) {
      const inner = { a: evaluate(by.a, { c: at }), b: evaluate(by.b, { c: at }) };
      assert.equal(evaluate(substitute(d, by), { c: at }), evaluate(d, inner), dimKey(d));
    }
  }
  assert.throws(() => substitute(a, { b: 1 }), /internal: the symbol "a" is not substituted/);
});

test("solving finds the one unknown symbol of a sum, and nothing elsewhere", () => {
  const text = (d: Dim, value: Dim, known = {}) => {
    const found = solve(d, value, known);
    return found === undefined ? undefined : `${found.name} = ${dimKey(found.is)}`;
  };
  assert.equal(text(a, 12), "a = 12");
  assert.equal(text(add(a, 1), add(mul(b, c), 1)), "a = b*c");
  assert.equal(text(add(a, mul(2, b)), mul(9, c), { b: c }), "a = 7*c");
  // Nothing is unknown; several are; it does not occur plainly; it occurs twice.
  assert.equal(text(a, 12, { a: 12 }), undefined);
  assert.equal(text(add(a, b), 12), undefined);
  assert.equal(text(mul(2, a), 12), undefined);
  assert.equal(text(mul(a, a), 144), undefined);
  assert.equal(text(add(a, max(a, 3)), 12), undefined);
  assert.equal(text(5, 5), undefined);
});
