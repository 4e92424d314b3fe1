/** Sums of bytes with fixed-point weights in wrapping 32-bit arithmetic, four at a time or by themselves. */
import { type Code, get, i16x8, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";

/** The halves of the first two words of a vector, as a pair of 16-bit numbers in every word. */
const LOW_HALVES: readonly number[] = [0, 1, 2, 3].flatMap(() => [0, 1, 4, 5]);
const HIGH_HALVES: readonly number[] = [0, 1, 2, 3].flatMap(() => [2, 3, 6, 7]);

/** Two weights for all words of a vector. Wide ones are low + high * 2^16 with both signed. */
export interface WeightPair {
  readonly low: Local;
  readonly high: Local;
  /** From two words at an address. */
  readonly load: (address: Code, offset: number) => Code;
}

/** Four sums. */
export interface FixedSums {
  /** To one half, so that the shift rounds. */
  readonly start: Code;
  /** Adds pairs of 16-bit values times a pair of weights. */
  readonly add: (values: Local, weights: WeightPair) => Code;
  /** Shifted to whole numbers, not clamped. */
  readonly result: Code;
}

export interface FixedPoint {
  /** Must run first. @param bits address of the number of fraction bits */
  readonly setup: (bits: Code) => Code;
  readonly pair: () => WeightPair;
  readonly sums: () => FixedSums;
  /** `sum` = one half. */
  readonly startOne: (sum: Local) => Code;
  /** `sum` += value * the weight at an address. */
  readonly addOne: (sum: Local, value: Code, weight: Code) => Code;
  /** `sum` as a byte. */
  readonly finishOne: (sum: Local) => Code;
}

/** @param narrow takes the low 16 bits of the weights, signed */
export function fixedPoint(frame: KernelFrame, narrow: boolean): FixedPoint {
  const [half, bits] = frame.locals("i32", 2);
  const [halves, raw] = frame.locals("v128", 2);
  const pair = (): WeightPair => {
    const [low, high] = frame.locals("v128", 2);
    // A negative low half borrows from the high one.
    const splitHigh = [
      set(raw, i32x4.add(get(raw), i32x4.of(1 << 15))),
      set(high, v128.shuffle(get(raw), get(raw), HIGH_HALVES)),
    ];
    const load = (address: Code, offset: number): Code => [
      set(raw, v128.load64Splat(address, offset)),
      set(low, v128.shuffle(get(raw), get(raw), LOW_HALVES)),
      narrow ? [] : splitHigh,
    ];
    return { low, high, load };
  };
  const sums = (): FixedSums => {
    const [low, high] = frame.locals("v128", 2);
    const accumulate = (sum: Local, values: Local, weights: Local): Code =>
      set(sum, i32x4.add(get(sum), i32x4.dotI16(get(values), get(weights))));
    const total = narrow ? get(low) : i32x4.add(get(low), i32x4.shl(get(high), i32.of(16)));
    return {
      start: [set(low, get(halves)), narrow ? [] : set(high, i32x4.of(0))],
      add: (values, weights) => [
        accumulate(low, values, weights.low),
        narrow ? [] : accumulate(high, values, weights.high),
      ],
      result: i32x4.shrS(total, get(bits)),
    };
  };
  return {
    setup: (address) => [
      set(bits, i32.load(address)),
      set(half, i32.shl(i32.of(1), i32.sub(get(bits), i32.of(1)))),
      set(halves, i32x4.splat(get(half))),
    ],
    pair,
    sums,
    startOne: (sum) => set(sum, get(half)),
    addOne: (sum, value, address) => {
      const whole = i32.load(address);
      const weight = narrow ? i32.shrS(i32.shl(whole, i32.of(16)), i32.of(16)) : whole;
      return set(sum, i32.add(get(sum), i32.mul(value, weight)));
    },
    finishOne: (sum) => [
      set(sum, i32.shrS(get(sum), get(bits))),
      set(sum, i32.select(i32.gtS(get(sum), i32.of(0)), get(sum), i32.of(0))),
      set(sum, i32.select(i32.ltS(get(sum), i32.of(255)), get(sum), i32.of(255))),
    ],
  };
}

/** The results of four groups of sums as 16 bytes. */
export function packedBytes(groups: readonly FixedSums[]): Code {
  const [a, b, c, d] = groups.map((g) => g.result);
  return i16x8.narrowToU8(i16x8.narrowI32(a, b), i16x8.narrowI32(c, d));
}
