import assert from "node:assert/strict";
import { test } from "node:test";
import * as ref from "../../runtime/ir/evaluate/mod.ts";

type RefTensor = ref.RefTensor;

const f32 = (shape: readonly number[], values: ArrayLike<number>): RefTensor => ref.refTensor("f32", shape, values);
const i32 = (shape: readonly number[], values: readonly number[]): RefTensor => ref.refTensor("i32", shape, values);

/** 0, 1, 2, ... in row-major order. */
function counting(shape: readonly number[]): RefTensor {
  return f32(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  );
}

function same(actual: RefTensor, shape: readonly number[], values: readonly number[]): void {
  assert.deepEqual(actual.shape, shape);
  assert.deepEqual([...actual.data], values);
}

test("evaluate: reductions over any axes, kept or dropped", () => {
  const x = counting([2, 3, 2]);
  same(ref.reduceSum(x, [1]), [2, 2], [6, 9, 24, 27]);
  same(ref.reduceSum(x, [0, -1], true), [1, 3, 1], [14, 22, 30]);
  same(ref.reduceSum(x, [0, 1, 2]), [], [66]);
  same(ref.reduceMean(x, [1]), [2, 2], [2, 3, 8, 9]);
  same(ref.reduceMax(ref.neg(x), [2], true), [2, 3, 1], [-0, -2, -4, -6, -8, -10]);
  same(ref.reduceMax(f32([3], [1, NaN, 2]), [0]), [], [NaN]);
  same(ref.reduceMax(i32([2], [-5, -9]), [0]), [], [-5]);
  same(ref.reduceMax(i32([1], [-2147483648]), [0]), [], [-2147483648]);
  same(ref.reduceSum(f32([0, 2], []), [0]), [2], [0, 0]);
});

test("evaluate: argmax gives the first of equals as i32 and works on inner axes", () => {
  const x = f32([2, 3, 2], [1, 5, 7, 5, 7, 2, 0, 0, -1, 4, 3, 4]);
  const inner = ref.argmax(x, 1);
  assert.equal(inner.dtype, "i32");
  same(inner, [2, 2], [1, 0, 2, 1]);
  same(ref.argmax(x, -1, true), [2, 3, 1], [1, 0, 0, 0, 1, 1]);
  same(ref.argmax(x, 0), [3, 2], [0, 0, 0, 0, 0, 1]);
  same(ref.argmax(f32([1, 2], [4, 5]), 0), [2], [0, 0]);
  same(ref.argmax(f32([4], [1, NaN, 9, NaN]), 0), [], [1]);
  same(ref.argmax(f32([2], [-Infinity, -Infinity]), 0), [], [0]);
});

test("evaluate: reductions refuse bad axes and empty ones", () => {
  const x = counting([2, 3]);
  assert.throws(() => ref.reduceSum(x, [2]), /cannot apply reduce_sum: found axis 2, expected one of -2\.\.1/);
  assert.throws(() => ref.reduceSum(x, [1, -1]), /expected each axis once/);
  assert.throws(() => ref.reduceMax(f32([0], []), [0]), /at least one element/);
  assert.throws(() => ref.reduceMean(f32([0], []), [0]), /at least one element/);
  assert.throws(() => ref.reduceMean(i32([1], [1]), [0]), /float operands/);
  assert.throws(() => ref.argmax(f32([2, 0], []), 1), /at least one element/);
});

test("evaluate: transpose places axes and undoes itself", () => {
  const x = counting([2, 3, 4]);
  const y = ref.transpose(x, [2, 0, 1]);
  assert.deepEqual(y.shape, [4, 2, 3]);
  for (let a = 0; a < 2; a++) {
    for (let b = 0; b < 3; b++) {
      for (let c = 0; c < 4; c++) assert.equal(y.data[(c * 2 + a) * 3 + b], (a * 3 + b) * 4 + c);
    }
  }
  same(ref.transpose(y, [1, 2, 0]), x.shape, [...x.data]);
  assert.throws(() => ref.transpose(x, [0, 1, 1]), /an order of the 3 axes/);
  assert.throws(() => ref.transpose(x, [0, 1]), /an order of the 3 axes/);
});

test("evaluate: slice and concat are inverse", () => {
  const x = counting([3, 4, 2]);
  same(ref.slice(x, [1, 1, 0], [3, 3, 1]), [2, 2, 1], [10, 12, 18, 20]);
  for (let axis = 0; axis < 3; axis++) {
    const cut = (from: number, to: number): RefTensor =>
      ref.slice(
        x,
        [0, 1, 2].map((i) => (i === axis ? from : 0)),
        x.shape.map((d, i) => (i === axis ? to : d)),
      );
    same(ref.concat([cut(0, 1), cut(1, 1), cut(1, x.shape[axis])], axis), x.shape, [...x.data]);
  }
  same(ref.concat([f32([1, 2], [1, 2]), f32([1, 1], [9])], -1), [1, 3], [1, 2, 9]);
  assert.throws(() => ref.slice(x, [0, 0, 0], [3, 5, 2]), /one start and end per axis in \[3, 4, 2\]/);
  assert.throws(() => ref.slice(x, [2, 0, 0], [1, 4, 2]), /one start and end per axis/);
  assert.throws(() => ref.concat([counting([2, 2]), counting([2, 3])], 0), /equal sizes but for axis 0/);
  assert.throws(() => ref.concat([counting([1]), i32([1], [0])], 0), /one type/);
  assert.throws(() => ref.concat([], 0), /at least one/);
});

test("evaluate: reshape and broadcast_to", () => {
  same(ref.reshape(counting([2, 3]), [3, 2]), [3, 2], [0, 1, 2, 3, 4, 5]);
  same(ref.broadcastTo(f32([2, 1], [1, 2]), [2, 2, 3]), [2, 2, 3], [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
  same(ref.broadcastTo(f32([], [7]), [2]), [2], [7, 7]);
  assert.throws(() => ref.reshape(counting([2, 3]), [4]), /expected 6 elements/);
  assert.throws(() => ref.broadcastTo(counting([3]), [2]), /cannot apply broadcast_to/);
  assert.throws(() => ref.broadcastTo(counting([2, 3]), [3]), /a shape that broadcasts to \[3\]/);
});

test("evaluate: cast truncates, saturates and turns NaN into 0", () => {
  const x = f32([7], [1.9, -1.9, NaN, 3e9, -3e9, 255.5, Infinity]);
  same(ref.cast(x, "i32"), [7], [1, -1, 0, 2147483647, -2147483648, 255, 2147483647]);
  same(ref.cast(x, "u8"), [7], [1, 0, 0, 255, 0, 255, 255]);
  same(ref.cast(x, "i8"), [7], [1, -1, 0, 127, -128, 127, 127]);
  const back = ref.cast(i32([2], [3, -4]), "f32");
  assert.ok(back.data instanceof Float64Array);
  same(back, [2], [3, -4]);
});

test("evaluate: gather reads rows and take_row one row of each batch entry", () => {
  const table = counting([4, 3]);
  same(ref.gather(table, i32([2, 2], [3, 0, 1, 3])), [2, 2, 3], [9, 10, 11, 0, 1, 2, 3, 4, 5, 9, 10, 11]);
  same(ref.gather(f32([2], [5, 6]), i32([], [1])), [], [6]);
  same(ref.takeRow(counting([2, 3, 2]), i32([2], [2, 0])), [2, 2], [4, 5, 6, 7]);
  assert.throws(() => ref.gather(table, i32([1], [4])), /cannot apply gather: found index 4, expected 0\.\.3/);
  assert.throws(() => ref.gather(table, i32([1], [-1])), /found index -1/);
  assert.throws(() => ref.gather(table, f32([1], [1])), /an integer type/);
  assert.throws(() => ref.takeRow(counting([2, 3, 2]), i32([1], [0])), /found indices of shape \[1\], expected \[2\]/);
  assert.throws(() => ref.takeRow(counting([2, 3, 2]), i32([2], [3, 0])), /found index 3/);
});

test("evaluate: patchify orders patches by row and values by channel, row, column", () => {
  const x = counting([1, 2, 4, 4]);
  const y = ref.patchify(x, 2, 2);
  assert.deepEqual(y.shape, [1, 4, 8]);
  assert.deepEqual([...y.data.subarray(0, 16)], [0, 1, 4, 5, 16, 17, 20, 21, 2, 3, 6, 7, 18, 19, 22, 23]);
  assert.deepEqual(ref.patchify(x, 4, 2).shape, [1, 2, 16]);
  same(ref.patchify(counting([1, 2, 1, 2]), 1, 1), [1, 2, 2], [0, 2, 1, 3]);
  assert.throws(() => ref.patchify(x, 0, 1), /multiples of the patch 0x1/);
  assert.throws(() => ref.patchify(counting([1, 1, 5, 4]), 2, 2), /found an image of 5x4, expected multiples/);
  assert.throws(() => ref.patchify(counting([4, 4]), 2, 2), /\[batch, channels, height, width\]/);
});

test("evaluate: patchify and linear make the strided convolution", () => {
  const [batch, channels, height, width, ph, pw, filters] = [2, 3, 4, 6, 2, 3, 5];
  const x = counting([batch, channels, height, width]);
  const kernel = ref.refTensor(
    "f32",
    [filters, channels, ph, pw],
    Array.from({ length: filters * channels * ph * pw }, (_, i) => ((i * 7) % 11) - 5),
  );
  const y = ref.linear(ref.patchify(x, ph, pw), ref.reshape(kernel, [filters, channels * ph * pw]));
  for (let b = 0; b < batch; b++) {
    for (let r = 0; r < height / ph; r++) {
      for (let c = 0; c < width / pw; c++) {
        for (let f = 0; f < filters; f++) {
          let sum = 0;
          for (let ch = 0; ch < channels; ch++) {
            for (let i = 0; i < ph; i++) {
              for (let j = 0; j < pw; j++) {
                const pixel = ((b * channels + ch) * height + r * ph + i) * width + c * pw + j;
                sum += x.data[pixel] * kernel.data[((f * channels + ch) * ph + i) * pw + j];
              }
            }
          }
          const token = b * (height / ph) * (width / pw) + r * (width / pw) + c;
          assert.equal(y.data[token * filters + f], sum);
        }
      }
    }
  }
});
