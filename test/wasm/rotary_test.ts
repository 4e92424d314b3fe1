import assert from "node:assert/strict";
import { test } from "node:test";
import { rotaryKernel } from "../../kernels/wasm/emit/rotary.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { checkRotary, rotaryCases } from "./cases/rotary_cases.ts";
import { instantiate, testCases } from "./emit_kit.ts";

testCases(rotaryCases());

test("rotary positions are right for random widths, sizes, gaps and tables", () => {
  for (let seed = 0; seed < 60; seed++) {
    const pick = (of: number, index: number): number => hash32(seed, index) % of;
    const headDim = 2 + pick(70, 0);
    const options = { headDim, pairs: 1 + pick(Math.floor(headDim / 2), 1), interleaved: pick(2, 2) === 0 };
    const kernel = instantiate(rotaryKernel(options).bytes);
    const sizes = {
      ...{ batch: 1 + pick(3, 3), tokens: 1 + pick(9, 4), heads: 1 + pick(4, 5), perBatch: pick(2, 6) === 0 },
      gaps: [pick(4, 7), pick(6, 8), pick(8, 9)] as const,
    };
    assert.equal(checkRotary(kernel, options, sizes, seed), undefined, JSON.stringify({ options, sizes }));
  }
});

test("rotary positions of the head widths of published models", () => {
  for (const [headDim, pairs] of [
    [64, 32],
    [80, 40],
    [128, 64],
  ]) {
    for (const interleaved of [false, true]) {
      const options = { headDim, pairs, interleaved };
      const kernel = instantiate(rotaryKernel(options).bytes);
      assert.equal(checkRotary(kernel, options, { batch: 1, tokens: 20, heads: 3 }, headDim), undefined);
    }
  }
});
