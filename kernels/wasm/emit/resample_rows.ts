/** Fixed-point resampling of rows of bytes. */

import { type Code, get, i16x8, i32, set, v128 } from "../asm/code.ts";
import { when, whileLoop } from "../asm/control_flow.ts";
import { hoistConstants } from "../asm/hoist.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { fixedPoint, packedBytes } from "./fixed_point.ts";
import { advance, countDown, forItems, repeatWhile, word, wordBytes } from "./loops.ts";
import type { ResampleOptions } from "./resample_columns.ts";
import { smaller } from "./size.ts";

const VECTOR = 16;

/** Bytes of two vectors in turn, from byte `first` of both. */
const inTurn = (first: number): readonly number[] =>
  Array.from({ length: VECTOR }, (_, i) => first + (i >> 1) + (i % 2) * VECTOR);

/**
 * x [height, width] -> [rows, width], dense bytes; starts i32 [rows], weights i32 [rows, taps], bits i32 [1] as the op
 * table says. Arguments: out, x, starts, weights, bits; height, width, taps. A grid item is a row of the output. Starts
 * behind the axis read nothing: the kernel stays inside its operands whatever comes.
 */
export function resampleRowsKernel({ narrow }: ResampleOptions): KernelModule {
  return kernelModule((frame) => {
    const fixed = fixedPoint(frame, narrow);
    const [item, height, width, taps, first, count, weights, weight] = frame.locals("i32", 8);
    const [base, to, from, column, lastColumn, counter, sum] = frame.locals("i32", 7);
    const [below, mixed, values] = frame.locals("v128", 3);
    const pair = fixed.pair();
    const sums = [0, 1, 2, 3].map(() => fixed.sums());

    /** Adds a row and the one in `below`. */
    const addPair: Code = [0, 8].map((byte, i) => [
      set(mixed, v128.shuffle(v128.load(get(from)), get(below), inTurn(byte))),
      set(values, i16x8.extendLowU8(get(mixed))),
      sums[2 * i].add(values, pair),
      set(values, i16x8.extendHighU8(get(mixed))),
      sums[2 * i + 1].add(values, pair),
    ]);
    const vector: Code = [
      set(from, i32.add(get(base), get(column))),
      set(weight, get(weights)),
      sums.map((s) => s.start),
      set(counter, i32.shrU(get(count), i32.of(1))),
      countDown(counter, [
        pair.load(get(weight), 0),
        set(below, v128.load(i32.add(get(from), get(width)))),
        addPair,
        advance(from, i32.shl(get(width), i32.of(1))),
        advance(weight, i32.of(8)),
      ]),
      // The table's rows have an even number of weights.
      when(i32.and(get(count), i32.of(1)), [
        pair.load(get(weight), 0),
        set(below, v128.of(new Array<number>(VECTOR).fill(0))),
        addPair,
      ]),
      v128.store(i32.add(get(to), get(column)), packedBytes(sums)),
    ];
    // The last vector of a row lies over the one before it.
    const vectors: Code = [
      set(lastColumn, i32.sub(get(width), i32.of(VECTOR))),
      repeatWhile(i32.leU(get(column), get(lastColumn)), [
        vector,
        set(
          column,
          i32.select(
            i32.eq(get(column), get(lastColumn)),
            get(width),
            smaller(i32.add(get(column), i32.of(VECTOR)), get(lastColumn)),
          ),
        ),
      ]),
    ];
    const singles = whileLoop(i32.ltU(get(column), get(width)), [
      fixed.startOne(sum),
      set(from, i32.add(get(base), get(column))),
      set(weight, get(weights)),
      set(counter, get(count)),
      countDown(counter, [
        fixed.addOne(sum, i32.load8u(get(from)), get(weight)),
        advance(from, get(width)),
        advance(weight, i32.of(4)),
      ]),
      fixed.finishOne(sum),
      i32.store8(i32.add(get(to), get(column)), get(sum)),
      advance(column, i32.of(1)),
    ]);
    const body: Code = [
      fixed.setup(word(frame, 4)),
      set(height, word(frame, 5)),
      set(width, word(frame, 6)),
      set(taps, word(frame, 7)),
      forItems(frame, item, [
        set(first, i32.load(i32.add(word(frame, 2), wordBytes(get(item))))),
        set(first, smaller(get(first), get(height))),
        set(count, smaller(get(taps), i32.sub(get(height), get(first)))),
        set(weights, i32.add(word(frame, 3), wordBytes(i32.mul(get(item), get(taps))))),
        set(base, i32.add(word(frame, 1), i32.mul(get(first), get(width)))),
        set(to, i32.add(word(frame, 0), i32.mul(get(item), get(width)))),
        set(column, i32.of(0)),
        when(i32.ltU(get(width), i32.of(VECTOR)), singles, vectors),
      ]),
    ];
    const { setup, code } = hoistConstants(frame, body);
    return [setup, code];
  });
}
