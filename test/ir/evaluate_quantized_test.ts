import assert from "node:assert/strict";
import { test } from "node:test";
import { normal } from "../../runtime/core/random.ts";
import { evaluateNode, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import {
  channelScale,
  channelScales,
  quantizeChannel,
  quantizedDot,
  quantizedMatmul,
  quantizeRow,
} from "../../runtime/ir/evaluate/quantize.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

const numbers = (seed: number, count: number, mean = 0): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => mean + normal(seed, i));

test("quantize: codes of a row lie in 0..127, stand for each number within half a step, and hold 0 exactly", () => {
  for (const mean of [-3, -0.5, 0, 0.5, 3]) {
    const x = numbers(11 + mean, 301, mean);
    x[7] = 0;
    const { codes, scale, zero } = quantizeRow(x);
    assert.ok(codes.every((c) => c >= 0 && c <= 127));
    assert.equal(codes[7], zero);
    // Where both ends lie half a step beyond codes, the last code is cut by one.
    x.forEach((v, i) => {
      const apart = Math.abs(scale * (codes[i] - zero) - v);
      assert.ok(apart <= scale * (codes[i] === 127 ? 1.001 : 0.5001), `${v}: ${apart} of ${scale}`);
    });
    assert.ok(codes.includes(127) || codes.includes(126));
    assert.ok(codes.includes(0));
  }
});

test("quantize: ties go to even, codes are cut at 127, factors come first", () => {
  // 63.5 in 127 codes: steps of a half.
  assert.deepEqual([...quantizeRow([63.5, 0.25, 0.75, 1.25]).codes], [127, 0, 2, 2]);
  // Steps of 1 from -0.5 to 126.5: both ends round away from 0.
  const both = quantizeRow([-1.5, 125.5, 0]);
  assert.deepEqual([both.scale, both.zero, ...both.codes], [1, 2, 0, 127, 2]);
  assert.deepEqual(quantizeRow([1, 2, -4], [2, 1, 0.5]), quantizeRow([2, 2, -2]));
  const zeros = quantizeRow([0, 0]);
  assert.deepEqual([...zeros.codes, zeros.zero], [0, 0, 0]);
});

test("quantize: codes of weights lie in -127..127 and reach an end", () => {
  const w = numbers(3, 77);
  const { codes, scale } = quantizeChannel(w);
  assert.equal(Math.max(...codes.map(Math.abs)), 127);
  w.forEach((v, i) => {
    assert.ok(Math.abs(scale * codes[i] - v) <= scale * 0.5001);
  });
  assert.deepEqual([...quantizeChannel([0, 0]).codes], [0, 0]);
});

test("quantize: a product is that of what the codes stand for, with and without factors", () => {
  const [m, n, k] = [3, 4, 19];
  const x = refTensor("f32", [m, k], numbers(1, m * k, 0.4));
  const w = numbers(2, n * k);
  const factors = Float32Array.from({ length: k }, (_, i) => 2 ** ((i % 5) - 2));
  for (const scaled of [false, true]) {
    const rows = scaled ? Float32Array.of(...w, ...factors) : w;
    const y = quantizedMatmul(x, refTensor("f32", [n + (scaled ? 1 : 0), k], rows), scaled);
    assert.deepEqual(y.shape, [m, n]);
    for (let i = 0; i < m; i++) {
      const row = quantizeRow(x.data.subarray(i * k, (i + 1) * k), scaled ? factors : undefined);
      for (let j = 0; j < n; j++) {
        const channel = quantizeChannel(w.subarray(j * k, (j + 1) * k));
        let sum = 0;
        for (let p = 0; p < k; p++) sum += row.scale * (row.codes[p] - row.zero) * channel.scale * channel.codes[p];
        assert.equal(y.data[i * n + j], quantizedDot(row, channel));
        assert.ok(Math.abs(y.data[i * n + j] - sum) <= 1e-6 * (1 + Math.abs(sum)));
      }
    }
  }
});

test("quantize: scales are powers of two that bring both sides of a column together", () => {
  assert.deepEqual(
    [channelScale(64, 1), channelScale(1, 64), channelScale(1, 1), channelScale(3.9, 1), channelScale(15.9, 1)],
    [8, 0.125, 1, 1, 2],
  );
  assert.deepEqual([channelScale(0, 1), channelScale(1, 0), channelScale(0, 0)], [1, 1, 1]);
  const scales = channelScales(refTensor("f32", [2, 3], [1, -4, 0, -0.5, 2, 0]), refTensor("f32", [3], [16, 1, 7]));
  assert.deepEqual([...scales.data], [4, 0.5, 1]);
});

test("quantize: operands that do not fit are refused in a sentence", () => {
  const { make } = createInterner(OP_TABLE);
  const input = (shape: readonly number[], dtype = "f32") =>
    make("input", [], { name: `${dtype}${shape}`, shape, dtype });
  const product = (x: readonly number[], w: readonly number[], attributes = {}) =>
    make("quantized_matmul", [input(x), input(w)], attributes);
  assert.deepEqual(product([2, 3, 8], [5, 8]).shape, [2, 3, 5]);
  assert.deepEqual(product([3, 8], [5, 8], { scaled: true }).shape, [3, 4]);
  assert.throws(() => product([3, 8], [5, 7]), /the inner sizes 8 and 7 differ/);
  assert.throws(() => product([8], [5, 8]), /it takes \[\.\.\., M, K\] and \[N, K\], found \[8\] and \[5, 8\]/);
  assert.throws(() => product([3, 8], [1, 8], { scaled: true }), /at least one row of weights, found 0/);
  assert.throws(
    () => product([3, 8], [5, 8], { scaled: "yes" }),
    /`scaled` says whether a row of factors follows, true or false; found yes/,
  );
  assert.throws(() => make("quantized_matmul", [input([3, 8], "u8"), input([5, 8])]), /it quantises f32, found u8/);
  assert.throws(
    () => make("channel_scales", [input([3, 8]), input([3])]),
    /it takes \[N, K\] and \[K\], found \[3, 8\]/,
  );
  assert.throws(() => make("channel_scales", [input([3, 8], "i32"), input([8])]), /it reads f32, found i32/);
  const [x, w] = [refTensor("f32", [2, 4], numbers(1, 8)), refTensor("f32", [3, 4], numbers(2, 12))];
  assert.equal(evaluateNode(product([2, 4], [3, 4]), [x, w], {}).shape[1], 3);
  assert.throws(() => quantizedMatmul(x, refTensor("f32", [3, 3], numbers(2, 9)), false), /expected \[\.\.\., M, K\]/);
});
