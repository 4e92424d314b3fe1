import assert from "node:assert/strict";
import { test } from "node:test";
import {
  allocateDType,
  bytesOf,
  countElements,
  DTYPE_BYTES,
  DTYPES,
  decodeToF32,
  encodeFromF32,
  isFloatDType,
  viewAs,
} from "../../runtime/core/dtype.ts";

test("dtype: storage of every type has its width", () => {
  assert.deepEqual([...DTYPES].sort(), ["bf16", "bool", "f16", "f32", "i32", "i64", "i8", "u8"]);
  for (const dtype of DTYPES) {
    const array = allocateDType(dtype, 3);
    assert.equal(array.length, 3);
    assert.equal(array.BYTES_PER_ELEMENT, DTYPE_BYTES[dtype]);
    assert.equal(bytesOf(array).length, 3 * DTYPE_BYTES[dtype]);
    assert.equal(isFloatDType(dtype), ["f32", "f16", "bf16"].includes(dtype));
  }
  assert.equal(countElements([]), 1);
  assert.equal(countElements([2, 3, 4]), 24);
  assert.equal(countElements([2, 0]), 0);
});

test("dtype: views share aligned bytes and copy others", () => {
  const buffer = new Uint8Array(17);
  buffer.set([0, 0, 0x80, 0x3f], 4);
  const aligned = viewAs("f32", buffer.subarray(4, 12));
  assert.deepEqual(aligned, Float32Array.of(1, 0));
  aligned[1] = 2;
  assert.equal(buffer[11], 0x40);
  const odd = viewAs("f32", buffer.subarray(5, 13));
  buffer[5] = 7;
  assert.equal(new Uint8Array(odd.buffer, odd.byteOffset)[0], 0);
  assert.throws(() => viewAs("i64", buffer.subarray(0, 9)), /internal: 9 bytes are no whole number of i64 elements/);
});

test("dtype: all types decode to f32 and float types encode from it", () => {
  const decode = (dtype: (typeof DTYPES)[number], array: ArrayBufferView): number[] => {
    const into = new Float32Array(4).fill(9);
    decodeToF32(dtype, bytesOf(array), into);
    return Array.from(into);
  };
  assert.deepEqual(decode("f32", Float32Array.of(1.5, -2)), [1.5, -2, 9, 9]);
  assert.deepEqual(decode("f16", Uint16Array.of(0x3c00, 0xfc00)), [1, -Infinity, 9, 9]);
  assert.deepEqual(decode("bf16", Uint16Array.of(0x4049)), [3.140625, 9, 9, 9]);
  assert.deepEqual(decode("i64", BigInt64Array.of(-1n, 16777217n)), [-1, 16777216, 9, 9]);
  assert.deepEqual(decode("i32", Int32Array.of(-5)), [-5, 9, 9, 9]);
  assert.deepEqual(decode("u8", Uint8Array.of(200)), [200, 9, 9, 9]);
  assert.deepEqual(decode("i8", Int8Array.of(-100)), [-100, 9, 9, 9]);
  assert.deepEqual(decode("bool", Uint8Array.of(1, 0)), [1, 0, 9, 9]);
  const values = Float32Array.of(1, -0.333251953125, 3.140625, 0);
  for (const dtype of ["f32", "f16"] as const)
    assert.deepEqual(decode(dtype, encodeFromF32(dtype, values)), Array.from(values));
  assert.deepEqual(decode("bf16", encodeFromF32("bf16", values)), [1, -0.333984375, 3.140625, 0]);
});
