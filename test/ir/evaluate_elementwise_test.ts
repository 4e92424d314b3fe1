import assert from "node:assert/strict";
import { test } from "node:test";
import * as math from "../../runtime/core/math.ts";
import * as ref from "../../runtime/ir/evaluate/mod.ts";

type RefTensor = ref.RefTensor;

const f32 = (shape: readonly number[], values: readonly number[]): RefTensor => ref.refTensor("f32", shape, values);
const i32 = (shape: readonly number[], values: readonly number[]): RefTensor => ref.refTensor("i32", shape, values);

function random(seed: number, shape: readonly number[]): RefTensor {
  let s = seed;
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return (s / 2 ** 32) * 8 - 4;
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

test("evaluate: unary functions at hand-computed points", () => {
  const x = f32([4], [-2, 0, 1, 4]);
  same(ref.neg(x), [4], [2, -0, -1, -4]);
  same(ref.abs(x), [4], [2, 0, 1, 4]);
  same(ref.relu(x), [4], [0, 0, 1, 4]);
  same(ref.sqrt(x), [4], [NaN, 0, 1, 2]);
  same(ref.rsqrt(x), [4], [NaN, Infinity, 1, 0.5]);
  const points: readonly [(t: RefTensor) => RefTensor, number, number][] = [
    [ref.exp, 1, Math.E],
    [ref.log, 10, Math.LN10],
    [ref.tanh, 0.5, 0.46211715726000974],
    [ref.erf, 0.5, 0.5204998778130465],
    [ref.sigmoid, 1, 0.7310585786300049],
    [ref.sin, 1, 0.8414709848078965],
    [ref.cos, 1, 0.5403023058681398],
    [ref.gelu, 1, 0.8413447460685429],
    [ref.gelu, -2, -0.04550026389635842],
    [ref.geluTanh, 1, 0.8411919906082768],
    [ref.quickGelu, 1, 0.8457957659328212],
    [ref.silu, -1, -0.2689414213699951],
  ];
  for (const [f, at, expected] of points) close(f(f32([], [at])), f32([], [expected]));
});

test("evaluate: activations equal their expansion into primitives", () => {
  const x = random(1, [3, 50]);
  const c = (v: number): RefTensor => f32([], [v]);
  const half = ref.mul(x, c(0.5));
  close(ref.gelu(x), ref.mul(half, ref.add(ref.erf(ref.mul(x, c(Math.SQRT1_2))), c(1))));
  const inner = ref.add(x, ref.mul(ref.mul(ref.mul(x, x), x), c(0.044715)));
  const u = ref.mul(inner, c(Math.sqrt(2 / Math.PI)));
  close(ref.geluTanh(x), ref.mul(half, ref.add(ref.tanh(u), c(1))));
  close(ref.quickGelu(x), ref.mul(x, ref.sigmoid(ref.mul(x, c(1.702)))));
  close(ref.silu(x), ref.div(x, ref.add(c(1), ref.exp(ref.neg(x)))));
  close(ref.relu(x), ref.where(ref.lt(c(0), x), x, c(0)));
  close(ref.pow(ref.abs(x), c(1.5)), ref.exp(ref.mul(c(1.5), ref.log(ref.abs(x)))));
});

test("evaluate: binary functions broadcast as numpy does", () => {
  const a = f32([2, 1, 3], [1, 2, 3, 4, 5, 6]);
  const b = f32([2, 1], [10, 20]);
  same(ref.add(a, b), [2, 2, 3], [11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26]);
  same(ref.sub(f32([], [1]), f32([2], [3, 5])), [2], [-2, -4]);
  same(ref.mul(f32([2], [3, 5]), f32([1], [2])), [2], [6, 10]);
  same(ref.div(f32([2], [3, 5]), f32([], [2])), [2], [1.5, 2.5]);
  same(ref.max(f32([2], [3, NaN]), f32([], [4])), [2], [4, NaN]);
  same(ref.min(f32([2], [3, NaN]), f32([], [4])), [2], [3, NaN]);
  same(ref.pow(f32([2], [3, 2]), f32([2], [2, -1])), [2], [9, 0.5]);
  same(ref.add(f32([0, 3], []), f32([3], [1, 2, 3])), [0, 3], []);
});

test("evaluate: comparisons give f32 0 or 1 and where picks by them", () => {
  const a = f32([3], [1, 2, NaN]);
  const b = f32([], [2]);
  same(ref.lt(a, b), [3], [1, 0, 0]);
  same(ref.le(a, b), [3], [1, 1, 0]);
  same(ref.eq(a, b), [3], [0, 1, 0]);
  assert.equal(ref.eq(i32([1], [7]), i32([1], [7])).dtype, "f32");
  same(ref.where(f32([2, 1], [1, 0]), f32([2], [5, 6]), f32([], [9])), [2, 2], [5, 6, 9, 9]);
});

test("evaluate: integers stay integers, wrap at 32 bits and divide towards zero", () => {
  const a = i32([3], [2147483647, -7, 65537]);
  const b = i32([3], [1, 2, 65537]);
  const sum = ref.add(a, b);
  assert.equal(sum.dtype, "i32");
  assert.ok(sum.data instanceof Int32Array);
  same(sum, [3], [-2147483648, -5, 131074]);
  same(ref.mul(a, b), [3], [2147483647, -14, 131073]);
  same(ref.div(a, b), [3], [2147483647, -3, 1]);
  assert.throws(() => ref.div(a, i32([], [0])), /cannot apply div: found an integer divisor of 0/);
});

test("evaluate: values are not rounded to their type before the caller asks", () => {
  const x = ref.exp(f32([], [1]));
  assert.equal(x.data[0], math.exp(1));
  assert.equal(ref.roundToF32(x).data[0], Math.fround(math.exp(1)));
});

test("evaluate: elementwise functions refuse bad operands in a sentence", () => {
  assert.throws(() => ref.add(f32([2], [1, 2]), f32([3], [1, 2, 3])), {
    message:
      "The reference evaluator cannot apply add: found shapes [2] and [3], expected equal sizes or 1 on axis -1.",
  });
  assert.throws(() => ref.add(f32([1], [1]), i32([1], [1])), /operands of types f32 and i32, expected both float/);
  assert.throws(() => ref.exp(i32([1], [1])), /cannot apply exp: found an operand of type i32, expected float/);
  assert.throws(() => ref.where(f32([], [1]), f32([], [1]), i32([], [1])), /cannot apply where/);
  assert.throws(() => f32([2, 2], [1, 2, 3]), /found 3 values, expected 4 for shape \[2, 2\]/);
  assert.throws(() => f32([-1], []), /whole sizes/);
});
