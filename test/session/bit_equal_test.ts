/**
 * With `wasm-simd128` every engine compiles the same bytes and computes the same bits: all compare with one golden file.
 * After a wanted change of generated code: `npm run goldens`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { WEIGHT_DTYPES, type WeightDType } from "../../runtime/core/dtype.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { type BitDigests, bitDigests, goldenName } from "./bit_digests.ts";

const goldenOf = (dtype: WeightDType): BitDigests =>
  JSON.parse(readFileSync(repositoryPath(`test/goldens/${goldenName(dtype)}`), "utf8"));

for (const dtype of WEIGHT_DTYPES) {
  test(`artifacts are byte-equal and outputs bit-equal on every engine, ${dtype} weights`, async () => {
    assert.deepEqual(await bitDigests(0, dtype), goldenOf(dtype));
  });
}

test("two workers compute the same bits as the caller's thread", async () => {
  for (const dtype of ["f32", "f16"] as const)
    assert.deepEqual((await bitDigests(2, dtype)).outputs, goldenOf(dtype).outputs);
});
