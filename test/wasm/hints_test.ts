/** What a range tells kernels of sizes changes their code, never their bits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { attentionKernel } from "../../kernels/wasm/emit/attention.ts";
import { type AttentionOptions, attentionScratch } from "../../kernels/wasm/emit/attention_grid.ts";
import { elementwiseKernel } from "../../kernels/wasm/emit/elementwise.ts";
import { type MatmulOptions, matmulKernel, matmulScratch } from "../../kernels/wasm/emit/matmul.ts";
import type { SizeHint } from "../../kernels/wasm/emit/size.ts";
import { blockHeights, lowTiles, panelsInOrder, spreadInOrder } from "../../kernels/wasm/emit/tile_rows.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { attentionCheck } from "./cases/attention_cases.ts";
import { matmulCheck } from "./cases/matmul_cases.ts";
import { instantiate } from "./emit_kit.ts";

test("hints: heights of blocks are those that a size has, and no others", () => {
  assert.deepEqual(blockHeights({ exact: 50 }, 66, 6), { exact: [50] });
  assert.deepEqual(blockHeights({ exact: 577 }, 192, 6), { exact: [150, 127] });
  // Even heights that leave nothing for the last block.
  assert.deepEqual(blockHeights({ exact: 24 }, 10, 8), { exact: [8, 8] });
  assert.deepEqual(blockHeights({ most: 40, multipleOf: 4 }, 66, 6), { most: 40, multipleOf: 2 });
  assert.deepEqual(blockHeights({}, 66, 6), { most: 66, multipleOf: 1 });
});

test("hints: low tiles come first, a row by itself ahead of higher ones, and kernels have those alone", () => {
  const [wide, narrow] = [
    { rows: 6, columns: 8 },
    { rows: 2, columns: 16 },
  ];
  assert.deepEqual(lowTiles(wide, { exact: [50] }), [2]);
  assert.deepEqual(lowTiles(wide, { exact: [48] }), [1, 5]);
  assert.deepEqual(lowTiles(wide, { exact: [196] }), [1, 3]);
  assert.deepEqual(lowTiles(wide, { exact: [6] }), []);
  assert.deepEqual(lowTiles(wide, { exact: [7, 11] }), [1, 4]);
  assert.deepEqual(lowTiles(wide, { multipleOf: 6 }), [1, 5]);
  assert.deepEqual(lowTiles(wide, { most: 3 }), [1, 2, 3]);
  assert.deepEqual(lowTiles(wide, {}), [1, 2, 3, 4, 5]);
  assert.deepEqual(lowTiles(wide, { exact: [51, 50] }), [2, 3]);
  assert.deepEqual(lowTiles(wide, { exact: [51, 50] }, panelsInOrder(wide)), [1, 2]);
  assert.deepEqual(lowTiles(wide, { exact: [6, 3] }, panelsInOrder(wide)), [3]);
  assert.deepEqual(lowTiles(wide, { exact: [3] }, spreadInOrder(wide)), [1, 2]);
  assert.deepEqual(lowTiles(wide, { exact: [6] }, spreadInOrder(wide)), [1, 5]);
  assert.deepEqual(lowTiles(narrow, { exact: [50] }), []);
  assert.deepEqual(lowTiles(narrow, {}), [1]);
});

test("hints: products are right for every hint that holds, with less code for more knowledge", () => {
  for (let seed = 0; seed < 60; seed++) {
    const pick = (of: number, index: number): number => 1 + (hash32(seed, index) % of);
    const rows = pick(8, 0);
    const multipleOf = pick(6, 1);
    const m = multipleOf * pick(seed % 4 === 0 ? 40 : 12, 2);
    const columns = 4 * pick(4, 3);
    const n = columns * pick(3, 4);
    const sizes = { m, n, k: pick(30, 5), batch: pick(2, 6), gap: pick(2, 7) - 1 };
    const plain: MatmulOptions = {
      ...{ rows, columns, n: "argument", k: "argument", aRowStride: "argument", madd: false },
      epilogue: { op: "add", args: [{ input: 0 }, { input: 1 }] },
      operands: [(["row", "full", "column", "scalar"] as const)[pick(4, 8) - 1]],
    };
    const hints: readonly SizeHint[] = [
      { exact: m },
      { most: m + pick(9, 9), multipleOf },
      { multipleOf },
      { most: m },
    ];
    const longest = matmulKernel(plain).bytes.length;
    for (const mHint of hints) {
      for (const wholePanels of [true, false]) {
        const options = { ...plain, mHint, wholePanels };
        const { bytes } = matmulKernel(options);
        const label = `seed ${seed}: ${JSON.stringify({ rows, columns, sizes, mHint, wholePanels })}`;
        assert.equal(matmulCheck(options, sizes)(instantiate(bytes)), undefined, label);
        assert.ok(bytes.length <= longest, label);
        assert.ok(matmulScratch(options) <= matmulScratch(plain), label);
      }
    }
    if (rows > 3) assert.ok(matmulKernel({ ...plain, mHint: { multipleOf: rows } }).bytes.length < longest);
  }
});

test("hints: attention over few queries and keys takes less scratch and gives the same", () => {
  const plain: AttentionOptions = {
    ...{ headDim: 12, scale: 0.3, causal: false, keyMask: false, segments: false, window: 0, madd: false, partKeys: 0 },
  };
  for (let seed = 0; seed < 40; seed++) {
    const pick = (of: number, index: number): number => 1 + (hash32(seed, index) % of);
    const tokens = pick(90, 0);
    const options = {
      ...plain,
      causal: pick(2, 1) === 1,
      window: pick(2, 2) === 1 ? 0 : pick(20, 3),
      keyMask: pick(3, 4) === 1,
      mostQueries: tokens + pick(5, 5) - 1,
      mostKeys: tokens + pick(5, 6) - 1,
    };
    const sizes = { batch: 2, heads: 2, queries: tokens, keys: tokens };
    assert.equal(
      attentionCheck(options, sizes)(instantiate(attentionKernel(options).bytes)),
      undefined,
      `seed ${seed}`,
    );
    assert.ok(attentionScratch(options) <= attentionScratch({ ...options, mostQueries: 1000, mostKeys: 1000 }));
  }
  const few = { ...plain, mostQueries: 8, mostKeys: 8 };
  assert.ok(attentionScratch(few) * 8 < attentionScratch(plain));
});

test("hints: whole vectors need no code for single elements", () => {
  const options = {
    ...{ expr: { op: "neg" as const, args: [{ input: 0 }] }, outer: 0, madd: false },
    operands: [{ access: "contiguous" as const, dtype: "f32" as const }],
  };
  const whole = elementwiseKernel({ ...options, inFours: true }).bytes;
  assert.ok(whole.length < elementwiseKernel(options).bytes.length);
});
