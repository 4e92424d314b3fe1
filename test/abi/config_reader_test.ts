import assert from "node:assert/strict";
import { test } from "node:test";
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";

const coded =
  (pattern: RegExp) =>
  (e: FoveaError): boolean => {
    assert.equal(e.code, "invalid_config");
    assert.match(e.message, pattern);
    return true;
  };

test("config reader: values, fallbacks, and null as absent", () => {
  const c = createConfigReader({ n: 1.5, i: 3, b: false, s: "", list: ["a"], inner: { i: 4 }, none: null });
  assert.deepEqual([c.number("n"), c.integer("i"), c.boolean("b"), c.string("s")], [1.5, 3, false, ""]);
  assert.deepEqual([c.strings("list"), c.oneOf("s", ["", "x"]), c.object("inner").integer("i")], [["a"], "", 4]);
  assert.deepEqual(
    [c.number("none", 2), c.boolean("gone", true), c.string("none", "x"), c.strings("gone", [])],
    [2, true, "x", []],
  );
  assert.deepEqual([c.has("b"), c.has("none"), c.has("gone")], [true, false, false]);
});

test("config reader: errors name file, field, value and expectation", () => {
  const c = createConfigReader({ n: "1", i: 1.5, b: 0, s: 5, list: ["a", 1], inner: { i: "4" }, none: null });
  assert.throws(() => c.number("n"), coded(/^config\.json: the field `n` holds "1"; expected a number\.$/));
  assert.throws(() => c.integer("i"), coded(/`i` holds 1.5; expected a whole number\./));
  assert.throws(() => c.integer("none"), coded(/`none` is absent; expected a whole number/));
  assert.throws(() => c.boolean("b", true), coded(/`b` holds 0; expected true or false/));
  assert.throws(() => c.string("s"), coded(/`s` holds 5; expected a text/));
  assert.throws(() => c.strings("list"), coded(/`list` holds \["a",1\]; expected a list of texts/));
  assert.throws(() => c.integers("list"), coded(/`list` holds \["a",1\]; expected a list of whole numbers\./));
  assert.throws(() => c.integers("s", []), coded(/`s` holds 5; expected a list of whole numbers\./));
  assert.throws(() => c.oneOf("s", ["a", "b"]), coded(/expected one of a, b/));
  assert.throws(() => c.object("inner").integer("i"), coded(/`inner.i` holds "4"/));
  assert.throws(() => c.object("s"), coded(/`s` must be an object; it holds 5/));
  assert.throws(() => createConfigReader([]), coded(/^config\.json must be a JSON object; it holds \[\]/));
  const d = createConfigReader({ i: 9, several: [1, 2] }, "", "other.json");
  assert.deepEqual([d.integers("several", [], { min: 1 }), d.integers("gone", [3])], [[1, 2], [3]]);
  assert.throws(() => d.integers("several", [], { max: 1 }), coded(/a list of whole numbers of at most 1\./));
  assert.throws(() => d.integer("i", 1, { max: 8 }), coded(/^other\.json: .* of at most 8/));
  assert.throws(() => d.integer("i", 1, { min: 10 }), coded(/of at least 10/));
  assert.throws(() => d.integer("i", 1, { min: 1, max: 8 }), coded(/from 1 to 8/));
});
