/** Targets without relaxed instructions differ in tiles alone: a sum is one chain in ascending K, whatever the tile. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const MODEL = repositoryPath("examples/models/digits-clip");
const IMAGES = `${MODEL}/images`;

for (const dtype of ["f32", "bf16", "int8"] as const) {
  test(`${dtype}: equal bits on wasm-simd128 and its other tiles`, async () => {
    const images = readdirSync(IMAGES)
      .sort()
      .slice(0, 3)
      .map((name) => new Uint8Array(readFileSync(`${IMAGES}/${name}`)));
    const texts = ["a photo of the digit one", "two"];
    const results = async (target: string) => {
      await using runtime = await openRuntime({ target, threads: 0 });
      const encoder = await runtime.load(MODEL, { dtype });
      return await encoder.encode({ images, texts });
    };
    const expected = await results("wasm-simd128");
    assert.ok(expected.image_embeds !== undefined && expected.text_embeds !== undefined);
    assert.deepEqual(await results("wasm-simd128-6x8"), expected);
    assert.deepEqual(await results("wasm-simd128-3x12"), expected);
  });
}
