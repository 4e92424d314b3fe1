import assert from "node:assert/strict";
import { test } from "node:test";
import { gatherKernel } from "../../kernels/wasm/emit/gather.ts";
import { patchifyKernel } from "../../kernels/wasm/emit/patchify.ts";
import { transposedCopy, transposedCopyKernel, transposedCopyWords } from "../../kernels/wasm/emit/transposed_copy.ts";
import { collapseAxes } from "../../runtime/abi/claims/axes.ts";
import { hash32 } from "../../runtime/core/random.ts";
import {
  checkGather,
  checkPatchify,
  checkTakeRow,
  checkTranspose,
  layoutCases,
  transposeRun,
} from "./cases/layout_cases.ts";
import { instantiate, type KernelFunction, testCases } from "./emit_kit.ts";

test("rows by index, random sizes", () => {
  const kernel = instantiate(gatherKernel(4).bytes);
  const ofBytes = instantiate(gatherKernel(1).bytes);
  for (let seed = 0; seed < 30; seed++) {
    const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
    assert.equal(checkGather(kernel, size(1, 20), size(2, 70), size(3, 12), seed), undefined);
    assert.equal(checkTakeRow(kernel, [size(4, 4), size(5, 6), size(6, 40)], seed % 3, seed), undefined);
    assert.equal(checkGather(ofBytes, size(1, 20), 4 * size(2, 40), size(3, 12), seed, "bytes"), undefined);
    assert.equal(checkTakeRow(ofBytes, [size(4, 4), size(5, 6), 4 * size(6, 20)], seed % 3, seed, "bytes"), undefined);
  }
});

test("patches, random sizes", () => {
  for (let seed = 0; seed < 30; seed++) {
    const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
    const patch = [size(1, 9), size(2, 17)] as const;
    const [patchHeight, patchWidth] = patch;
    const kernelFor = (elementBytes: 1 | 4): KernelFunction =>
      instantiate(patchifyKernel({ patchHeight, patchWidth, elementBytes }).bytes);
    const grid = [size(3, 4), size(4, 4)] as const;
    const gaps = [seed % 3, seed % 2, seed % 5] as const;
    const run = { batch: size(5, 3), channels: size(6, 3), grid, patch, gaps };
    assert.equal(checkPatchify(kernelFor(4), run, seed), undefined);
    assert.equal(checkPatchify(kernelFor(1), { ...run, channels: 4 * run.channels }, seed, "bytes"), undefined);
  }
});

test("transposed copies, random sizes", () => {
  for (let seed = 0; seed < 30; seed++) {
    const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
    const outer = [size(1, 3), size(2, 3)].slice(0, seed % 3).map((n) => n + 1);
    const kernel = instantiate(transposedCopyKernel(outer.length).bytes);
    // No axis of one element, which would be dropped.
    const run = transposeRun(outer, 1 + size(3, 40), 1 + size(4, 150), 1 + (seed % 4));
    assert.equal(checkTranspose(kernel, run, seed), undefined);
  }
});

test("only operands that are contiguous along another axis are transposed", () => {
  const dense = [35, 7, 1];
  assert.equal(transposedCopy(collapseAxes([2, 5, 7], [dense, [70, 14, 2]])), undefined);
  assert.equal(transposedCopy(collapseAxes([2, 5, 7], [dense, [70, 9, 1]])), undefined);
  const swapped = transposedCopy(collapseAxes([2, 5, 7], [dense, [35, 1, 5]]));
  assert.deepEqual(swapped && transposedCopyWords(swapped), [5, 7, 7, 5, 35, 35]);
});

testCases(layoutCases());
