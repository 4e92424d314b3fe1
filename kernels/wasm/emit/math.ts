/**
 * Transcendental functions on four f32 lanes. Arguments are reduced to a short interval and a polynomial does the
 * rest; every coefficient list is a weighted minimax fit of this project. NaN comes out as NaN: comparisons are
 * written so that a NaN lane takes the branch that keeps it.
 */
import { type Code, f32x4, get, i32, i32x4, type Local, v128 } from "../asm/code.ts";

/** What a function needs of its surroundings. */
export interface MathScope {
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
  /** Evaluates a v128 now and keeps it until the function's result was used. */
  readonly keep: (value: Code) => Local;
}

/** Code that leaves f(x) on the stack. */
export type VectorFunction = (scope: MathScope, x: Local) => Code;

/** ln 2 in two parts: n * LN2_HIGH is exact for |n| < 2^14. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.12194440055e-4;
/** 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits. */
const ROUND = 12582912;
const ONE_BITS = 0x3f800000;
const SIGN_BIT = 0x80000000;
/** Below this e^x rounds to 0. */
const EXP_ZERO = -104;
/** Above this e^x is infinite. */
const EXP_INFINITE = 89;

/** (e^r - 1 - r) / r^2 on |r| <= 0.35, highest power first; relative error of e^r 3.4e-9. */
const EXP: readonly number[] = [0.00139517192, 0.00836959822, 0.0416661873, 0.166665129, 0.50000001];

/** (2^r - 1) / r on |r| <= 0.5, lowest power first; relative error of 2^r 2.0e-9. */
const EXP2: readonly number[] = [0.693147203, 0.240226479, 0.0555033247, 0.00961843736, 0.00133988745, 0.000153533618];

/** (log(1 + f) - f + f^2 / 2) / f^3 on sqrt(1/2) <= 1 + f <= sqrt(2), highest power first; relative error 7.5e-10. */
const LOG: readonly number[] = [
  0.0674663827, -0.116756512, 0.11888163, -0.124055891, 0.142195523, -0.166679958, 0.200021187, -0.250000096,
  0.333333126,
];

/** -log(erfc(a)) / a on 0 <= a <= 4, highest power first; relative error of erf 4.1e-10. It grows beyond. */
const ERFC: readonly number[] = [
  1.19329769e-6, -2.13545901e-5, 0.000167480967, -0.000740685974, 0.00179935398, -0.000253061153, -0.0191176948,
  0.102771277, 0.636619835, 1.12837917,
];

/** |x|; one engine builds the mask anew for `f32x4.abs`, in four instructions, and constants are hoisted. */
export const magnitude = (x: Code): Code => v128.and(x, i32x4.of(~SIGN_BIT));

/** -x, for the same reason. */
export const negated = (x: Code): Code => v128.xor(x, i32x4.of(SIGN_BIT));

/** a * b + c. */
export function multiplyAdd(madd: boolean, a: Code, b: Code, c: Code): Code {
  return madd ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

function polynomial(madd: boolean, coefficients: readonly number[], x: Local): Code {
  let p: Code = f32x4.of(coefficients[0]);
  for (const c of coefficients.slice(1)) p = multiplyAdd(madd, p, get(x), f32x4.of(c));
  return p;
}

interface Reduced {
  /** Its bits are those of ROUND plus n. */
  readonly shifted: Local;
  /** e^r - 1, where x = n ln 2 + r and |r| <= ln(2) / 2. */
  readonly tail: Local;
}

/** Cody and Waite's reduction; |x| < 2^15. */
function reduceExp({ madd, keep }: MathScope, x: Local): Reduced {
  const shifted = keep(multiplyAdd(madd, get(x), f32x4.of(Math.LOG2E), f32x4.of(ROUND)));
  const n = keep(f32x4.sub(get(shifted), f32x4.of(ROUND)));
  const high = multiplyAdd(madd, get(n), f32x4.of(-LN2_HIGH), get(x));
  const r = keep(multiplyAdd(madd, get(n), f32x4.of(-LN2_LOW), high));
  const squared = f32x4.mul(get(r), get(r));
  return { shifted, tail: keep(multiplyAdd(madd, squared, polynomial(madd, EXP, r), get(r))) };
}

/** 2^(n + bias), where the low bits of `shifted` hold n; the exponent must be that of a normal number. */
const power = (shifted: Code, bias: number): Code =>
  i32x4.add(i32x4.shl(shifted, i32.of(23)), i32x4.of(ONE_BITS + bias * 0x800000));

/** e^x. Overflows to infinity, underflows through subnormals to 0. */
export const exp: VectorFunction = (scope, x) => {
  const clamped = scope.keep(f32x4.pmin(f32x4.pmax(get(x), f32x4.of(EXP_ZERO)), f32x4.of(EXP_INFINITE)));
  const { shifted, tail } = reduceExp(scope, clamped);
  // 2^n may leave the range of normal numbers where e^x does not: two factors do not.
  const half = scope.keep(i32x4.shrS(get(shifted), i32.of(1)));
  const first = f32x4.mul(f32x4.add(get(tail), f32x4.of(1)), power(get(half), 0));
  return f32x4.mul(first, power(i32x4.sub(get(shifted), get(half)), 0));
};

/** e^x for x <= 0. */
export function expNonPositive(scope: MathScope, x: Code): Code {
  const clamped = scope.keep(f32x4.pmax(x, f32x4.of(EXP_ZERO)));
  const { shifted, tail } = reduceExp(scope, clamped);
  // n >= -150: 64 more make the power normal, and the last product rounds once.
  const raised = f32x4.mul(f32x4.add(get(tail), f32x4.of(1)), power(get(shifted), 64));
  return f32x4.mul(raised, f32x4.of(2 ** -64));
}

/** 128 ln 2, where {@link expWeight} is infinite, as it is from 127.5 ln 2 on; it must not be asked for what lies beyond. */
const EXP_WEIGHT_INFINITE = 128 * Math.LN2;

/**
 * e^x * 2^shift for x <= 0 (where `shift` is 0 for x up to {@link EXP_WEIGHT_INFINITE}), to a relative error of 2.4e-7 + 7.5e-8 |x|,
 * and 0 instead of subnormal numbers: enough for what is added to larger numbers, such as weights of a softmax. A core's schedulers
 * hold few such chains at a time, so this one is short: it rounds x to a power of two in one step, and parts of the polynomial do
 * not wait for one another.
 */
export function expWeight({ madd, keep }: MathScope, x: Code, shift = 0): Code {
  const clamped = keep(f32x4.pmax(x, f32x4.of((-127 - shift) * Math.LN2)));
  const perUnit = f32x4.of(Math.LOG2E);
  const shifted = keep(multiplyAdd(madd, get(clamped), perUnit, f32x4.of(ROUND)));
  const minusN = f32x4.sub(f32x4.of(ROUND), get(shifted));
  const r = keep(multiplyAdd(madd, get(clamped), perUnit, minusN));
  const squared = keep(f32x4.mul(get(r), get(r)));
  const [c1, c2, c3, c4, c5, c6] = EXP2.map((c) => f32x4.of(c));
  const low = multiplyAdd(madd, c1, get(r), f32x4.of(1));
  const middle = multiplyAdd(madd, c3, get(r), c2);
  const high = multiplyAdd(madd, c6, get(squared), multiplyAdd(madd, c5, get(r), c4));
  const upper = multiplyAdd(madd, high, get(squared), middle);
  // The least n gives the power 0.
  return f32x4.mul(multiplyAdd(madd, upper, get(squared), low), power(get(shifted), shift));
}

/** e^x - 1 without cancellation near 0, for -30 <= x <= 30. */
function expm1(scope: MathScope, x: Local): Code {
  const { shifted, tail } = reduceExp(scope, x);
  const scale = scope.keep(power(get(shifted), 0));
  return multiplyAdd(scope.madd, get(tail), get(scale), f32x4.sub(get(scale), f32x4.of(1)));
}

const withSignOf = (value: Code, x: Local): Code => v128.or(magnitude(value), v128.and(get(x), i32x4.of(SIGN_BIT)));

/** Natural logarithm: -Infinity at 0, NaN below. */
export const log: VectorFunction = ({ madd, keep }, x) => {
  const small = keep(f32x4.lt(get(x), f32x4.of(2 ** -126)));
  const normal = keep(v128.bitselect(f32x4.mul(get(x), f32x4.of(2 ** 23)), get(x), get(small)));
  // Counted from the bits of sqrt(1/2), so that the significand lies around 1.
  const k = keep(i32x4.shrS(i32x4.sub(get(normal), i32x4.of(0x3f3504f3)), i32.of(23)));
  const f = keep(f32x4.sub(i32x4.sub(get(normal), i32x4.shl(get(k), i32.of(23))), f32x4.of(1)));
  const exponent = keep(f32x4.sub(f32x4.convertI32(get(k)), v128.and(get(small), f32x4.of(23))));
  const z = keep(f32x4.mul(get(f), get(f)));
  const cubic = f32x4.mul(f32x4.mul(get(z), get(f)), polynomial(madd, LOG, f));
  const low = multiplyAdd(madd, get(exponent), f32x4.of(LN2_LOW), cubic);
  const rest = f32x4.add(get(f), multiplyAdd(madd, get(z), f32x4.of(-0.5), low));
  const y = multiplyAdd(madd, get(exponent), f32x4.of(LN2_HIGH), rest);
  const finite = v128.bitselect(y, get(x), f32x4.lt(get(x), f32x4.of(Infinity)));
  const outside = v128.bitselect(f32x4.of(-Infinity), f32x4.of(NaN), f32x4.eq(get(x), f32x4.of(0)));
  return v128.bitselect(outside, finite, f32x4.le(get(x), f32x4.of(0)));
};

/** tanh(x) = (e^2a - 1) / (e^2a - 1 + 2) for a = |x|, which is 1 in f32 from a = 10 on. */
export const tanh: VectorFunction = (scope, x) => {
  const doubled = scope.keep(f32x4.pmin(magnitude(f32x4.add(get(x), get(x))), f32x4.of(20)));
  const e = scope.keep(expm1(scope, doubled));
  return withSignOf(f32x4.div(get(e), f32x4.add(get(e), f32x4.of(2))), x);
};

/** log(erfc(|x| factor)), with |x| factor cut off at `limit`. Odd and even powers apart: two short chains. */
function logErfc({ madd, keep }: MathScope, x: Local, factor: number, limit: number): Code {
  const scaled = factor === 1 ? magnitude(get(x)) : f32x4.mul(magnitude(get(x)), f32x4.of(factor));
  const a = keep(f32x4.pmin(scaled, f32x4.of(limit)));
  const z = keep(f32x4.mul(get(a), get(a)));
  const odd = polynomial(
    madd,
    ERFC.filter((_, i) => i % 2 === 0),
    z,
  );
  const even = polynomial(
    madd,
    ERFC.filter((_, i) => i % 2 === 1),
    z,
  );
  return f32x4.mul(negated(get(a)), multiplyAdd(madd, odd, get(a), even));
}

/** Error function: -(erfc(|x|) - 1) with the sign of x; 1 in f32 from 4 on. */
export const erf: VectorFunction = (scope, x) => withSignOf(expm1(scope, scope.keep(logErfc(scope, x, 1, 4.5))), x);

/** The logistic function: e^x / (1 + e^x) below 0 and 1 / (1 + e^-x) above, so that both tails keep their precision. */
export const sigmoid: VectorFunction = (scope, x) => {
  const e = scope.keep(expNonPositive(scope, v128.or(get(x), i32x4.of(SIGN_BIT))));
  const numerator = v128.bitselect(get(e), f32x4.of(1), f32x4.lt(get(x), f32x4.of(0)));
  return f32x4.div(numerator, f32x4.add(get(e), f32x4.of(1)));
};

/** x times the normal distribution function, which is erfc(|x| / sqrt 2) / 2 or what that leaves of 1. */
export const gelu: VectorFunction = (scope, x) => {
  const lower = scope.keep(expWeight(scope, logErfc(scope, x, Math.SQRT1_2, 10), -1));
  const upper = f32x4.sub(f32x4.of(1), get(lower));
  return f32x4.mul(get(x), v128.bitselect(get(lower), upper, f32x4.lt(get(x), f32x4.of(0))));
};

/** x sigmoid(factor x); factor 1 is silu, 1.702 quick_gelu. */
export function sigmoidUnit(factor: number): VectorFunction {
  return (scope, x) => {
    const scaled = factor === 1 ? x : scope.keep(f32x4.mul(get(x), f32x4.of(factor)));
    return f32x4.mul(get(x), sigmoid(scope, scaled));
  };
}

const GELU_TANH = -2 * Math.sqrt(2 / Math.PI);

/** x/2 (1 + tanh(u / 2)) = x / (1 + e^-u) for u = 2 sqrt(2/pi) (x + 0.044715 x^3). */
export const geluTanh: VectorFunction = (scope, x) => {
  const squared = f32x4.mul(get(x), get(x));
  const slope = multiplyAdd(scope.madd, squared, f32x4.of(GELU_TANH * 0.044715), f32x4.of(GELU_TANH));
  const exponent = f32x4.pmin(f32x4.mul(get(x), slope), f32x4.of(EXP_WEIGHT_INFINITE));
  return f32x4.div(get(x), f32x4.add(expWeight(scope, exponent), f32x4.of(1)));
};
