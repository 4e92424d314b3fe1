import assert from "node:assert/strict";
import { test } from "node:test";
import {
  elementwiseGrid,
  elementwiseKernel,
  elementwiseOptions,
  elementwiseWords,
  type OperandType,
} from "../../kernels/wasm/emit/elementwise.ts";
import { collapseAxes, innerAccess } from "../../runtime/abi/claims/axes.ts";
import type { ScalarExpr } from "../../runtime/abi/claims/expr.ts";
import { add, type Dim, dimKey, mul, symbol } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { axesOf, checkStrided, type StridedRun } from "./cases/elementwise_cases.ts";
import { instantiate } from "./emit_kit.ts";

const input = (i: number): ScalarExpr => ({ input: i });
const op = (name: "add" | "mul" | "max", a: ScalarExpr, b: ScalarExpr): ScalarExpr => ({ op: name, args: [a, b] });
const expr = op("max", op("add", op("mul", input(0), { constant: 2 }), input(1)), input(2));
const TYPES: readonly OperandType[] = ["f32", "i32", "u8"];

/** Strides of a dense tensor, in any order of its axes but contiguous along `inner`, with axes left out at random. */
function anyStrides(shape: readonly Dim[], seed: number): Dim[] {
  const axes = shape.map((_, i) => i).sort((p, q) => hash32(seed, p) - hash32(seed, q));
  const strides: Dim[] = shape.map(() => 0);
  let at: Dim = 1;
  for (const axis of axes) {
    if (hash32(seed, 10 + axis) % 4 === 0) continue;
    strides[axis] = at;
    at = mul(at, shape[axis]);
  }
  return strides;
}

function denseStrides(shape: readonly Dim[], gap: number): Dim[] {
  const strides: Dim[] = [];
  let at: Dim = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides.unshift(at);
    at = add(mul(at, shape[i]), i === shape.length - 1 ? gap : 0);
  }
  return strides;
}

test("random shapes, strides and types, with symbolic sizes, equal an evaluation element by element", () => {
  const [batch, tokens] = [symbol("batch"), symbol("tokens")];
  for (let seed = 0; seed < 120; seed++) {
    const pick = (i: number, count: number): number => hash32(seed, 50 + i) % count;
    const sizes: readonly Dim[] = [batch, tokens, 2 + pick(0, 6), add(tokens, 3), 2 + pick(1, 40), 1];
    // The last axis is not of size 1: it would be dropped, and the output's gap with it.
    const lead = Array.from({ length: pick(2, 4) }, (_, i) => sizes[pick(3 + i, sizes.length)]);
    const shape = [...lead, sizes[pick(7, sizes.length - 1)]];
    const operands = [0, 1, 2].map((k) => ({
      dtype: TYPES[pick(10 + k, 3)],
      strides: anyStrides(shape, seed * 3 + k),
    }));
    const run: StridedRun = { shape, output: denseStrides(shape, seed % 2), operands };
    const dtypes = operands.map((o) => o.dtype);
    const axes = axesOf(run);
    const kernel = instantiate(elementwiseKernel(elementwiseOptions(expr, dtypes, axes, false)).bytes);
    for (const bindings of [
      { batch: 1, tokens: 2 },
      { batch: 3, tokens: 9 },
    ]) {
      assert.equal(checkStrided(kernel, expr, run, seed, bindings), undefined, `seed ${seed}`);
    }
  }
});

test("neighbouring axes that are one run for every operand are joined", () => {
  const [batch, tokens] = [symbol("batch"), symbol("tokens")];
  const shape = [batch, tokens, 1, 64];
  const dense = [mul(tokens, 64), 64, 64, 1];
  const all = collapseAxes(shape, [dense, dense]);
  assert.deepEqual([all.outer, dimKey(all.inner)], [[], "64*batch*tokens"]);
  assert.deepEqual(elementwiseWords(all).map(dimKey), ["64*batch*tokens"]);
  assert.equal(dimKey(elementwiseGrid(all)), "floor_div(64*batch*tokens + 1023, 1024)");
  const bias = collapseAxes(shape, [dense, dense, [0, 0, 0, 1]]);
  assert.deepEqual([bias.outer.map(dimKey), bias.inner], [["batch*tokens"], 64]);
  assert.deepEqual(
    bias.strides.map((s) => [...s.outer, s.inner].map(dimKey)),
    [
      ["64", "1"],
      ["64", "1"],
      ["0", "1"],
    ],
  );
  const perBatch = collapseAxes(shape, [dense, [1, 0, 0, 0]]);
  assert.deepEqual([perBatch.outer.map(dimKey), dimKey(perBatch.inner)], [["batch"], "64*tokens"]);
  assert.deepEqual(
    perBatch.strides.map((s) => innerAccess(s.inner)),
    ["contiguous", "scalar"],
  );
});

test("a scalar is a run of one element", () => {
  const run: StridedRun = { shape: [1, 1], output: [1, 1], operands: [{ dtype: "f32", strides: [0, 0] }] };
  const axes = axesOf(run);
  assert.deepEqual([axes.outer, axes.inner, elementwiseGrid(axes)], [[], 1, 1]);
  const options = elementwiseOptions(input(0), ["f32"], axes, false);
  assert.equal(checkStrided(instantiate(elementwiseKernel(options).bytes), input(0), run, 1), undefined);
});

test("an output that is not contiguous along its last axis is refused", () => {
  const axes = collapseAxes(
    [4, 4],
    [
      [1, 4],
      [4, 1],
    ],
  );
  assert.throws(() => elementwiseOptions(input(0), ["f32"], axes, false), /internal.*contiguous/);
});

test("equal options give equal bytes", () => {
  const axes = collapseAxes(
    [3, 4],
    [
      [4, 1],
      [0, 1],
    ],
  );
  const emit = (): Uint8Array => elementwiseKernel(elementwiseOptions(input(0), ["f32"], axes, false)).bytes;
  assert.deepEqual(emit(), emit());
});
