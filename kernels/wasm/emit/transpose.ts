/** Copies whose operand is contiguous along another axis than the output: 4 x 4 blocks through registers. */
import { ceilDiv, type Dim, dimEquals, mul } from "../../../runtime/core/dim.ts";
import { type Code, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import type { CollapsedAxes } from "./axes.ts";
import { advance, countDown, forItems, word, wordBytes } from "./loops.ts";

/** Output rows in one grid item. */
const ROWS = 4;

/**
 * Finds the last outer axis along which the only operand is contiguous; nothing when the elementwise copy serves as
 * well. `axes` has the strides of the output, then of the operand.
 */
export function transposedAxis(axes: CollapsedAxes): number | undefined {
  const [, operand] = axes.strides;
  if (dimEquals(operand.inner, 1) || dimEquals(operand.inner, 0)) return undefined;
  const at = operand.outer.findLastIndex((s) => dimEquals(s, 1));
  return at < 0 ? undefined : at;
}
