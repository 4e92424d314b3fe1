/** Elementwise kernels: out[i...] = expr(operands[i...]) over strided operands, any number of collapsed outer axes. */

import {
  type CollapsedAxes,
  type InnerAccess,
  innerAccess,
  requireContiguousOutput,
} from "../../../runtime/abi/claims/axes.ts";
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { type Code, f32x4, get, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { hoistConstants } from "../asm/hoist.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { remembered } from "../asm/remember.ts";
import { lowerExpr } from "./expr.ts";
import { advance, countDown, forItems, inFours, word, wordBytes } from "./loops.ts";
import { moveToPosition, type Strided } from "./position.ts";

/** Element type of an operand; integers are converted to f32 (exact up to 2^24). */
export type OperandType = "f32" | "i32" | "u8";

export interface ElementwiseOperand {
  readonly access: InnerAccess;
  readonly dtype: OperandType;
}

export interface ElementwiseOptions {
  /** Its inputs are the operands, by position. */
  readonly expr: ScalarExpr;
  readonly operands: readonly ElementwiseOperand[];
  /** Number of collapsed outer axes. */
  readonly outer: number;
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
  /** The innermost axis is known to be whole vectors of 4. */
  readonly inFours?: boolean;
}

/** Elements of the innermost axis in one grid item. */
const BLOCK_SHIFT = 10;
const BLOCK = 2 ** BLOCK_SHIFT;

/** Options for collapsed axes whose strides are those of the output, then of the operands. */
export function elementwiseOptions(
  expr: ScalarExpr,
  dtypes: readonly OperandType[],
  axes: CollapsedAxes,
  madd: boolean,
): ElementwiseOptions {
  requireContiguousOutput(axes);
  const operands = dtypes.map((dtype, k) => ({ access: innerAccess(axes.strides[k + 1].inner), dtype }));
  return { expr, operands, outer: axes.outer.length, madd };
}

/** The integer arguments for the same axes; they follow the pointers. */
export function elementwiseWords(axes: CollapsedAxes): readonly Dim[] {
  const [output, ...operands] = axes.strides;
  return [
    axes.inner,
    ...axes.outer.slice(1),
    ...output.outer,
    ...operands.flatMap((s) => (innerAccess(s.inner) === "strided" ? [...s.outer, s.inner] : s.outer)),
  ];
}

/** Grid items: blocks of 1024 elements of the innermost axis, for each position of the outer axes. */
export function elementwiseGrid(axes: CollapsedAxes): Dim {
  return mul(...axes.outer, ceilDiv(axes.inner, BLOCK));
}

/** An operand, or the output, on its way along the innermost axis. */
interface Cursor extends Strided {
  readonly dtype: OperandType;
  readonly access: InnerAccess;
  /** Argument words. */
  readonly base: Code;
  readonly innerStride: Code;
}

const bytesOf = (dtype: OperandType, count: Code): Code => (dtype === "u8" ? count : wordBytes(count));

/** Points at element `start` of the innermost axis, at the outer axes' first position. */
function placeAlong({ pointer, dtype, access, base, innerStride }: Cursor, start: Local): Code {
  const moved = access === "contiguous" ? get(start) : i32.mul(get(start), innerStride);
  return set(pointer, access === "scalar" ? base : i32.add(base, bytesOf(dtype, moved)));
}

/** Loads the next `count` elements (4, or 1 into lane 0) and moves on. */
function loadNext({ pointer, dtype, access, innerStride }: Cursor, value: Local, count: 1 | 4): Code {
  const at = get(pointer);
  const float = dtype === "f32" ? [] : set(value, f32x4.convertI32(get(value)));
  const single = dtype === "u8" ? i32x4.splat(i32.load8u(at)) : v128.load32Zero(at);
  if (access === "contiguous") {
    const four = dtype === "u8" ? i32x4.extendLowU8(v128.load32Zero(at)) : v128.load(at);
    return [set(value, count === 4 ? four : single), float, advance(pointer, bytesOf(dtype, i32.of(count)))];
  }
  const next = advance(pointer, bytesOf(dtype, innerStride));
  const others = [1, 2, 3].slice(0, count - 1).map((lane): Code => {
    const element = dtype === "u8" ? i32x4.replace(get(value), lane, i32.load8u(at)) : undefined;
    return [set(value, element ?? v128.load32Lane(at, get(value), lane)), next];
  });
  return [set(value, single), next, others, float];
}

/** One element in every lane. */
function loadEverywhere({ pointer, dtype }: Cursor, value: Local): Code {
  if (dtype === "u8") return set(value, f32x4.convertI32(i32x4.splat(i32.load8u(get(pointer)))));
  const lanes = v128.load32Splat(get(pointer));
  return set(value, dtype === "i32" ? f32x4.convertI32(lanes) : lanes);
}

function cursorsOf(
  frame: KernelFrame,
  { operands, outer }: ElementwiseOptions,
  firstStride: number,
): readonly Cursor[] {
  let at = firstStride;
  const next = (): Code => word(frame, at++);
  const all: readonly ElementwiseOperand[] = [{ access: "contiguous", dtype: "f32" }, ...operands];
  return all.map(({ access, dtype }, k) => ({
    pointer: frame.local("i32"),
    dtype,
    access,
    bytes: (count: Code) => bytesOf(dtype, count),
    base: word(frame, k),
    outerStrides: Array.from({ length: outer }, next),
    innerStride: access === "strided" ? next() : i32.of(0),
  }));
}

/**
 * Emits the kernel. Arguments: pointers to the output and to each operand, then the integers of
 * {@link elementwiseWords}: size of the innermost axis; sizes of the outer axes but the first; outer strides of the
 * output; for each operand its outer strides and, when strided, its inner stride. Sizes and strides in elements. The
 * output is f32 and contiguous along the innermost axis.
 */
export const elementwiseKernel: (options: ElementwiseOptions) => KernelModule = remembered((options) => {
  const { expr, operands, outer, madd } = options;
  return kernelModule((frame) => {
    const [item, position, start, index, blocks, block, count, counter] = frame.locals("i32", 8);
    const values = frame.locals("v128", operands.length);
    const inner = word(frame, 1 + operands.length);
    const firstSize = 2 + operands.length;
    const sizes = Array.from({ length: Math.max(0, outer - 1) }, (_, i) => word(frame, firstSize + i));
    const [output, ...cursors] = cursorsOf(frame, options, firstSize + sizes.length);
    const lowered = lowerExpr(frame, expr, values, madd);
    const { setup, code } = hoistConstants(frame, lowered.code);

    const step = (elements: 1 | 4): Code => [
      cursors.map((c, k) => (c.access === "scalar" ? [] : loadNext(c, values[k], elements))),
      code,
      elements === 4
        ? v128.store(get(output.pointer), get(lowered.result))
        : v128.store32Lane(get(output.pointer), get(lowered.result), 0),
      advance(output.pointer, i32.of(4 * elements)),
    ];

    const split = [set(position, i32.divU(get(item), get(blocks))), set(start, i32.remU(get(item), get(blocks)))];
    return [
      setup,
      set(block, i32.of(BLOCK)),
      outer === 0 ? [] : set(blocks, i32.shrU(i32.add(inner, i32.of(BLOCK - 1)), i32.of(BLOCK_SHIFT))),
      forItems(frame, item, [
        outer === 0 ? set(start, get(item)) : split,
        set(start, i32.shl(get(start), i32.of(BLOCK_SHIFT))),
        set(count, i32.sub(inner, get(start))),
        set(count, i32.select(i32.ltS(get(count), get(block)), get(count), get(block))),
        [output, ...cursors].map((c) => placeAlong(c, start)),
        moveToPosition([output, ...cursors], sizes, position, index),
        cursors.map((c, k) => (c.access === "scalar" ? loadEverywhere(c, values[k]) : [])),
        options.inFours === true
          ? [set(counter, i32.shrU(get(count), i32.of(2))), countDown(counter, step(4))]
          : inFours(counter, get(count), step(4), step(1)),
      ]),
    ];
  });
});

/** Options that copy words of 4 bytes, i32 among them, bit by bit. */
export function copyOptions(axes: CollapsedAxes): ElementwiseOptions {
  return elementwiseOptions({ input: 0 }, ["f32"], axes, false);
}
