import assert from "node:assert/strict";
import { test } from "node:test";
import { checkRows, LONG_ROWS, ROW_KINDS, randomRun, rowCases } from "./cases/row_cases.ts";
import { instantiate, RELAXED, testCases } from "./emit_kit.ts";

const madds = RELAXED ? [false, true] : [false];

for (const kind of ROW_KINDS) {
  test(`${kind.name}: random sizes and long rows`, () => {
    for (const madd of madds) {
      const kernel = instantiate(kind.module(madd).bytes);
      const random = Array.from({ length: 25 }, (_, seed) => randomRun(seed));
      for (const run of [...random, ...LONG_ROWS]) assert.equal(checkRows(kernel, kind, run), undefined);
    }
  });
}

testCases([false, true].flatMap(rowCases));
