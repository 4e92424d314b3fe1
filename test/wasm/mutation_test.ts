import assert from "node:assert/strict";
import { test } from "node:test";
import { attentionCases } from "./cases/attention_cases.ts";
import { CONTRACTION_EQUIVALENTS } from "./cases/contraction_equivalents.ts";
import { elementwiseCases } from "./cases/elementwise_cases.ts";
import { layoutCases } from "./cases/layout_cases.ts";
import { byteMatmulCases, matmulCases, spreadMatmulCases } from "./cases/matmul_cases.ts";
import { packCases } from "./cases/pack_b_cases.ts";
import { resampleCases } from "./cases/resample_cases.ts";
import { RESAMPLE_EQUIVALENTS } from "./cases/resample_equivalents.ts";
import { rotaryCases } from "./cases/rotary_cases.ts";
import { rowCases } from "./cases/row_cases.ts";
import { skipReason } from "./emit_kit.ts";
import { describeConstant, type Equivalent, survivors } from "./mutate.ts";

const FIRST_MEAN =
  "without one lane of four the first mean is off by less than the row's spread, which the second pass corrects";

/** Constants that may differ without effect. One that a check notices after all must leave the list. */
const EQUIVALENT: readonly Equivalent[] = [
  ...[23, 33].map((index) => ({
    ...{ kernel: "exp", index, constant: "i32 1" },
    reason: "it splits 2^n in two factors, and any split serves whose parts are normal numbers",
  })),
  { kernel: "gelu", index: 2, constant: "v128 10", reason: "erfc is 0 in f32 from 10 on, and from 20 on as well" },
  {
    ...{ kernel: "gelu_tanh", index: 3, constant: "v128 -88.02969360351562" },
    reason: "an exponential below 2^-24 is nothing beside the 1 that it is added to",
  },
  { kernel: "i32 one per row, u8", index: 28, constant: "lane 0", reason: "a single u8 is loaded into all lanes" },
  ...[0, 1, 2, 3].map((lane) => ({
    ...{ kernel: "layer_norm", index: 14 + lane, constant: `lane ${lane}` },
    reason: FIRST_MEAN,
  })),
  ...CONTRACTION_EQUIVALENTS,
  ...RESAMPLE_EQUIVALENTS,
];

/** Attention without options and with all of them. */
const ATTENTION: ReadonlySet<string> = new Set(["attention dense", "attention causal segments with key mask"]);

const cases = [
  ...[false, true].flatMap((madd) => [...elementwiseCases(madd), ...rowCases(madd)]),
  ...layoutCases(),
  ...rotaryCases(),
  ...packCases(),
  ...matmulCases(false),
  // With the sizes baked in, a step too many computes panels of the next group, which is seen or not by what lies there.
  ...spreadMatmulCases(false).slice(0, 1),
  ...byteMatmulCases(false),
  ...resampleCases(),
  ...attentionCases(false).filter((c) => ATTENTION.has(c.name)),
];

for (const c of cases) {
  test(`each changed constant is noticed: ${c.name}`, { skip: skipReason(c) }, () => {
    const found = survivors(c).map((i) => `${i}: ${describeConstant(c.module, i)}`);
    const listed = EQUIVALENT.filter((e) => e.kernel === c.name.replace(", relaxed", "")).sort(
      (a, b) => a.index - b.index,
    );
    assert.deepEqual(
      found,
      listed.map((e) => `${e.index}: ${e.constant}`),
    );
  });
}

test("the list of constants without effect names existing cases and gives reasons", () => {
  const names = new Set(cases.map((c) => c.name));
  for (const e of EQUIVALENT) assert.ok(names.has(e.kernel) && e.reason.length > 20, e.kernel);
});
