/**
 * Conversion between f32 and the two 16-bit float types (IEEE 754 binary16, and bfloat16: the upper half of an f32).
 * Narrowing rounds to nearest, ties to even; NaN stays NaN. Bits are moved as integers, so that no engine changes them.
 */

const BITS: Uint32Array = new Uint32Array(1);
const VALUE: Float32Array = new Float32Array(BITS.buffer);

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** f32 bits of an f16. */
function widenF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** f16 bits of an f32's bits. */
function narrowF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // 65520 and above rounds past the largest f16.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  // At or below 2^-25, half the smallest f16, ties go to zero.
  if (magnitude <= 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (rest > middle || (rest === middle && (kept & 1) === 1) ? kept + 1 : kept);
}

/** bf16 bits of an f32's bits. */
function narrowBf16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

let widened: Uint32Array | undefined;

/** As many values as there are of f16: what the table costs once. */
const TABLE_SIZE = 65536;

/** f32 bits of all f16 values; 256 KiB, built when there is as much to widen. */
function widenTable(): Uint32Array {
  if (widened === undefined) {
    widened = new Uint32Array(TABLE_SIZE);
    for (let half = 0; half < TABLE_SIZE; half++) widened[half] = widenF16(half);
  }
  return widened;
}

/** Value of an f16's bits. */
export function f16ToNumber(half: number): number {
  BITS[0] = widenF16(half & 0xffff);
  return VALUE[0];
}

/** Value of a bf16's bits. */
export function bf16ToNumber(half: number): number {
  BITS[0] = half << 16;
  return VALUE[0];
}

/** f16 bits of a number, which is rounded to f32 first. */
export function numberToF16(value: number): number {
  VALUE[0] = value;
  return narrowF16(BITS[0]);
}

/** bf16 bits of a number, which is rounded to f32 first. */
export function numberToBf16(value: number): number {
  VALUE[0] = value;
  return narrowBf16(BITS[0]);
}

/** Writes the values of f16 bits to the start of `into`, which is at least as long. */
export function f16ToF32(source: Uint16Array, into: Float32Array): void {
  const bits = bitsOf(into);
  if (source.length < TABLE_SIZE && widened === undefined) {
    for (let i = 0; i < source.length; i++) bits[i] = widenF16(source[i]);
    return;
  }
  const table = widenTable();
  for (let i = 0; i < source.length; i++) bits[i] = table[source[i]];
}

/** Writes the values of bf16 bits to the start of `into`, which is at least as long. */
export function bf16ToF32(source: Uint16Array, into: Float32Array): void {
  const bits = bitsOf(into);
  for (let i = 0; i < source.length; i++) bits[i] = source[i] << 16;
}

/** Writes f16 bits to the start of `into`, which is at least as long. */
export function f32ToF16(source: Float32Array, into: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < bits.length; i++) into[i] = narrowF16(bits[i]);
}

/** Writes bf16 bits to the start of `into`, which is at least as long. */
export function f32ToBf16(source: Float32Array, into: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < bits.length; i++) into[i] = narrowBf16(bits[i]);
}

/** The f16 or bf16 that is nearest to a number, which is rounded to f32 first; infinite beyond the largest. */
export function roundToHalf(dtype: "f16" | "bf16", value: number): number {
  return dtype === "f16" ? f16ToNumber(numberToF16(value)) : bf16ToNumber(numberToBf16(value));
}
