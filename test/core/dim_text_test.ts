import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "../../runtime/core/dim.ts";
import { parseDim } from "../../runtime/core/dim_text.ts";
import { hasCode } from "../kit/assertions.ts";

const NAMES: ReadonlySet<string> = new Set(["rows", "width"]);

test("sizes as text: precedence, rounding down and both functions", () => {
  const at = { rows: 7, width: 3 };
  const cases: Readonly<Record<string, number>> = {
    "4 * rows * (width + 1)": 112,
    "rows - width - 1": 3,
    "rows / 2 * 2": 6,
    "rows % 4 + 10": 13,
    "min(rows, width) + max(rows, 2 * width)": 10,
    " 12 ": 12,
  };
  for (const [text, value] of Object.entries(cases)) assert.equal(evaluate(parseDim(text, NAMES), at), value, text);
});

test("sizes as text: what is none says where it ends to be one", () => {
  const cases: Readonly<Record<string, RegExp>> = {
    "": /it ends where a number or a name is expected/,
    "rows *": /it ends where/,
    "rows * depth": /depth/,
    "(rows": /expected "\)", found its end/,
    "rows rows": /rows/,
    "rows ** 2": /"\*" stands where a number or a name is expected/,
    "rows & 1": /character \d+ is no number, name or operator/,
    "rows / 0": /0/,
    [`${"(".repeat(40)}1`]: /parenthes|nest|deep/i,
    "9999999999999999": /is too large/,
    ["1 + ".repeat(200)]: /characters, more than 400/,
  };
  for (const [text, says] of Object.entries(cases))
    assert.throws(() => parseDim(text, NAMES), hasCode("invalid_size", says), text);
});
