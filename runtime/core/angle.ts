/** Angles in radians to quadrants and what is left of them, exactly for every finite double. */
import { mantissaOf, powerOfTwo, sumError } from "./double.ts";

/** pi/2 in three pieces of 33 bits and a rest: n times a piece is exact for |n| < 2^20. */
const HALF_PI_1 = 1.5707963267341256;
const HALF_PI_2 = 6.077100506303966e-11;
const HALF_PI_3 = 2.0222662487111665e-21;
const HALF_PI_4 = 8.4784276603689e-32;
const TWO_OVER_PI = 0.6366197723675814;
/** Above this the pieces of pi/2 no longer multiply exactly and the reduction is done in integers. */
const COARSE_LIMIT = 1647000;

let halfPiInteger = 0n;

/** floor(2^1280 pi / 2), by Machin's formula pi/4 = 4 atan(1/5) - atan(1/239). */
function halfPiScaled(): bigint {
  if (halfPiInteger === 0n) {
    const one = 1n << 1344n;
    const arctangent = (inverse: bigint): bigint => {
      let power = one / inverse;
      let sum = 0n;
      for (let n = 1n; power !== 0n; n += 2n) {
        sum += n % 4n === 1n ? power / n : -(power / n);
        power /= inverse * inverse;
      }
      return sum;
    };
    halfPiInteger = (2n * (4n * arctangent(5n) - arctangent(239n))) >> 64n;
  }
  return halfPiInteger;
}

/** reduceAngle for finite |x| > COARSE_LIMIT, exactly, in integers scaled by 2^1280. */
function reduceLargeAngle(x: number, into: Float64Array): number {
  const { mantissa, exponent } = mantissaOf(Math.abs(x));
  // x = mantissa * 2^(exponent - 1075), and the scale adds 1280.
  const scaled = mantissa << (exponent + 205n);
  const unit = halfPiScaled();
  let quotient = scaled / unit;
  let rest = scaled - quotient * unit;
  if (2n * rest > unit) {
    quotient += 1n;
    rest -= unit;
  }
  rest >>= 1160n;
  const top = Number(rest);
  const unscale = powerOfTwo(-120);
  const sign = x < 0 ? -1 : 1;
  into[0] = sign * top * unscale;
  into[1] = sign * Number(rest - BigInt(top)) * unscale;
  return sign * Number(quotient & 3n);
}

/** x = n pi/2 + into[0] + into[1] with |into[0]| <= pi/4 (about); returns n, or n mod 4 for large x. */
export function reduceAngle(x: number, into: Float64Array): number {
  if (Math.abs(x) > COARSE_LIMIT) return reduceLargeAngle(x, into);
  const n = Math.floor(x * TWO_OVER_PI + 0.5);
  const first = x - n * HALF_PI_1;
  const b = -n * HALF_PI_2;
  const second = first + b;
  const c = -n * HALF_PI_3;
  const third = second + c;
  const low = sumError(first, b, second) + (sumError(second, c, third) - n * HALF_PI_4);
  const high = third + low;
  into[0] = high;
  into[1] = third - high + low;
  return n;
}
