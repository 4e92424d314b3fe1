/**
 * With `wasm-simd128` every engine compiles the same bytes and computes the same bits: all compare with one golden file.
 * After a wanted change of generated code: `npm run goldens`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { repositoryPath } from "../kit/run_cli.ts";
import { type BitDigests, bitDigests } from "./bit_digests.ts";

const GOLDEN = JSON.parse(readFileSync(repositoryPath("test/goldens/clip_wasm_simd128.json"), "utf8")) as BitDigests;

test("artifacts are byte-equal and outputs bit-equal on every engine", async () => {
  assert.deepEqual(await bitDigests(0), GOLDEN);
});

test("two workers compute the same bits as the caller's thread", async () => {
  assert.deepEqual((await bitDigests(2)).outputs, GOLDEN.outputs);
});
