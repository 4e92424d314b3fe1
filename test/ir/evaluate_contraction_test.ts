import assert from "node:assert/strict";
import { test } from "node:test";
import * as ref from "../../runtime/ir/evaluate/mod.ts";

type RefTensor = ref.RefTensor;

const f32 = (shape: readonly number[], values: readonly number[]): RefTensor => ref.refTensor("f32", shape, values);
const i32 = (shape: readonly number[], values: readonly number[]): RefTensor => ref.refTensor("i32", shape, values);
const scalar = (v: number): RefTensor => f32([], [v]);

function random(seed: number, shape: readonly number[]): RefTensor {
  let s = seed;
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return (s / 2 ** 32) * 4 - 2;
  });
  return f32(shape, values);
}

function same(actual: RefTensor, shape: readonly number[], values: readonly number[]): void {
  assert.deepEqual(actual.shape, shape);
  assert.deepEqual([...actual.data], values);
}

function close(actual: RefTensor, expected: RefTensor): void {
  assert.deepEqual(actual.shape, expected.shape);
  actual.data.forEach((v, i) => {
    const e = expected.data[i];
    assert.ok(Math.abs(v - e) <= 1e-13 * (1 + Math.abs(e)), `element ${i}: ${v}, expected ${e}`);
  });
}

/** Attention from primitives: heads repeated for groups, an additive mask [batch or 1, 1, Tq, Tk]. */
function expanded(q: RefTensor, k: RefTensor, v: RefTensor, scale: number, mask?: RefTensor): RefTensor {
  const [batch, keys, keyHeads, width] = k.shape;
  const group = q.shape[2] / keyHeads;
  const repeat = (x: RefTensor): RefTensor =>
    ref.reshape(
      ref.broadcastTo(ref.reshape(x, [batch, keys, keyHeads, 1, width]), [batch, keys, keyHeads, group, width]),
      [batch, keys, keyHeads * group, width],
    );
  const heads = (x: RefTensor): RefTensor => ref.transpose(x, [0, 2, 1, 3]);
  let scores = ref.mul(ref.matmul(heads(q), heads(repeat(k)), { transposeB: true }), scalar(scale));
  if (mask !== undefined) scores = ref.add(scores, mask);
  return heads(ref.matmul(ref.softmax(scores), heads(repeat(v))));
}

test("evaluate: matmul by hand, transposed and with broadcast batches", () => {
  const a = f32([2, 3], [1, 2, 3, 4, 5, 6]);
  const b = f32([3, 2], [1, 0, 2, -1, 0, 3]);
  same(ref.matmul(a, b), [2, 2], [5, 7, 14, 13]);
  same(ref.matmul(a, ref.transpose(b, [1, 0]), { transposeB: true }), [2, 2], [5, 7, 14, 13]);
  const p = random(1, [2, 1, 3, 4]);
  const q = random(2, [5, 4, 2]);
  const y = ref.matmul(p, q);
  assert.deepEqual(y.shape, [2, 5, 3, 2]);
  for (let i = 0; i < 2; i++) {
    for (let j = 0; j < 5; j++) {
      const left = ref.reshape(ref.slice(p, [i, 0, 0, 0], [i + 1, 1, 3, 4]), [3, 4]);
      const right = ref.reshape(ref.slice(q, [j, 0, 0], [j + 1, 4, 2]), [4, 2]);
      const one = ref.reshape(ref.slice(y, [i, j, 0, 0], [i + 1, j + 1, 3, 2]), [3, 2]);
      same(ref.matmul(left, right), [3, 2], [...one.data]);
    }
  }
});

test("evaluate: linear is matmul with a transposed weight plus bias", () => {
  const x = random(3, [2, 3, 4]);
  const w = random(4, [5, 4]);
  const b = random(5, [5]);
  close(ref.linear(x, w, b), ref.add(ref.matmul(x, w, { transposeB: true }), b));
  close(ref.linear(x, w), ref.matmul(x, ref.transpose(w, [1, 0])));
  same(ref.linear(f32([2], [1, 2]), f32([1, 2], [3, 4]), f32([1], [0.5])), [1], [11.5]);
});

test("evaluate: matmul and linear refuse inner sizes that differ", () => {
  assert.throws(() => ref.matmul(random(1, [2, 3]), random(1, [2, 3])), {
    message:
      "The reference evaluator cannot apply matmul: found shapes [2, 3] and [2, 3], expected one inner size K in [..., M, K] and [..., K, N].",
  });
  assert.throws(() => ref.matmul(random(1, [3]), random(1, [3, 1])), /\[\.\.\., M, K\]/);
  assert.throws(() => ref.matmul(random(1, [2, 1, 3]), random(1, [3, 3, 1])), /equal sizes or 1/);
  assert.throws(() => ref.matmul(i32([1, 1], [1]), i32([1, 1], [1])), /float operands/);
  assert.throws(() => ref.linear(random(1, [2, 3]), random(1, [4, 2])), /expected \[\.\.\., 2\]/);
  assert.throws(() => ref.linear(random(1, [2, 3]), random(1, [4, 3]), random(1, [3])), /a bias of shape \[3\]/);
});

test("evaluate: normalizations by hand", () => {
  const x = f32([1, 4], [1, 3, 5, 7]);
  const w = f32([4], [1, 1, 2, 1]);
  const r = 1 / Math.sqrt(5 + 4);
  close(ref.layerNorm(x, w, f32([4], [0, 0, 0, 10]), 4), f32([1, 4], [-3 * r, -r, 2 * r, 3 * r + 10]));
  const m = 1 / Math.sqrt(21 + 4);
  close(ref.rmsNorm(x, w, 4), f32([1, 4], [m, 3 * m, 10 * m, 7 * m]));
  close(ref.softmax(f32([2, 2], [1000, 1000, 0, -Infinity])), f32([2, 2], [0.5, 0.5, 1, 0]));
  close(ref.l2Normalize(f32([2, 2], [3, 4, 0, 0]), 1e-6), f32([2, 2], [0.6, 0.8, 0, 0]));
  close(ref.l2Normalize(f32([2], [0.3, 0.4])), f32([2], [0.6, 0.8]));
  close(ref.l2Normalize(f32([2], [3, 4]), 10), f32([2], [0.3, 0.4]));
});

test("evaluate: normalizations equal their expansion into primitives", () => {
  const x = random(6, [3, 2, 7]);
  const w = random(7, [7]);
  const b = random(8, [7]);
  const centred = ref.sub(x, ref.reduceMean(x, [-1], true));
  const variance = ref.reduceMean(ref.mul(centred, centred), [-1], true);
  const scaled = ref.mul(centred, ref.rsqrt(ref.add(variance, scalar(1e-5))));
  close(ref.layerNorm(x, w, b, 1e-5), ref.add(ref.mul(scaled, w), b));
  close(ref.layerNorm(x, w, undefined, 1e-5), ref.mul(scaled, w));
  const squares = ref.mul(x, x);
  const inverse = ref.rsqrt(ref.add(ref.reduceMean(squares, [-1], true), scalar(1e-6)));
  close(ref.rmsNorm(x, w, 1e-6), ref.mul(ref.mul(x, inverse), w));
  const e = ref.exp(ref.sub(x, ref.reduceMax(x, [-1], true)));
  close(ref.softmax(x), ref.div(e, ref.reduceSum(e, [-1], true)));
  close(ref.l2Normalize(x), ref.mul(x, ref.rsqrt(ref.reduceSum(squares, [-1], true))));
  assert.throws(() => ref.layerNorm(x, random(1, [6]), b, 1e-5), /found a weight of shape \[6\], expected \[7\]/);
  assert.throws(() => ref.rmsNorm(x, random(1, [1, 7]), 1e-5), /found a weight of shape \[1, 7\]/);
  assert.throws(() => ref.softmax(scalar(1)), /found a scalar/);
});

test("evaluate: attention equals softmax of scores, with fewer queries and grouped key heads", () => {
  for (const [queries, keys, heads, keyHeads] of [
    [5, 5, 4, 4],
    [2, 6, 4, 2],
    [3, 4, 6, 1],
  ]) {
    const q = random(9, [2, queries, heads, 3]);
    const k = random(10, [2, keys, keyHeads, 3]);
    const v = random(11, [2, keys, keyHeads, 3]);
    close(ref.attention(q, k, v, { scale: 0.7 }), expanded(q, k, v, 0.7));
  }
});

test("evaluate: causal, masked and segmented attention equal an additive mask", () => {
  const tokens = 6;
  const [q, k, v] = [12, 13, 14].map((seed) => random(seed, [2, tokens, 2, 4]));
  const bias = (batch: number, sees: (b: number, i: number, j: number) => boolean): RefTensor => {
    const values = Array.from({ length: batch * tokens * tokens }, (_, n) =>
      sees(Math.floor(n / tokens ** 2), Math.floor(n / tokens) % tokens, n % tokens) ? 0 : -Infinity,
    );
    return f32([batch, 1, tokens, tokens], values);
  };
  const causal = bias(1, (_, i, j) => j <= i);
  close(ref.attention(q, k, v, { scale: 0.5, causal: true }), expanded(q, k, v, 0.5, causal));
  const keyMask = i32([2, tokens], [1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0]);
  const masked = bias(2, (b, _, j) => keyMask.data[b * tokens + j] !== 0);
  close(ref.attention(q, k, v, { scale: 0.5, keyMask }), expanded(q, k, v, 0.5, masked));
  close(ref.attention(q, k, v, { scale: 0.5, keyMask, causal: true }), expanded(q, k, v, 0.5, ref.add(causal, masked)));
  const segment = [0, 0, 1, 1, 1, 2];
  const cuSeqlens = i32([5], [0, 2, 5, 5, 6]);
  const segments = bias(1, (_, i, j) => segment[i] === segment[j]);
  close(ref.attention(q, k, v, { scale: 0.5, cuSeqlens }), expanded(q, k, v, 0.5, segments));
  close(
    ref.attention(q, k, v, { scale: 0.5, cuSeqlens, causal: true }),
    expanded(q, k, v, 0.5, ref.add(causal, segments)),
  );
});

test("evaluate: attention in a window equals an additive mask, beside the other limits", () => {
  const tokens = 7;
  const [q, k, v] = [21, 22, 23].map((seed) => random(seed, [2, tokens, 2, 3]));
  const keyMask = i32([2, tokens], [1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
  const cuSeqlens = i32([3], [0, 3, tokens]);
  const bias = (sees: (b: number, i: number, j: number) => boolean): RefTensor => {
    const values = Array.from({ length: 2 * tokens * tokens }, (_, n) =>
      sees(Math.floor(n / tokens ** 2), Math.floor(n / tokens) % tokens, n % tokens) ? 0 : -Infinity,
    );
    return f32([2, 1, tokens, tokens], values);
  };
  for (const window of [1, 2, 5, 6, 100]) {
    const near = (i: number, j: number): boolean => Math.abs(i - j) <= window;
    close(
      ref.attention(q, k, v, { scale: 0.5, window }),
      expanded(
        q,
        k,
        v,
        0.5,
        bias((_, i, j) => near(i, j)),
      ),
    );
    const all = bias((_, i, j) => near(i, j) && j <= i && i < 3 === j < 3);
    close(ref.attention(q, k, v, { scale: 0.5, window, causal: true, cuSeqlens }), expanded(q, k, v, 0.5, all));
  }
  const masked = bias((b, i, j) => Math.abs(i - j) <= 3 && keyMask.data[b * tokens + j] !== 0);
  close(ref.attention(q, k, v, { scale: 0.5, window: 3, keyMask }), expanded(q, k, v, 0.5, masked));
  close(ref.attention(q, k, v, { scale: 0.5, window: 0 }), ref.attention(q, k, v, { scale: 0.5 }));
  const short = random(24, [2, 2, 2, 3]);
  assert.throws(
    () => ref.attention(short, k, v, { scale: 1, window: 1 }),
    /found \d queries and \d keys, expected as many queries as keys for a window/,
  );
});

test("evaluate: a query that sees no key gives zeros", () => {
  const x = random(15, [1, 3, 1, 2]);
  const keyMask = i32([1, 3], [0, 1, 1]);
  const y = ref.attention(x, x, x, { scale: 1, causal: true, keyMask });
  assert.deepEqual([...y.data.subarray(0, 2)], [0, 0]);
  assert.deepEqual([...y.data.subarray(2, 4)], [...x.data.subarray(2, 4)]);
});

test("evaluate: attention refuses operands that do not fit", () => {
  const x = random(16, [1, 4, 2, 3]);
  const shaped = (...shape: number[]): RefTensor => random(17, shape);
  const scale = 1;
  assert.throws(() => ref.attention(shaped(4, 2, 3), x, x, { scale }), /a query of shape \[4, 2, 3\]/);
  assert.throws(() => ref.attention(x, x, shaped(1, 5, 2, 3), { scale }), /a value of shape/);
  assert.throws(() => ref.attention(shaped(1, 4, 2, 5), x, x, { scale }), /one batch and one head_dim/);
  assert.throws(() => ref.attention(shaped(1, 4, 3, 3), x, x, { scale }), /key heads that divide query heads/);
  assert.throws(
    () => ref.attention(shaped(1, 2, 2, 3), x, x, { scale, causal: true }),
    /found \d queries and \d keys, expected as many queries as keys/,
  );
  assert.throws(() => ref.attention(x, x, x, { scale, keyMask: i32([1, 3], [1, 1, 1]) }), /a key mask of shape/);
  for (const bad of [[0, 3], [1, 4], [0, 3, 2, 4], [4]]) {
    const cuSeqlens = i32([bad.length], bad);
    assert.throws(() => ref.attention(x, x, x, { scale, cuSeqlens }), /ascending from 0 to 4/);
  }
});
