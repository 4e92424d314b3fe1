/** The properties of ranges and rules in many more cases. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { checkRanges } from "../compile/property_kit.ts";

const NO_RELAXED = relaxedMultiplyAdd() === "absent" ? { skip: "this engine has no relaxed SIMD" } : {};
const RUNS = 600;

for (const target of ["wasm-simd128", "wasm-relaxed"]) {
  for (const enabled of [true, false]) {
    const how = enabled ? "optimised" : "op by op";
    test(
      `${target}: many random graphs over random ranges, ${how}`,
      target === "wasm-relaxed" ? NO_RELAXED : {},
      async () => {
        const { points } = await checkRanges(target, enabled, RUNS);
        assert.ok(points > 2 * RUNS, `${points} points`);
      },
    );
  }
}
