import assert from "node:assert/strict";
import { test } from "node:test";
import { HALVES, mutatedHalfCases } from "./cases/half_cases.ts";
import { describeConstant, type Equivalent, survivors } from "./mutate.ts";

/** Lines of `index: constant`, as the test prints them. */
function group(kernel: string, reason: string, ...lines: readonly string[]): readonly Equivalent[] {
  return lines.map((line) => {
    const [index, constant] = line.split(": ");
    return { kernel, index: Number(index), constant, reason };
  });
}

const NO_SUCH_BITS = "the bits that the mask takes in addition were shifted out before";
const EQUAL_THERE = "the sizes that it chooses from are equal where the choice would differ";
const BEHIND_ROW = "the next row is written later, and what lies behind the last one is 0 as well";
const SAME_LANES = "the lanes hold the same number";
const SPARE_BYTES = "the scratch has room behind the panel";
const ANY_SLICE = "any size serves for the slices that K is cut into";
const WHOLE_OR_NOT = "the width of the last panel is known, and only tells it from a whole one";
const FIRST_BLOCK = "the only block begins at row 0";
const SPARE_ROW = "rows beyond the last are computed into sums that nobody reads";
const ONE_TILE = "two rows and fewer are a single tile, which nothing follows";
const EITHER_WAY = "both ways begin three rows with a low tile and have a whole one for the others";
const FEW = "matmul 2x16, m up to 4, n 33, k 13";
const [SIGN, ONE] = ["v128 4.591774807899561e-41", "v128 1.401298464324817e-45"];

/** Constants that may differ without effect. One that a check notices after all must leave the list. */
const EQUIVALENT: readonly Equivalent[] = [
  ...group("stored_as f16", NO_SUCH_BITS, `9: ${SIGN}`, `13: ${ONE}`),
  ...group("stored_as f16, as f32", NO_SUCH_BITS, `9: ${SIGN}`, `13: ${ONE}`),
  ...group("stored_as bf16", NO_SUCH_BITS, `9: ${SIGN}`, `12: ${ONE}`),
  ...group("stored_as bf16, as f32", NO_SUCH_BITS, `9: ${SIGN}`, `12: ${ONE}`),
  ...group("pack_b 12 columns, f16", NO_SUCH_BITS, `42: ${SIGN}`, `46: ${ONE}`),
  ...group("pack_b 12 columns, bf16", NO_SUCH_BITS, `42: ${SIGN}`, `45: ${ONE}`),
  ...group("stored_as f16", SAME_LANES, "23: lane 0"),
  ...group("stored_as bf16", SAME_LANES, "20: lane 0"),
  ...group("gather f16", SAME_LANES, "27: lane 0"),
  ...group("gather bf16", SAME_LANES, "23: lane 0"),
  ...group("matmul 3x12, n 20, k 515, f16", WHOLE_OR_NOT, "119: i32 20", "120: i32 12", "121: i32 20"),
  ...group("matmul 3x12, n 20, k 515, bf16", WHOLE_OR_NOT, "117: i32 20", "118: i32 12", "119: i32 20"),
  ...group(`${FEW}, f16`, EITHER_WAY, "10: i32 2"),
  ...group(`${FEW}, f16`, ONE_TILE, "31: i32 56", "32: i32 64", "33: i32 2"),
  ...group(`${FEW}, f16`, ONE_TILE, "62: i32 112", "63: i32 128", "64: i32 -2"),
  ...group(`${FEW}, f16`, SPARE_BYTES, "65: i32 256"),
  ...group(`${FEW}, f16`, SPARE_ROW, "124: i32 -2"),
  ...group(`${FEW}, f16`, WHOLE_OR_NOT, "127: i32 33", "129: i32 33"),
  ...group(`${FEW}, bf16`, SPARE_ROW, "61: i32 -2"),
  ...group(`${FEW}, bf16`, WHOLE_OR_NOT, "64: i32 33", "66: i32 33"),
  ...HALVES.flatMap((dtype) => [
    ...group(`${FEW}, ${dtype}`, FIRST_BLOCK, "4: i32 14"),
    ...group(`stored_as ${dtype}`, EQUAL_THERE, "3: i32 4096"),
    ...group(`stored_as ${dtype}, as f32`, EQUAL_THERE, "3: i32 4096"),
    ...group(`pack_b 12 columns, ${dtype}`, EQUAL_THERE, "16: i32 12"),
    ...group(`pack_b 12 columns, ${dtype}`, BEHIND_ROW, "35: i32 48"),
    ...group(`matmul 3x12, n 20, k 515, ${dtype}`, SPARE_BYTES, "28: i32 6192"),
    ...group(`matmul 3x12, n 20, k 515, ${dtype}`, ANY_SLICE, "31: i32 512"),
  ]),
];

const cases = mutatedHalfCases();

for (const c of cases) {
  test(`each changed constant is noticed: ${c.name}`, () => {
    const found = survivors(c).map((i) => `${i}: ${describeConstant(c.module, i)}`);
    const listed = EQUIVALENT.filter((e) => e.kernel === c.name).sort((a, b) => a.index - b.index);
    assert.deepEqual(
      found,
      listed.map((e) => `${e.index}: ${e.constant}`),
    );
  });
}

test("the list of constants of two-byte kernels without effect names existing cases and gives reasons", () => {
  const names = new Set(cases.map((c) => c.name));
  for (const e of EQUIVALENT) assert.ok(names.has(e.kernel) && e.reason.length > 20, e.kernel);
});
