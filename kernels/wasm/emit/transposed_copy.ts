/** Copies whose operand is contiguous along another axis than the output: blocks of 4 x 4 through registers. */

import type { CollapsedAxes } from "../../../runtime/abi/claims/axes.ts";
import { ceilDiv, type Dim, dimEquals, mul } from "../../../runtime/core/dim.ts";
import { type Code, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, countDown, forItems, inFours, word, wordBytes } from "./loops.ts";
import { moveToPosition } from "./position.ts";
import { transposeWords } from "./transpose.ts";

/** Output rows and columns of a grid item: 16 words are a cache line of the operand. */
const ROWS_SHIFT = 4;
const COLUMNS_SHIFT = 6;

/** Collapsed axes of a copy with the outer axis along which the operand is contiguous ("rows") taken out. */
export interface TransposedCopy {
  readonly rows: Dim;
  readonly columns: Dim;
  /** Elements between rows of the output. */
  readonly outputStride: Dim;
  /** Elements between columns of the operand. */
  readonly operandStride: Dim;
  /** Sizes of the other outer axes, and both strides along them. */
  readonly outer: readonly Dim[];
  readonly outputOuter: readonly Dim[];
  readonly operandOuter: readonly Dim[];
}

/** Nothing when the operand is contiguous along no axis, or along the same one as the output. */
export function transposedCopy(axes: CollapsedAxes): TransposedCopy | undefined {
  const [output, operand] = axes.strides;
  if (!dimEquals(output.inner, 1) || dimEquals(operand.inner, 1)) return undefined;
  const at = operand.outer.findLastIndex((s) => dimEquals(s, 1));
  if (at < 0) return undefined;
  const others = (dims: readonly Dim[]): readonly Dim[] => dims.filter((_, i) => i !== at);
  return {
    rows: axes.outer[at],
    columns: axes.inner,
    outputStride: output.outer[at],
    operandStride: operand.inner,
    outer: others(axes.outer),
    outputOuter: others(output.outer),
    operandOuter: others(operand.outer),
  };
}

/** The integer arguments; they follow the pointers. */
export function transposedCopyWords(c: TransposedCopy): readonly Dim[] {
  const sizes = [c.rows, c.columns, c.outputStride, c.operandStride];
  return [...sizes, ...c.outer.slice(1), ...c.outputOuter, ...c.operandOuter];
}

/** Grid items: tiles of 16 x 64, for each position of the other axes. */
export function transposedCopyGrid(c: TransposedCopy): Dim {
  return mul(...c.outer, ceilDiv(c.rows, 2 ** ROWS_SHIFT), ceilDiv(c.columns, 2 ** COLUMNS_SHIFT));
}

/**
 * out[o..., r, c] = x[o..., r, c] for words of 4 bytes of any type, where x is contiguous along r and out along c.
 * Arguments: out, x, then the integers of {@link transposedCopyWords}. `outer` is the number of other axes.
 */
export function transposedCopyKernel(outer: number): KernelModule {
  return kernelModule((frame) => {
    const [item, position, index, row, column, rowCount, columnCount] = frame.locals("i32", 7);
    const [x, out, from, to, line, operandStep, outputStep, rows, columns] = frame.locals("i32", 9);
    const lines = frame.locals("v128", 4);
    const transposed = frame.locals("v128", 4);
    const sizes = Array.from({ length: Math.max(0, outer - 1) }, (_, i) => word(frame, 6 + i));
    const strides = (first: number): readonly Code[] => Array.from({ length: outer }, (_, i) => word(frame, first + i));
    const operands = [
      { pointer: out, outerStrides: strides(6 + sizes.length), bytes: wordBytes },
      { pointer: x, outerStrides: strides(6 + sizes.length + outer), bytes: wordBytes },
    ];

    /** Takes the tile's number along one axis off `position`; what is left is the number itself along the `last`. */
    const split = (size: Code, shift: number, first: Local, last: boolean): Code => {
      if (last) return set(first, i32.shl(get(position), i32.of(shift)));
      return [
        set(index, i32.shrU(i32.add(size, i32.of(2 ** shift - 1)), i32.of(shift))),
        set(first, i32.shl(i32.remU(get(position), get(index)), i32.of(shift))),
        set(position, i32.divU(get(position), get(index))),
      ];
    };
    /** How much of the axis the tile that begins at `first` holds. */
    const measure = (size: Code, shift: number, first: Local, count: Local): Code => {
      const left = i32.sub(size, get(first));
      return [set(index, i32.of(2 ** shift)), set(count, i32.select(i32.ltU(left, get(index)), left, get(index)))];
    };

    const fourByFour = [
      lines.map((l) => [set(l, v128.load(get(from))), advance(from, get(operandStep))]),
      transposeWords(lines, transposed),
      set(line, get(to)),
      transposed.map((t) => [v128.store(get(line), get(t)), advance(line, get(outputStep))]),
      advance(to, i32.of(16)),
    ];
    const fourByOne = [
      set(lines[0], v128.load(get(from))),
      advance(from, get(operandStep)),
      set(line, get(to)),
      [0, 1, 2, 3].map((l) => [v128.store32Lane(get(line), get(lines[0]), l), advance(line, get(outputStep))]),
      advance(to, i32.of(4)),
    ];
    const one = [i32.store(get(to), i32.load(get(from))), advance(from, get(operandStep)), advance(to, i32.of(4))];
    const begin = [set(from, get(x)), set(to, get(out))];
    const fourRows = [
      begin,
      inFours(columnCount, get(columns), fourByFour, fourByOne),
      advance(x, i32.of(16)),
      advance(out, i32.shl(get(outputStep), i32.of(2))),
    ];
    const oneRow = [
      begin,
      set(columnCount, get(columns)),
      countDown(columnCount, one),
      advance(x, i32.of(4)),
      advance(out, get(outputStep)),
    ];

    return [
      set(outputStep, wordBytes(word(frame, 4))),
      set(operandStep, wordBytes(word(frame, 5))),
      forItems(frame, item, [
        set(position, get(item)),
        split(word(frame, 3), COLUMNS_SHIFT, column, false),
        split(word(frame, 2), ROWS_SHIFT, row, outer === 0),
        measure(word(frame, 3), COLUMNS_SHIFT, column, columns),
        measure(word(frame, 2), ROWS_SHIFT, row, rows),
        set(out, i32.add(word(frame, 0), i32.add(i32.mul(get(row), get(outputStep)), wordBytes(get(column))))),
        set(x, i32.add(word(frame, 1), i32.add(wordBytes(get(row)), i32.mul(get(column), get(operandStep))))),
        moveToPosition(operands, sizes, position, index),
        inFours(rowCount, get(rows), fourRows, oneRow),
      ]),
    ];
  });
}
