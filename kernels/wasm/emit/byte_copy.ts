/** Bytes of a strided value as a dense one. */

import type { CollapsedAxes } from "../../../runtime/abi/claims/axes.ts";
import { type Dim, dimEquals, mul } from "../../../runtime/core/dim.ts";
import { type Code, get, i32, set } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, copyBytes, copyFixed, countDown, forItems, word } from "./loops.ts";
import { moveToPosition } from "./position.ts";

/** Runs longer than this are copied in a loop. */
const UNROLLED = 64;

export interface ByteCopyOptions {
  /** Outer axes without the innermost of them, whose lines one grid item copies. */
  readonly outer: number;
  /** Bytes of a run where they are constant and few. */
  readonly run: number | undefined;
  /** The bytes of a run lie one behind the other in the source. */
  readonly contiguous: boolean;
}

/** A value's lines: axes with at least one outer axis, over an output whose runs are contiguous. */
export interface ByteLines {
  readonly axes: CollapsedAxes;
  readonly options: ByteCopyOptions;
}

/** @param collapsed axes of the output, then of the source */
export function byteLines(collapsed: CollapsedAxes): ByteLines {
  const line = (s: CollapsedAxes["strides"][number]): CollapsedAxes["strides"][number] =>
    s.outer.length > 0 ? s : { outer: [0], inner: s.inner };
  const axes = {
    outer: collapsed.outer.length > 0 ? collapsed.outer : [1],
    inner: collapsed.inner,
    strides: collapsed.strides.map(line),
  };
  const run = typeof axes.inner === "number" && axes.inner <= UNROLLED ? axes.inner : undefined;
  const contiguous = dimEquals(axes.strides[1].inner, 1);
  return { axes, options: { outer: axes.outer.length - 1, run: contiguous ? run : undefined, contiguous } };
}

/** The integer arguments, behind the pointers. */
export function byteCopyWords({ axes }: ByteLines): readonly Dim[] {
  const last = axes.outer.length - 1;
  const [output, source] = axes.strides;
  return [
    ...[axes.inner, source.inner, axes.outer[last], output.outer[last], source.outer[last]],
    ...axes.outer.slice(1, last),
    ...output.outer.slice(0, last),
    ...source.outer.slice(0, last),
  ];
}

export function byteCopyGrid({ axes }: ByteLines): Dim {
  return mul(1, ...axes.outer.slice(0, -1));
}

/**
 * A grid item is a position of the outer axes. Arguments: out, x; bytes of a run and their stride in x, lines, their
 * stride in out and in x, sizes of the outer axes but the first, strides of the outer axes in out and in x.
 */
export function byteCopyKernel({ outer, run, contiguous }: ByteCopyOptions): KernelModule {
  return kernelModule((frame) => {
    const [item, position, index, line, lineTo, lineFrom, to, from, counter] = frame.locals("i32", 9);
    const inner = Math.max(outer - 1, 0);
    const words = (first: number, count: number): readonly Code[] =>
      Array.from({ length: count }, (_, i) => word(frame, first + i));
    const bytes = (count: Code): Code => count;
    const copyStrided: Code = [
      set(counter, word(frame, 2)),
      countDown(counter, [
        i32.store8(get(to), i32.load8u(get(from))),
        advance(to, i32.of(1)),
        advance(from, word(frame, 3)),
      ]),
    ];
    const copyLine =
      run !== undefined
        ? copyFixed(run, from, to)
        : contiguous
          ? copyBytes(counter, word(frame, 2), from, to)
          : copyStrided;
    return forItems(frame, item, [
      set(lineTo, word(frame, 0)),
      set(lineFrom, word(frame, 1)),
      set(position, get(item)),
      moveToPosition(
        [
          { pointer: lineTo, outerStrides: words(7 + inner, outer), bytes },
          { pointer: lineFrom, outerStrides: words(7 + inner + outer, outer), bytes },
        ],
        words(7, inner),
        position,
        index,
      ),
      set(line, word(frame, 4)),
      countDown(line, [
        set(to, get(lineTo)),
        set(from, get(lineFrom)),
        copyLine,
        advance(lineTo, word(frame, 5)),
        advance(lineFrom, word(frame, 6)),
      ]),
    ]);
  });
}
