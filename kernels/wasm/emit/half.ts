/** f16 and bf16 in lanes of 32 bits: exact widening, and rounding to nearest even. Infinities and NaN do not occur. */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, f32x4, get, i16x8, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { withConstants } from "../asm/hoist.ts";
import type { KernelFrame } from "../asm/module.ts";
import { advance, inFours, repeatWhile } from "./loops.ts";

/** From the last bit of an f16's fraction to its place in an f32. */
const F16_SHIFT = 13;
/** Sign, exponent and fraction of an f16 at their places in an f32. */
const F16_BITS = 0x8fffe000;
/** Exponents of f16 and f32 are counted from 15 and from 127. */
const BIAS = 127 - 15;
const REBIAS = BIAS << 23;
/** The least normal f16. */
const LEAST_NORMAL = 2 ** -14;
/** Bits of the power of two behind the largest f16, to which everything beyond is cut. */
const BEYOND_F16 = 0x47800000;
const INFINITE = 0x7f800000;

const shift = (bits: number): Code => i32.of(bits);

/**
 * Widens the halves in the upper 16 bits of `lanes`, which receives the numbers. The lower bits of a lane must be 0 for
 * bf16 and do not matter for f16, whose bits are those of an f32 that is 2^112 times too small, below 2^-14 as well.
 */
export function widenUpper(dtype: HalfDType, lanes: Local): Code {
  if (dtype === "bf16") return [];
  return set(lanes, scaled(i32x4.shrS(get(lanes), shift(16 - F16_SHIFT))));
}

/** Numbers from the bits of f16 at the places of an f32, between which the sign may be repeated. */
function scaled(placed: Code): Code {
  return f32x4.mul(v128.and(placed, i32x4.of(F16_BITS)), f32x4.of(2 ** BIAS));
}

/** Rounds the numbers in `lanes` to halves, in the lower 16 bits of each lane; infinite where they are too large. */
export function narrowLanes(frame: KernelFrame, dtype: HalfDType, lanes: Local): Code {
  const [magnitude, sign] = frame.locals("v128", 2);
  const dropped = dtype === "f16" ? 13 : 16;
  const last = v128.and(i32x4.shrU(get(magnitude), shift(dropped)), i32x4.of(1));
  // Just below half of the last place that is kept, and 1 more where that is odd: ties go to even.
  const rounded = i32x4.add(get(magnitude), i32x4.add(last, i32x4.of(2 ** (dropped - 1) - 1)));
  const normal = i32x4.shrU(dtype === "f16" ? i32x4.sub(rounded, i32x4.of(REBIAS)) : rounded, shift(dropped));
  // Numbers near 1/2 have steps of 2^-24, as those below 2^-14 have in f16: the sum rounds as they do.
  const tiny = i32x4.sub(f32x4.add(get(magnitude), f32x4.of(0.5)), f32x4.of(0.5));
  const isTiny = f32x4.lt(get(magnitude), f32x4.of(LEAST_NORMAL));
  return [
    set(sign, v128.and(i32x4.shrU(get(lanes), shift(16)), i32x4.of(0x8000))),
    set(magnitude, v128.and(get(lanes), i32x4.of(0x7fffffff))),
    set(magnitude, i32x4.minS(get(magnitude), i32x4.of(dtype === "f16" ? BEYOND_F16 : INFINITE))),
    set(lanes, dtype === "f16" ? v128.bitselect(tiny, normal, isTiny) : normal),
    set(lanes, v128.or(get(lanes), get(sign))),
  ];
}

/**
 * Words of 32 bits that hold `elements` halves in pairs of vectors: a word has an element of the first four in its lower
 * half and the one four further in its upper half, so that each widens by a shift or a mask. Whole groups of eight.
 */
export function pairedWords(elements: number): number {
  return 4 * Math.ceil(elements / 8);
}

/** Rounds f32 from `from` to paired halves at `to` until `to` is `end`, at least once; both move. */
export function narrowPairs(frame: KernelFrame, dtype: HalfDType, from: Local, to: Local, end: Local): Code {
  const [low, high] = frame.locals("v128", 2);
  const pair = [
    set(low, v128.load(get(from))),
    set(high, v128.load(get(from), 16)),
    narrowLanes(frame, dtype, low),
    narrowLanes(frame, dtype, high),
    v128.store(get(to), v128.or(get(low), i32x4.shl(get(high), shift(16)))),
    advance(from, i32.of(32)),
    advance(to, i32.of(16)),
  ];
  return withConstants(frame, repeatWhile(i32.ne(get(to), get(end)), pair));
}

/** Widens the pairs in `high`: the first four numbers into `low`, the others into `high`. */
function widenPair(dtype: HalfDType, low: Local, high: Local): Code {
  if (dtype === "bf16") {
    return [set(low, i32x4.shl(get(high), shift(16))), set(high, v128.and(get(high), i32x4.of(0xffff0000)))];
  }
  // A product with 2^13 places a half as a signed shift does, in one instruction that all engines have.
  return [
    set(low, scaled(i32x4.dotI16(get(high), i32x4.of(1 << F16_SHIFT)))),
    set(high, scaled(i32x4.dotI16(get(high), i32x4.of(1 << (16 + F16_SHIFT))))),
  ];
}

/** Widens paired halves from `from` to f32 at `to` until `to` is `end` or the vector behind it, at least once; both move. */
export function widenPairs(frame: KernelFrame, dtype: HalfDType, from: Local, to: Local, end: Local): Code {
  const [low, high] = frame.locals("v128", 2);
  const pair = [
    set(high, v128.load(get(from))),
    widenPair(dtype, low, high),
    v128.store(get(to), get(low)),
    v128.store(get(to), get(high), 16),
    advance(from, i32.of(16)),
    advance(to, i32.of(32)),
  ];
  return withConstants(frame, repeatWhile(i32.ltU(get(to), get(end)), pair));
}

/** Loads paired halves at `from`, widened: eight numbers for every two of `lanes`. */
export function loadPairs(dtype: HalfDType, from: Local, lanes: readonly Local[]): Code {
  return Array.from({ length: lanes.length / 2 }, (_, i) => {
    const [low, high] = [lanes[2 * i], lanes[2 * i + 1]];
    return [set(high, v128.load(get(from), 16 * i)), widenPair(dtype, low, high)];
  });
}

/** Widens `total` halves that lie one after another at `from` to f32 at `to`; both move behind the run. */
export function widenRun(
  frame: KernelFrame,
  dtype: HalfDType,
  counter: Local,
  total: Code,
  from: Local,
  to: Local,
): Code {
  const lanes = frame.local("v128");
  const step = (elements: 1 | 4): Code => {
    const halves = elements === 4 ? v128.load16x4u(get(from)) : i32x4.splat(i32.load16u(get(from)));
    return [
      set(lanes, i32x4.shl(halves, shift(16))),
      widenUpper(dtype, lanes),
      elements === 4 ? v128.store(get(to), get(lanes)) : v128.store32Lane(get(to), get(lanes), 0),
      advance(from, i32.of(2 * elements)),
      advance(to, i32.of(4 * elements)),
    ];
  };
  return withConstants(frame, inFours(counter, total, step(4), step(1)));
}

/** Rounds `total` f32 at `from` to `to`, as f32; both move behind the run. */
export function roundRun(
  frame: KernelFrame,
  dtype: HalfDType,
  counter: Local,
  total: Code,
  from: Local,
  to: Local,
): Code {
  const lanes = frame.local("v128");
  const step = (elements: 1 | 4): Code => [
    set(lanes, elements === 4 ? v128.load(get(from)) : v128.load32Zero(get(from))),
    narrowLanes(frame, dtype, lanes),
    set(lanes, i32x4.shl(get(lanes), shift(16))),
    widenUpper(dtype, lanes),
    elements === 4 ? v128.store(get(to), get(lanes)) : v128.store32Lane(get(to), get(lanes), 0),
    advance(from, i32.of(4 * elements)),
    advance(to, i32.of(4 * elements)),
  ];
  return withConstants(frame, inFours(counter, total, step(4), step(1)));
}

/** Rounds `total` f32 at `from` to halves that lie one after another at `to`; both move behind the run. */
export function narrowRun(
  frame: KernelFrame,
  dtype: HalfDType,
  counter: Local,
  total: Code,
  from: Local,
  to: Local,
): Code {
  const lanes = frame.local("v128");
  const step = (elements: 1 | 4): Code => [
    set(lanes, elements === 4 ? v128.load(get(from)) : v128.load32Zero(get(from))),
    narrowLanes(frame, dtype, lanes),
    elements === 4
      ? v128.store64Lane(get(to), i16x8.narrowI32ToU(get(lanes), get(lanes)), 0)
      : v128.store16Lane(get(to), get(lanes), 0),
    advance(from, i32.of(4 * elements)),
    advance(to, i32.of(2 * elements)),
  ];
  return withConstants(frame, inFours(counter, total, step(4), step(1)));
}
