/** Fixed-point resampling of pixels along their rows. */

import { type Code, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { forRange, when, whileLoop } from "../asm/control_flow.ts";
import { hoistConstants } from "../asm/hoist.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { fixedPoint, packedBytes } from "./fixed_point.ts";
import { advance, countDown, forItems, word, wordBytes } from "./loops.ts";
import { smaller } from "./size.ts";

export interface ResampleOptions {
  /** Weights are taken as 16-bit numbers. */
  readonly narrow: boolean;
}

/** Rows of one grid item: weights are unpacked once for all of them. */
export const PIXEL_ROWS = 4;
const CHANNELS = 3;
/** Pixels of one turn; their bytes and the first ones of the next are one vector. */
const TAPS = 4;
const VECTOR = 16;

/** An index behind the vector: 0. */
const NOTHING = 0x80;

/** Channels of pixel `first` and of the next as pairs of 16-bit numbers. */
function pixelPair(first: number): Code {
  const pair = (c: number): readonly number[] => [CHANNELS * first + c, NOTHING, CHANNELS * (first + 1) + c, NOTHING];
  return v128.of([...[0, 1, 2].flatMap(pair), NOTHING, NOTHING, NOTHING, NOTHING]);
}

/**
 * x [rows, width, 3] -> [rows, 3, columns], all dense bytes; starts i32 [columns], weights i32 [columns, taps], bits i32
 * [1] as the op table says. Arguments: out, x, starts, weights, bits; rows, width, columns, taps. A grid item is
 * {@link PIXEL_ROWS} rows; the last one repeats its last row where there are fewer. Starts behind the axis
 * read nothing: the kernel stays inside its operands whatever comes.
 */
export function resampleColumnsKernel({ narrow }: ResampleOptions): KernelModule {
  return kernelModule((frame) => {
    const fixed = fixedPoint(frame, narrow);
    const [item, row, rows, width, columns, taps, column, first, weights, weight] = frame.locals("i32", 10);
    const [counter, channel, sum, from, lastLine, lastVector] = frame.locals("i32", 6);
    const lines = frame.locals("i32", PIXEL_ROWS);
    const pixels = frame.locals("i32", PIXEL_ROWS);
    const outs = frame.locals("i32", PIXEL_ROWS);
    const [loaded, values] = frame.locals("v128", 2);
    const pairs = [fixed.pair(), fixed.pair()];
    const sums = lines.map(() => fixed.sums());
    const rowBytes = i32.mul(get(width), i32.of(CHANNELS));
    const pixelBytes = (count: Code): Code => i32.mul(count, i32.of(CHANNELS));

    const turn: Code = [
      pairs.map((p, i) => p.load(get(weight), 8 * i)),
      pixels.map((at, j) => [
        set(loaded, v128.load(get(at))),
        pairs.map((p, i) => [set(values, v128.swizzle(get(loaded), pixelPair(2 * i))), sums[j].add(values, p)]),
        advance(at, i32.of(CHANNELS * TAPS)),
      ]),
      advance(weight, i32.of(4 * TAPS)),
    ];
    const plane = (out: Local, c: number): Code =>
      c === 0 ? get(out) : i32.add(get(out), c === 1 ? get(columns) : i32.shl(get(columns), i32.of(1)));
    const vectors: Code = [
      set(weight, get(weights)),
      pixels.map((at, j) => set(at, i32.add(get(lines[j]), pixelBytes(get(first))))),
      sums.map((s) => s.start),
      set(counter, i32.shrU(get(taps), i32.of(2))),
      countDown(counter, turn),
      set(values, packedBytes(sums)),
      outs.map((out, j) =>
        Array.from({ length: CHANNELS }, (_, c) => v128.store8Lane(plane(out, c), get(values), 4 * j + c)),
      ),
    ];
    // Where sources lie behind the row's end, or a vector would reach behind the last pixel of all.
    const singles: Code = outs.map((out, j) =>
      forRange(channel, i32.of(0), i32.of(CHANNELS), 1, [
        fixed.startOne(sum),
        set(weight, get(weights)),
        set(from, i32.add(i32.add(get(lines[j]), pixelBytes(get(first))), get(channel))),
        set(counter, smaller(get(taps), i32.sub(get(width), get(first)))),
        countDown(counter, [
          fixed.addOne(sum, i32.load8u(get(from)), get(weight)),
          advance(from, i32.of(CHANNELS)),
          advance(weight, i32.of(4)),
        ]),
        fixed.finishOne(sum),
        i32.store8(i32.add(get(out), i32.mul(get(channel), get(columns))), get(sum)),
      ]),
    );
    const inside = i32.leU(i32.add(get(first), get(taps)), get(width));
    const ahead = i32.add(get(lastLine), pixelBytes(i32.add(get(first), i32.sub(get(taps), i32.of(TAPS)))));
    const body: Code = [
      fixed.setup(word(frame, 4)),
      set(rows, word(frame, 5)),
      set(width, word(frame, 6)),
      set(columns, word(frame, 7)),
      set(taps, word(frame, 8)),
      set(lastVector, i32.sub(i32.mul(get(rows), rowBytes), i32.of(VECTOR))),
      forItems(frame, item, [
        lines.map((line, j) => [
          set(row, smaller(i32.add(i32.mul(get(item), i32.of(PIXEL_ROWS)), i32.of(j)), i32.sub(get(rows), i32.of(1)))),
          set(lastLine, i32.mul(get(row), rowBytes)),
          set(line, i32.add(word(frame, 1), get(lastLine))),
          set(outs[j], i32.add(word(frame, 0), pixelBytes(i32.mul(get(row), get(columns))))),
        ]),
        set(weights, word(frame, 3)),
        set(column, i32.of(0)),
        whileLoop(i32.ltU(get(column), get(columns)), [
          set(first, i32.load(i32.add(word(frame, 2), wordBytes(get(column))))),
          set(first, smaller(get(first), get(width))),
          when(i32.and(i32.leS(ahead, get(lastVector)), inside), vectors, singles),
          outs.map((out) => advance(out, i32.of(1))),
          advance(weights, wordBytes(get(taps))),
          advance(column, i32.of(1)),
        ]),
      ]),
    ];
    const { setup, code } = hoistConstants(frame, body);
    return [setup, code];
  });
}
