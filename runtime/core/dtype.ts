/** Element types and the typed arrays that hold them. */
import { internal } from "./diagnostics.ts";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "./half.ts";

/** Types of elements. */
export type DType = "f32" | "f16" | "bf16" | "i64" | "i32" | "u8" | "i8" | "bool";

/** Float types of two bytes. */
export type HalfDType = "f16" | "bf16";

/** Types that weights may be kept in; with `int8` their products are of integers. */
export type WeightDType = "f32" | HalfDType | "int8";

/** How the weights of a component are kept: `int8` also with what a calibration tells of the other side. */
export type KeptDType = WeightDType | "int8-calibrated";

/** Types that weights can be kept in. */
export const WEIGHT_DTYPES: readonly WeightDType[] = ["f32", "f16", "bf16", "int8"];

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  i64: 8,
  i32: 4,
  u8: 1,
  i8: 1,
  bool: 1,
};

/** All element types, in the order of {@link DTYPE_BYTES}. */
export const DTYPES: readonly DType[] = Object.keys(DTYPE_BYTES) as DType[];

/** Typed arrays by type of element. */
export interface DTypeArrays {
  /** Single precision floats. */
  readonly f32: Float32Array;
  /** Bits of half precision floats (IEEE 754 binary16). */
  readonly f16: Uint16Array;
  /** Bits of bfloat16: the upper halves of single precision floats. */
  readonly bf16: Uint16Array;
  /** 64-bit integers with sign. */
  readonly i64: BigInt64Array;
  /** 32-bit integers with sign. */
  readonly i32: Int32Array;
  /** Bytes without sign. */
  readonly u8: Uint8Array;
  /** Bytes with sign. */
  readonly i8: Int8Array;
  /** 0 and 1. */
  readonly bool: Uint8Array;
}

/** Arrays of elements by type. */
export type DTypeArray = DTypeArrays[DType];

const VIEWS: { readonly [T in DType]: new (b: ArrayBufferLike, at: number, length: number) => DTypeArrays[T] } = {
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  u8: Uint8Array,
  i8: Int8Array,
  bool: Uint8Array,
};

/** True for `f32`, `f16` and `bf16`. */
export function isFloatDType(dtype: DType): boolean {
  return dtype === "f32" || dtype === "f16" || dtype === "bf16";
}

/** Product of the sizes; 1 for a scalar. */
export function countElements(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** The bytes that a typed array shows, without a copy. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A view of `bytes` as elements; a copy where the bytes are not aligned for the type. */
export function viewAs<T extends DType>(dtype: T, bytes: Uint8Array): DTypeArrays[T] {
  const size = DTYPE_BYTES[dtype];
  if (bytes.byteLength % size !== 0) internal(`${bytes.byteLength} bytes are no whole number of ${dtype} elements`);
  const from = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new VIEWS[dtype](from.buffer, from.byteOffset, from.byteLength / size);
}

/** Zeroed storage for `count` elements. */
export function allocateDType<T extends DType>(dtype: T, count: number): DTypeArrays[T] {
  return new VIEWS[dtype](new ArrayBuffer(count * DTYPE_BYTES[dtype]), 0, count);
}

/** Writes the elements in `bytes` to the start of `into` as f32; integers are rounded to the nearest f32. */
export function decodeToF32(dtype: DType, bytes: Uint8Array, into: Float32Array): void {
  if (dtype === "f16") f16ToF32(viewAs(dtype, bytes), into);
  else if (dtype === "bf16") bf16ToF32(viewAs(dtype, bytes), into);
  else if (dtype !== "i64") into.set(viewAs(dtype, bytes));
  else {
    const source = viewAs(dtype, bytes);
    for (let i = 0; i < source.length; i++) into[i] = Number(source[i]);
  }
}

/** f32 values as bytes of a float type, rounded to nearest even. */
export function encodeFromF32(dtype: "f32" | HalfDType, values: Float32Array): Uint8Array {
  if (dtype === "f32") return bytesOf(values);
  const into = new Uint16Array(values.length);
  if (dtype === "f16") f32ToF16(values, into);
  else f32ToBf16(values, into);
  return bytesOf(into);
}

/** Whole numbers of 64 bits in 32, and the place of the first that does not fit, or -1. */
export function narrowI64(data: BigInt64Array): { readonly values: Int32Array; readonly unfit: number } {
  const values = Int32Array.from(data, Number);
  return { values, unfit: data.findIndex((v, i) => BigInt(values[i]) !== v) };
}
