/**
 * Transcendental functions with the same bits on every engine.
 *
 * `Math.exp`, `Math.sin` and their like differ in their last bits between engines, so they may not decide
 * anything that goes into an artifact. The functions here use only what IEEE 754 and ECMAScript fix exactly:
 * `+ - * /`, `Math.sqrt`, `Math.floor`, `Math.abs`, comparisons, integers and the bits of a double.
 *
 * Errors measured against correctly rounded values: at most 1 ulp for exp, expm1, log, log1p, sin, cos, erf
 * and pow, 2 ulp for sigmoid and tanh.
 */
import { reduceAngle } from "./angle.ts";
import { powerOfTwo, productError, scale, splitExponent, sumError } from "./double.ts";

/** ln 2 = LN2_HI + LN2_LO; LN2_HI has 33 significant bits, so that k * LN2_HI is exact for |k| < 2^20. */
const LN2_HI = 0.6931471804855391;
const LN2_LO = 7.440617110012397e-11;
const INV_LN2 = Math.LOG2E;

const QUARTER_PI = 0.7853981633974483;
/** 2^-54. */
const TINY = 1 / 18014398509481984;
/** 2^-28. */
const SMALL = 1 / 268435456;

/** Where functions with two results leave them: a double-double as [high, low]. */
const PAIR: Float64Array = new Float64Array(2);

/** exp(r) - 1 - r for |r| <= 0.35: Taylor series to r^13, truncated below 2^-57 of exp(r). */
function expTail(r: number): number {
  let p = 1 / 6227020800;
  p = 1 / 479001600 + r * p;
  p = 1 / 39916800 + r * p;
  p = 1 / 3628800 + r * p;
  p = 1 / 362880 + r * p;
  p = 1 / 40320 + r * p;
  p = 1 / 5040 + r * p;
  p = 1 / 720 + r * p;
  p = 1 / 120 + r * p;
  p = 1 / 24 + r * p;
  p = 1 / 6 + r * p;
  p = 0.5 + r * p;
  return r * r * p;
}

/** exp(x + tail) for -746 < x < 710 and |tail| <= |x| * 2^-52: x = k ln 2 + r (Cody and Waite 1980). */
function expPair(x: number, tail: number): number {
  const k = Math.floor(x * INV_LN2 + 0.5);
  const high = x - k * LN2_HI;
  const low = k * LN2_LO - tail;
  const r = high - low;
  const rest = high - r - low;
  const sum = 1 + r;
  return scale(sum + (1 - sum + r + (expTail(r) + rest)), k);
}

/** e^x. Overflows to Infinity above 709.78, underflows through subnormals to 0 below -745.13. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.782712893384) return Infinity;
  if (x <= -745.1332191019412) return 0;
  return expPair(x, 0);
}

/** e^x - 1 without cancellation near 0. The sign of zero is kept. */
export function expm1(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.782712893384) return Infinity;
  if (x < -40) return -1;
  if (Math.abs(x) < TINY) return x;
  const k = Math.floor(x * INV_LN2 + 0.5);
  const high = x - k * LN2_HI;
  const low = k * LN2_LO;
  const r = high - low;
  const tail = expTail(r) + (high - r - low);
  if (k === 0) return r + tail;
  if (k > 60) return scale(1 + (r + tail), k);
  // e^x - 1 = 2^k (expm1(r) + (1 - 2^-k)); the bracket's constant is exact or, for k > 53, near enough to 1.
  const c = 1 - powerOfTwo(-k);
  const sum = c + r;
  return scale(sum + (c - sum + r + tail), k);
}

/** Sum of 2 z^n / (2n + 5) for n >= 0: the series of log from its third term on, for z = s^2 <= 0.0295. */
function atanhSeries(z: number): number {
  let p = 2 / 23;
  p = 2 / 21 + z * p;
  p = 2 / 19 + z * p;
  p = 2 / 17 + z * p;
  p = 2 / 15 + z * p;
  p = 2 / 13 + z * p;
  p = 2 / 11 + z * p;
  p = 2 / 9 + z * p;
  p = 2 / 7 + z * p;
  return 2 / 5 + z * p;
}

/**
 * log(x) + tail for positive finite x. With x = 2^k (1 + f) and s = f / (2 + f):
 * log(1 + f) = 2 atanh(s) = f - s (f - (2 s^2 / 3 + 2 s^4 / 5 + ...)), where f is exact.
 */
function logPair(x: number, tail: number): number {
  splitExponent(x, PAIR);
  const f = PAIR[0] - 1;
  const k = PAIR[1];
  const s = f / (2 + f);
  const z = s * s;
  const correction = s * (f - z * (2 / 3 + z * atanhSeries(z)));
  const high = k * LN2_HI;
  const sum = high + f;
  return sum + (high - sum + f - (correction - (k * LN2_LO + tail)));
}

/** Natural logarithm. log(0) is -Infinity, log of a negative number NaN. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return x;
  return logPair(x, 0);
}

/**
 * Natural logarithms in place, for tables that end as f32: at most 2e-11 off, in a third of the time of as many calls of `log`.
 * @param values positive, finite and normal
 */
export function logAll(values: Float64Array): void {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  for (let i = 0; i < values.length; i++) {
    const high = words[2 * i + 1];
    // Mantissas above sqrt(2), whose upper bits are 0x6a09e, are halved.
    const k = (high + 0x95f62) >> 20;
    words[2 * i + 1] = high - ((k - 1023) << 20);
    const f = values[i] - 1;
    const s = f / (2 + f);
    const z = s * s;
    let p = 2 / 11;
    p = 2 / 9 + z * p;
    p = 2 / 7 + z * p;
    p = 2 / 5 + z * p;
    p = 2 / 3 + z * p;
    values[i] = (k - 1023) * Math.LN2 + s * (2 + z * p);
  }
}

/** log(1 + x) without cancellation near 0. log1p(-1) is -Infinity, below that NaN. The sign of zero is kept. */
export function log1p(x: number): number {
  if (!(x > -1)) return x === -1 ? -Infinity : NaN;
  if (x === Infinity || Math.abs(x) < TINY) return x;
  if (x > -0.29 && x < 0.41) {
    const s = x / (2 + x);
    const z = s * s;
    return x - s * (x - z * (2 / 3 + z * atanhSeries(z)));
  }
  const u = 1 + x;
  return logPair(u, sumError(1, x, u) / u);
}

/** sin(r + low) for |r| <= pi/4: Taylor series to r^17. */
function sinKernel(r: number, low: number): number {
  const z = r * r;
  let p = 1 / 355687428096000;
  p = -1 / 1307674368000 + z * p;
  p = 1 / 6227020800 + z * p;
  p = -1 / 39916800 + z * p;
  p = 1 / 362880 + z * p;
  p = -1 / 5040 + z * p;
  p = 1 / 120 + z * p;
  p = -1 / 6 + z * p;
  return r + (r * z * p + low * (1 - 0.5 * z));
}

/** cos(r + low) for |r| <= pi/4: Taylor series to r^18. */
function cosKernel(r: number, low: number): number {
  const z = r * r;
  let p = -1 / 6402373705728000;
  p = 1 / 20922789888000 + z * p;
  p = -1 / 87178291200 + z * p;
  p = 1 / 479001600 + z * p;
  p = -1 / 3628800 + z * p;
  p = 1 / 40320 + z * p;
  p = -1 / 720 + z * p;
  p = 1 / 24 + z * p;
  const half = 0.5 * z;
  const sum = 1 - half;
  return sum + (1 - sum - half + (z * z * p - r * low));
}

/** Sine of x radians, accurate for every finite x; NaN for infinities. The sign of zero is kept. */
export function sin(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  if (Math.abs(x) < 2 * SMALL) return x;
  if (Math.abs(x) <= QUARTER_PI) return sinKernel(x, 0);
  const quadrant = reduceAngle(x, PAIR) & 3;
  const y = quadrant & 1 ? cosKernel(PAIR[0], PAIR[1]) : sinKernel(PAIR[0], PAIR[1]);
  return quadrant & 2 ? -y : y;
}

/** Cosine of x radians, accurate for every finite x; NaN for infinities. */
export function cos(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  if (Math.abs(x) <= QUARTER_PI) return cosKernel(x, 0);
  const quadrant = (reduceAngle(x, PAIR) + 1) & 3;
  const y = quadrant & 1 ? cosKernel(PAIR[0], PAIR[1]) : sinKernel(PAIR[0], PAIR[1]);
  return quadrant & 2 ? -y : y;
}

/** Hyperbolic tangent: -t / (t + 2) with t = expm1(-2 |x|) below 1, else 1 - 2 / (e^(2 |x|) + 1). */
export function tanh(x: number): number {
  const a = Math.abs(x);
  if (!(a >= SMALL)) return x;
  let y = 1;
  if (a < 1) {
    const t = expm1(-2 * a);
    y = -t / (t + 2);
  } else if (a < 22) {
    y = 1 - 2 / (exp(2 * a) + 1);
  }
  return x < 0 ? -y : y;
}

/** Logistic function 1 / (1 + e^-x), written so that the exponential never overflows. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + exp(-x));
  const e = exp(x);
  return e / (1 + e);
}

/** (erf(x) / x - 2 / sqrt(pi)) / x^2 in powers of x^2 on [0, 1], highest first; Chebyshev fit, error 5.4e-19. */
const ERF_NEAR: readonly number[] = [
  6.174097221305255e-11, -1.1500357159785296e-9, 1.4692484859133263e-8, -1.6355118610877705e-7, 1.6461446656928561e-6,
  -1.4925622504489842e-5, 1.2055332214716276e-4, -8.548327010033328e-4, 5.223977625303518e-3, -2.6866170645123838e-2,
  1.1283791670955111e-1, -3.7612638903183754e-1,
];
const TWO_OVER_SQRT_PI_MINUS_1 = 0.1283791670955126;

/** e^(x^2) erfc(x) in powers of (x - 3) / (x + 3) on 1 <= x <= 6, highest first; Chebyshev fit, error 3.8e-20. */
const ERFC_FAR: readonly number[] = [
  -2.5925894581233316e-8, -2.389387463474792e-7, -2.7269500546476834e-7, 1.2598817267482604e-6, 2.1169509641489688e-6,
  -7.979817704348727e-6, -1.2860318447907675e-5, 6.405673342206844e-5, 4.5255298034073955e-5, -5.970619586158305e-4,
  7.077464385177353e-4, 4.269136333148302e-3, -2.4392499318655416e-2, 7.166583719797347e-2, -1.5011593650077742e-1,
  2.456038017123309e-1, -3.262335600430372e-1, 1.7900115118138996e-1,
];

function polynomial(coefficients: readonly number[], x: number): number {
  let p = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) p = p * x + coefficients[i];
  return p;
}

/** Error function 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x. The sign of zero is kept. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a > 0)) return x;
  if (a <= 1) {
    const z = x * x;
    return x + x * (TWO_OVER_SQRT_PI_MINUS_1 + z * polynomial(ERF_NEAR, z));
  }
  const y = a >= 6 ? 1 : 1 - exp(-a * a) * polynomial(ERFC_FAR, (a - 3) / (a + 3));
  return x < 0 ? -y : y;
}

/** Leaves log(x) in PAIR as a double-double with relative error about 2^-63, for positive finite x. */
function logDouble(x: number): void {
  splitExponent(x, PAIR);
  const m = PAIR[0];
  const k = PAIR[1];
  const f = m - 1;
  const d = m + 1;
  const s = f / d;
  const sd = s * d;
  const sLow = (f - sd - productError(s, d, sd) - s * sumError(m, 1, d)) / d;
  const z = s * s;
  const zLow = productError(s, s, z) + 2 * s * sLow;
  // 2/3 is the one coefficient whose rounding error would show.
  const a = 2 / 3 + z * atanhSeries(z);
  const aLow = 2 / 3 - a + z * atanhSeries(z) + 3.700743415417188e-17;
  const t = z * a;
  const tLow = productError(z, a, t) + z * aLow + zLow * a;
  const u = s * t;
  const uLow = productError(s, t, u) + s * tLow + sLow * t;
  const v = 2 * s + u;
  const vLow = 2 * s - v + u + (uLow + 2 * sLow);
  const w = k * LN2_HI;
  const sum = w + v;
  const low = sumError(w, v, sum) + (vLow + k * LN2_LO);
  PAIR[0] = sum + low;
  PAIR[1] = sum - PAIR[0] + low;
}

/**
 * x to the power y, as IEEE 754 and C define it: pow(1, y) and pow(x, 0) are 1 even for NaN (ECMAScript's `**`
 * gives NaN for pow(1, NaN) and pow(1, Infinity)). NaN for negative x with fractional y.
 */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const odd = Math.abs(y) < 9007199254740992 && Math.floor(y) === y && Math.floor(y / 2) * 2 !== y;
  const a = Math.abs(x);
  if (a === 0 || a === Infinity) {
    const magnitude = (a === 0) === y > 0 ? 0 : Infinity;
    return odd && (x < 0 || 1 / x < 0) ? -magnitude : magnitude;
  }
  if (Math.abs(y) === Infinity) {
    if (a === 1) return 1;
    return a > 1 === y > 0 ? Infinity : 0;
  }
  if (x < 0 && Math.floor(y) !== y) return NaN;
  if (a === 1) return odd ? x : 1;
  if (y === 2) return x * x;
  if (y === 0.5) return Math.sqrt(x);
  logDouble(a);
  const high = PAIR[0];
  const p = y * high;
  let result = 0;
  if (p > 710) result = Infinity;
  else if (p > -746) result = expPair(p, productError(y, high, p) + y * PAIR[1]);
  return x < 0 && odd ? -result : result;
}
