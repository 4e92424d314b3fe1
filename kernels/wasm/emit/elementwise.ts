/** Elementwise kernels: out[i...] = expr(operands[i...]) over strided operands, any number of collapsed outer axes. */
import { ceilDiv, type Dim, product } from "../../../runtime/core/dim.ts";
import { type Code, f32x4, get, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { type CollapsedAxes, type InnerAccess, innerAccess, requireContiguousOutput } from "./axes.ts";
import { lowerExpr, type ScalarExpr } from "./expr.ts";
import { advance, forItems, inFours, word, wordBytes } from "./loops.ts";

/** Element type of an operand; integers are converted to f32 (exact below 2^24). */
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
}

/** Elements of the innermost axis in one grid item. */
const BLOCK_SHIFT = 10;
const BLOCK = 1 << BLOCK_SHIFT;

interface Walker {
  readonly operand: ElementwiseOperand;
  readonly pointer: Local;
  /** Four elements, or one in lane 0. */
  readonly value: Local;
  /** Bytes from one element to the next, of strided operands. */
  readonly step: Local;
}

const elements = (dtype: OperandType, count: Code): Code => (dtype === "u8" ? count : wordBytes(count));

const toFloat = (dtype: OperandType, lanes: Code): Code => (dtype === "f32" ? lanes : f32x4.convertI32(lanes));

/** One element in every lane. */
function loadOne({ operand: { dtype }, pointer }: Walker): Code {
  const lanes = dtype === "u8" ? i32x4.splat(i32.load8u(get(pointer))) : v128.load32Splat(get(pointer));
  return toFloat(dtype, lanes);
}

function loadFour({ operand: { access, dtype }, pointer, value, step }: Walker): Code {
  if (access === "contiguous") {
    const lanes = dtype === "u8" ? i32x4.extendLowU8(v128.load32Zero(get(pointer))) : v128.load(get(pointer));
    return [set(value, toFloat(dtype, lanes)), advance(pointer, elements(dtype, i32.of(4)))];
  }
  const next = advance(pointer, get(step));
  const lanes = [1, 2, 3].map((lane): Code => {
    const one = dtype === "u8" ? i32x4.replace(get(value), lane, i32.load8u(get(pointer))) : undefined;
    return [set(value, one ?? v128.load32Lane(get(pointer), get(value), lane)), next];
  });
  const first = dtype === "u8" ? i32x4.splat(i32.load8u(get(pointer))) : v128.load32Zero(get(pointer));
  return [set(value, first), next, lanes, dtype === "f32" ? [] : set(value, toFloat(dtype, get(value)))];
}

/** Sets all pointers to the first element of a grid item; `rest` holds the item's number among the outer items. */
function placePointers(frame: KernelFrame, outer: number, rest: Local, start: Local, out: Local, all: readonly Walker[]) {
  const index = frame.local("i32");
  const sizes = 2 + all.length;
  const strides = sizes + Math.max(0, outer - 1);
  const perOperand = outer + 1;
  const moves: Code[] = [
    set(out, i32.add(word(frame, 0), wordBytes(get(start)))),
    all.map((w, k) => {
      const { access, dtype } = w.operand;
      const innerStep = word(frame, strides + (k + 1) * perOperand - 1 + outer);
      return [
        set(w.pointer, word(frame, 1 + k)),
        access === "strided" ? set(w.step, elements(dtype, innerStep)) : [],
        access === "contiguous" ? advance(w.pointer, elements(dtype, get(start))) : [],
        access === "strided" ? advance(w.pointer, i32.mul(get(start), get(w.step))) : [],
      ];
    }),
  ];
  return { index, sizes, strides, moves };
}
