import assert from "node:assert/strict";
import { test } from "node:test";
import { attentionKernel } from "../../kernels/wasm/emit/attention.ts";
import { type AttentionOptions, attentionGrid, attentionScratch } from "../../kernels/wasm/emit/attention_grid.ts";
import { dimKey, symbol } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { type AttentionSizes, attentionCases, attentionCheck, attentionRun } from "./cases/attention_cases.ts";
import { firstDifference, instantiate, runKernel, testCases } from "./emit_kit.ts";

testCases([...attentionCases(false), ...attentionCases(true), ...attentionCases(false, true)]);

const DENSE: AttentionOptions = {
  headDim: 8,
  scale: 0.35,
  causal: false,
  keyMask: false,
  segments: false,
  window: 0,
  madd: false,
  partKeys: 0,
};

function check(options: AttentionOptions, sizes: AttentionSizes): void {
  assert.equal(attentionCheck(options, sizes)(instantiate(attentionKernel(options).bytes)), undefined);
}

test("attention of the head widths of published models", () => {
  for (const headDim of [32, 64, 72, 80, 88, 128]) {
    for (const spread of [false, true]) {
      check(
        { ...DENSE, headDim, scale: 1 / Math.sqrt(headDim), spread },
        { batch: 1, heads: 2, queries: 50, keys: 50, merged: true },
      );
    }
  }
});

test("attention is right for random sizes and options", () => {
  for (let seed = 0; seed < 100; seed++) {
    const pick = (of: number, index: number): number => hash32(seed, index) % of;
    const options = {
      ...DENSE,
      headDim: 1 + pick(20, 0),
      causal: pick(3, 1) === 0,
      keyMask: pick(3, 2) === 0,
      segments: pick(3, 3) === 0,
      window: pick(2, 11) === 0 ? 0 : 1 + pick(pick(2, 12) === 0 ? 9 : 90, 13),
      turn: 1 + pick(4, 14),
      group: 1 + pick(3, 16),
      partKeys: 0,
    };
    const spread = options.window === 0 && pick(2, 15) === 0;
    const square = options.causal || options.segments || options.window > 0;
    const queries = 1 + pick(options.window > 0 ? 300 : 90, 4);
    const keys = square ? queries : 1 + pick(200, 5);
    const cut = pick(keys + 1, 6);
    const kept = 1 + pick(4, 7);
    const merged = options.group === 1 && queries === keys && pick(2, 10) === 0;
    const sizes = {
      ...{ batch: 1 + pick(2, 8), heads: options.group * (1 + pick(3, 9)), queries, keys, merged },
      ...{ ends: [Math.floor(cut / 2), cut, keys], mask: (_: number, key: number) => pick(5, 100 + key) < kept },
    };
    check({ ...options, spread }, sizes);
  }
});

test("attention in parts has the bits of attention in one call", () => {
  for (let seed = 0; seed < 16; seed++) {
    const pick = (of: number, index: number): number => hash32(seed, index) % of;
    const options = {
      ...DENSE,
      headDim: 4 + pick(9, 0),
      causal: pick(3, 1) === 0,
      keyMask: pick(3, 2) === 0,
      segments: pick(2, 3) === 0,
      spread: pick(2, 20) === 0,
    };
    const keys = 1 + pick(700, 4);
    const queries = options.causal || options.segments ? keys : 1 + pick(150, 5);
    const cuts = Array.from({ length: pick(6, 6) }, (_, i) => pick(keys + 1, 10 + i)).sort((a, b) => a - b);
    const sizes = {
      ...{ batch: 1 + pick(2, 7), heads: 1 + pick(2, 8), queries, keys },
      ...{ ends: [...cuts, keys], mask: (_: number, key: number) => pick(5, 100 + key) < 1 + pick(4, 9) },
    };
    const [whole, ...parted] = [0, 128, 256].map((partKeys) => {
      const own = { ...options, partKeys };
      return runKernel(instantiate(attentionKernel(own).bytes), attentionRun(own, sizes).run);
    });
    for (const found of parted) assert.equal(firstDifference(whole, found), -1, JSON.stringify({ options, sizes }));
  }
});

test("scores far apart, of both signs, and equal ones", () => {
  for (const spread of [0, 12, 40]) check(DENSE, { batch: 1, heads: 1, queries: 9, keys: 140, spread });
});

test("a NaN reaches the rows that see it, infinite scores become NaN, and -Infinity alone gives zeros", () => {
  const sizes = { batch: 1, heads: 1, queries: 6, keys: 5 };
  const edited = (edit: AttentionSizes["edit"]): void => check(DENSE, { ...sizes, edit });
  edited((q) => void q.fill(NaN, 8, 16));
  edited((_, k) => void k.fill(NaN, 8, 9));
  edited((q, k) => {
    q.fill(1, 0, 8);
    k.fill(Infinity, 0, 8);
  });
  edited((q, k) => {
    q.fill(1);
    k.fill(-Infinity);
  });
});

test("spread numbers give the bits of numbers that are read where they are", () => {
  for (let seed = 0; seed < 24; seed++) {
    const pick = (of: number, index: number): number => hash32(seed, index) % of;
    const options = {
      ...DENSE,
      ...{ headDim: 1 + pick(40, 3), causal: pick(2, 4) === 0, segments: pick(2, 5) === 0, partKeys: 128 * pick(2, 2) },
      keyMask: pick(2, 6) === 0,
    };
    const tokens = 1 + pick(300, 7);
    const cut = pick(tokens + 1, 8);
    const sizes = {
      ...{ batch: 1 + pick(2, 9), heads: 1 + pick(2, 10), queries: tokens, keys: tokens, spread: 1 + pick(5, 11) },
      ...{ ends: [cut, tokens], mask: (_: number, key: number) => pick(5, 100 + key) < 1 + pick(4, 12) },
    };
    const [plain, spread] = [false, true].map((spread) => {
      const own = { ...options, spread };
      return runKernel(instantiate(attentionKernel(own).bytes), attentionRun(own, sizes).run);
    });
    assert.equal(firstDifference(spread, plain), -1, `seed ${seed}`);
  }
});

test("scratch does not depend on the number of keys, nor the grid", () => {
  assert.equal(attentionScratch({ headDim: 64, window: 64, madd: false, partKeys: 0 }) < 160 * 1024, true);
  const grid = attentionGrid(symbol("batch"), 12, symbol("tokens"), {
    headDim: 64,
    window: 0,
    madd: false,
    partKeys: 0,
  });
  assert.equal(dimKey(grid), "12*batch*floor_div(tokens + 71, 72)");
});
