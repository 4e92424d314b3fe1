import assert from "node:assert/strict";
import { test } from "node:test";
import { attentionCases } from "./cases/attention_cases.ts";
import { describeConstant, survivors } from "./mutate.ts";

/** Attention in windows that end and begin within the keys of a block. */
const WINDOWED = "attention segments with key mask in windows";

/** Constants that may differ without effect, and why. One that a check notices after all must leave the list. */
const EQUIVALENT: Readonly<Record<string, readonly string[]>> = {
  "one key more at an end of the range is one that no query sees": [
    "42: i32 70",
    "43: i32 70",
    "44: i32 70",
    "45: i32 70",
  ],
  "the first block of keys multiplies earlier sums by 0: they only must be finite": [
    ...["48: i32 4608", "61: v128 0", "63: v128 0", "65: v128 0", "67: v128 0"],
    ...["70: f32 -Infinity", "73: f32 0", "76: i32 64"],
  ],
  "0 stays less than the size of a block": ["79: i32 128"],
  "one more than is needed does no harm": ["110: i32 3", "345: i32 8", "396: i32 3", "397: i32 3"],
  "columns beyond the panel's own are never looked at": ["113: i32 8", "114: i32 8"],
  "a column that does not exist may read any that does": ["130: i32 3"],
  "the fours in head_dim stay as many": ["135: i32 14"],
  "what is packed twice is packed over by the next panel": ["279: i32 14", "280: i32 3"],
  "columns of values beyond head_dim are never stored, and the next row or panel is written later": [
    ...["301: i32 8", "302: i32 14", "303: i32 8", "304: i32 14", "305: i32 8", "324: i32 2", "325: f32 0"],
    ...["326: offset 0", "327: i32 4", "328: i32 32", "333: i32 14"],
  ],
  "whole panels of values begin at column 0": ["309: i32 2"],
  "3 less than 3 is 0, whichever way the comparison goes": ["412: i32 3"],
  "the first test only asks whether there is any key to hide": ["417: i32 2"],
  "all lanes are the same number": ["443: lane 0"],
};

test("each changed constant of attention in windows is noticed", () => {
  const found = attentionCases(false).find((c) => c.name === WINDOWED);
  assert.ok(found !== undefined);
  assert.equal(found.check(found.module.bytes), undefined);
  const listed = Object.values(EQUIVALENT).flat();
  const order = (a: string, b: string): number => Number.parseInt(a, 10) - Number.parseInt(b, 10);
  assert.deepEqual(
    survivors(found).map((i) => `${i}: ${describeConstant(found.module, i)}`),
    [...listed].sort(order),
  );
});
