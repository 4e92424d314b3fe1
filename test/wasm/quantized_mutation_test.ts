import assert from "node:assert/strict";
import { test } from "node:test";
import { group } from "./cases/contraction_equivalents.ts";
import { mutatedQuantizedCases } from "./cases/quantized_cases.ts";
import { skipReason } from "./emit_kit.ts";
import { describeConstant, type Equivalent, survivors } from "./mutate.ts";

const LANES_HOLD_0 = "the limits begin at 0 in the lanes as well";
const EITHER_WAY = "what it chooses from is equal where the choice would differ";
const ANY_FIRST = "any low tile may come first: the kernel has one for whatever is left of a tile then";
const WHOLE_OR_NOT = "the width of the last panel is known, and only tells it from a whole one";

/** Constants that may differ without effect. One that a check notices after all must leave the list. */
const EQUIVALENT: readonly Equivalent[] = [
  ...group("quantize_rows dot, k 39", LANES_HOLD_0, "3: f32 0"),
  ...group("quantize_rows dot, k 39", EITHER_WAY, "72: i32 127"),
  ...group("quantize_rows pairs, k 39", LANES_HOLD_0, "3: f32 0"),
  ...group("quantize_rows pairs, k 39", EITHER_WAY, "68: i32 127"),
  ...group("channel_scales", "the way of few columns serves 16 as well", "6: i32 16"),
  ...["dot", "pairs"].flatMap((form) => [
    ...group(`pack_codes ${form}, 8 columns, n 17, k 39`, EITHER_WAY, "30: i32 17"),
    ...group(`matmul 6x8, n 17, k 37, integers, ${form}`, ANY_FIRST, "22: i32 1", "24: i32 2", "25: i32 1"),
    ...group(`matmul 6x8, n 17, k 37, integers, ${form}`, "the first of seven rows goes by itself anyway", "23: i32 6"),
    ...group(`matmul 6x8, n 17, k 37, integers, ${form}`, WHOLE_OR_NOT, "206: i32 17", "208: i32 17"),
  ]),
];

const cases = mutatedQuantizedCases();

for (const c of cases) {
  test(`each changed constant is noticed: ${c.name}`, { skip: skipReason(c) }, () => {
    const found = survivors(c).map((i) => `${i}: ${describeConstant(c.module, i)}`);
    const listed = EQUIVALENT.filter((e) => e.kernel === c.name).sort((a, b) => a.index - b.index);
    assert.deepEqual(
      found,
      listed.map((e) => `${e.index}: ${e.constant}`),
    );
  });
}

test("the list of constants of integer kernels without effect names existing cases and gives reasons", () => {
  const names = new Set(cases.map((c) => c.name));
  for (const e of EQUIVALENT) assert.ok(names.has(e.kernel) && e.reason.length > 20, e.kernel);
});
