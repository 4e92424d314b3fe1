import assert from "node:assert/strict";
import { test } from "node:test";
import { type MatmulOptions, matmulGrid, matmulKernel, matmulScratch } from "../../kernels/wasm/emit/matmul.ts";
import { packGrid } from "../../kernels/wasm/emit/pack_b.ts";
import { dimKey, evaluate, symbol } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import {
  byteMatmulCases,
  LONG_EPILOGUE,
  matmulCases,
  matmulCheck,
  moreMatmulCases,
  spreadMatmulCases,
} from "./cases/matmul_cases.ts";
import { packCases } from "./cases/pack_b_cases.ts";
import { firstDifference, instantiate, normals, runKernel, testCases } from "./emit_kit.ts";

testCases([
  ...packCases(),
  ...[false, true].flatMap((madd) => [
    ...[...matmulCases(madd), ...byteMatmulCases(madd)],
    ...[...spreadMatmulCases(madd), ...moreMatmulCases(madd)],
  ]),
]);

const ACCESSES = ["row", "full", "column", "scalar"] as const;
const ALL_OPERANDS = { epilogue: LONG_EPILOGUE, operands: ACCESSES };
const oneOperand = (access: number): Pick<MatmulOptions, "epilogue" | "operands"> => ({
  epilogue: { op: "add", args: [{ input: 0 }, { input: 1 }] },
  operands: [ACCESSES[access]],
});

test("matmul is right for random sizes and tiles", () => {
  for (let seed = 0; seed < 40; seed++) {
    const pick = (of: number, index: number): number => 1 + (hash32(seed, index) % of);
    const [rows, columns] = [pick(8, 0), 4 * pick(4, 1)];
    const sizes = {
      m: pick(80, 2),
      n: pick(seed % 4 !== 0 ? 200 : 40, 3),
      k: pick(seed % 8 === 0 ? 900 : 40, 4),
      batch: pick(3, 5),
      gap: pick(3, 6) - 1,
    };
    const baked = <T>(value: T, index: number): T | "argument" => (pick(2, index) === 1 ? value : "argument");
    const options = {
      rows,
      columns,
      n: baked(sizes.n, 7),
      k: baked(sizes.k, 8),
      aRowStride: baked(sizes.k + sizes.gap, 9),
      ...(pick(2, 12) === 1 ? oneOperand(pick(4, 10) - 1) : ALL_OPERANDS),
      madd: false,
      turn: pick(4, 11),
      aBytes: seed % 3 === 1,
      spread: seed % 3 === 2,
    } as const;
    assert.equal(matmulCheck(options, sizes)(instantiate(matmulKernel(options).bytes)), undefined, `seed ${seed}`);
  }
});

test("turns of several steps are right, whatever rest they leave", () => {
  for (const [k, aBytes] of [[1], [3], [4], [37], [771], [1030], [259, true]] as readonly [number, boolean?][]) {
    const sizes = { m: 13, n: 19, k, batch: 1, gap: 0 };
    for (const turn of [2, 3, 4]) {
      for (const known of [k, "argument"] as const) {
        const options = {
          ...{ rows: 6, columns: 8, n: 19, k: known, aRowStride: k, turn, madd: false },
          ...{ epilogue: { input: 0 }, operands: [], aBytes: aBytes === true },
        };
        const wrong = matmulCheck(options, sizes)(instantiate(matmulKernel(options).bytes));
        assert.equal(wrong, undefined, `K ${k}, turns of ${turn}`);
      }
    }
  }
});

test("spread numbers, and panels side by side, give the bits of panels one by one", () => {
  for (const [seed, [m, n, k]] of [
    [15, 200, 401],
    [50, 411, 37],
    [51, 800, 771],
    [48, 799, 1541],
    [5, 420, 800],
    [301, 411, 96],
  ].entries()) {
    const [a, b] = [normals(2 * seed, m * k), normals(2 * seed + 1, 8 * Math.ceil(n / 8) * k)];
    const product = (own: Partial<MatmulOptions>): Float32Array => {
      const options: MatmulOptions = {
        ...{ rows: 6, columns: 8, n, k, aRowStride: k, madd: false },
        ...{ epilogue: { input: 0 }, operands: [], ...own },
      };
      const sizes = options.n === "argument" ? [m, 0, 0, n] : [m, 0, 0];
      return runKernel(instantiate(matmulKernel(options).bytes), {
        inputs: [a, b],
        outputLength: m * n,
        args: (output, [pointerA, pointerB]) => [output, pointerA, pointerB, ...sizes],
        grid: Number(matmulGrid(m, n, 1, options)),
        scratch: matmulScratch(options),
      });
    };
    const single = product({ n: "argument" });
    for (const own of [{}, { mHint: { exact: m } }, { spread: true }, { spread: true, mHint: { exact: m } }]) {
      assert.equal(firstDifference(product(own), single), -1, `${m} x ${n} x ${k} ${JSON.stringify(own)}`);
    }
  }
});

test("equal options give equal bytes", () => {
  const options = {
    rows: 2,
    columns: 16,
    n: 8,
    k: 8,
    aRowStride: 8,
    epilogue: { input: 0 },
    operands: [],
    madd: false,
  };
  assert.deepEqual(matmulKernel(options).bytes, matmulKernel({ ...options }).bytes);
});

test("grids of symbolic sizes", () => {
  const tokens = symbol("tokens");
  const tile = { rows: 2, columns: 16, k: 8 };
  const grid = matmulGrid(tokens, 100, symbol("batch"), { ...tile, n: "argument" });
  assert.equal(dimKey(grid), "7*batch*floor_div(tokens + 63, 64)");
  assert.equal(evaluate(grid, { tokens: 65, batch: 3 }), 42);
  // Many columns are enough items for threads, so that blocks may have many rows.
  assert.equal(dimKey(matmulGrid(tokens, 256, 1, { ...tile, n: 256 })), "16*floor_div(tokens + 263, 264)");
  assert.equal(dimKey(matmulGrid(tokens, 128, 1, { ...tile, n: 128 })), "8*floor_div(tokens + 131, 132)");
  assert.equal(packGrid(100, 2, 16), 14);
});
