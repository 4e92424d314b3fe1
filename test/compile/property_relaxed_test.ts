/** The properties of ranges on the target with relaxed SIMD. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { checkRanges } from "./property_kit.ts";

const options = relaxedMultiplyAdd() === "absent" ? { skip: "this engine has no relaxed SIMD" } : {};

for (const enabled of [true, false]) {
  const how = enabled ? "optimised" : "op by op";
  test(`relaxed: random graphs agree with the evaluator at the edges of random ranges, ${how}`, options, async () => {
    const { points, ranges } = await checkRanges("wasm-relaxed", enabled, 25);
    assert.ok(ranges > 25 && points > 50, `${points} points of ${ranges} ranges`);
  });
}
