import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson } from "../../runtime/core/canonical_json.ts";

test("canonical json: keys in order, no white space, absent values left out", () => {
  assert.equal(
    canonicalJson({ b: 1, a: [true, null, "x"], c: { z: -0, y: 1e21, x: 0.1 } }),
    '{"a":[true,null,"x"],"b":1,"c":{"x":0.1,"y":1e+21,"z":0}}',
  );
  assert.equal(canonicalJson({ a: undefined, b: 2 }), '{"b":2}');
  assert.equal(canonicalJson(Object.assign(Object.create(null), { 10: 1, 9: 2, "": 3 })), '{"":3,"10":1,"9":2}');
  assert.equal(
    canonicalJson({ "\u{1f642}": 1, "\uffff": 2, é: 3, "\ud800": 4 }),
    '{"é":3,"\\ud800":4,"\u{1f642}":1,"\uffff":2}',
  );
  assert.equal(canonicalJson('"\n\\'), '"\\"\\n\\\\"');
  const shared = { k: 1 };
  assert.equal(canonicalJson([shared, shared]), '[{"k":1},{"k":1}]');
  assert.equal(canonicalJson([]), "[]");
});

test("canonical json: what is no plain data is refused with its path", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ a: [1, Number.NaN] }, /^Error: internal: \$\.a\[1\] is NaN, which JSON cannot hold$/],
    [Infinity, /\$ is Infinity/],
    [{ a: 1n }, /\$\.a is a bigint/],
    [[() => 1], /\$\[0\] is a function/],
    [[undefined], /\$\[0\] is a undefined/],
    [new Array(1), /\$\[0\] is a undefined/],
    [{ at: new Date(0) }, /\$\.at is a Date, not plain data/],
    [{ m: new Map() }, /\$\.m is a Map/],
    [new Uint8Array(1), /\$ is a Uint8Array/],
    [cycle, /\$\.self\[0\] contains itself/],
  ];
  for (const [value, message] of cases) assert.throws(() => canonicalJson(value), message);
});
