/** Doubles by their bits, and the rounding errors of sums and products: what exact math is made of. */

const TWO_54 = 18014398509481984;
/** Veltkamp's constant 2^27 + 1: splits a double into two halves of at most 26 bits. */
const SPLIT = 134217729;

const BITS: DataView = new DataView(new ArrayBuffer(8));

/** 2^k for -1022 <= k <= 1023. */
export function powerOfTwo(k: number): number {
  BITS.setInt32(0, (k + 1023) << 20);
  BITS.setInt32(4, 0);
  return BITS.getFloat64(0);
}

/** y * 2^k with one rounding, for y in [0.5, 2] and -1076 <= k <= 1024. */
export function scale(y: number, k: number): number {
  if (k > 1023) return y * 2 * powerOfTwo(k - 1);
  if (k < -1021) return (y * powerOfTwo(k + 54)) / TWO_54;
  return y * powerOfTwo(k);
}

/** Rounding error of the product p = a * b (Dekker 1971); no overflow for |a|, |b| < 2^990. */
export function productError(a: number, b: number, p: number): number {
  const ca = SPLIT * a;
  const ah = ca - (ca - a);
  const al = a - ah;
  const cb = SPLIT * b;
  const bh = cb - (cb - b);
  const bl = b - bh;
  return al * bl - (p - ah * bh - al * bh - ah * bl);
}

/** Rounding error of the sum s = a + b (Knuth's two-sum). */
export function sumError(a: number, b: number, s: number): number {
  const bb = s - a;
  return a - (s - bb) + (b - bb);
}

/** x = m 2^k with m in [0.7071, 1.4143] for positive finite x, subnormals too; leaves [m, k] in `into`. */
export function splitExponent(x: number, into: Float64Array): void {
  let k = -1023;
  let y = x;
  if (y < 2.2250738585072014e-308) {
    y *= TWO_54;
    k -= 54;
  }
  BITS.setFloat64(0, y);
  const word = BITS.getInt32(0);
  const fraction = word & 0xfffff;
  const upper = fraction > 0x6a09e ? 1 : 0;
  BITS.setInt32(0, fraction | ((1023 - upper) << 20));
  into[0] = BITS.getFloat64(0);
  into[1] = k + (word >> 20) + upper;
}

/** The mantissa of a positive normal x as an integer, and its exponent as it is stored: x = mantissa * 2^(exponent - 1075). */
export function mantissaOf(x: number): { readonly mantissa: bigint; readonly exponent: bigint } {
  BITS.setFloat64(0, x);
  const bits = BITS.getBigUint64(0);
  return { mantissa: (bits & 0xfffffffffffffn) | 0x10000000000000n, exponent: bits >> 52n };
}
