/** Reductions of rows to one number. */

import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { type Code, f32, f32x4, get, set, v128 } from "../asm/code.ts";
import type { KernelModule } from "../asm/module.ts";
import { lowerExpr } from "./expr.ts";
import { maxOfLanes, rowKernel, rowSum } from "./rows.ts";

export type Reduction = "sum" | "mean" | "max";

export interface ReduceOptions {
  readonly reduction: Reduction;
  /** Applied to every element first; its one input is the element. */
  readonly expr: ScalarExpr;
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
}

/**
 * out[row] = reduction of expr(x[row, :]). Arguments: out, x; width, row stride of x. Sums are of f32 in a fixed
 * order; a maximum is NaN when any element is.
 */
export function reduceKernel({ reduction, expr, madd }: ReduceOptions): KernelModule {
  return rowKernel(0, "one", (frame, row) => {
    const value = frame.local("v128");
    const { code, result } = lowerExpr(frame, expr, [value], madd);
    const elements = (load: Code, use: Code): Code => [set(value, load), code, use];
    const walk = (four: Code, loadOne: Code, one: Code): Code => [
      row.startX,
      row.startOut,
      row.walk([row.x], elements(v128.load(get(row.x)), four), elements(loadOne, one)),
    ];
    if (reduction === "max") {
      const largest = frame.local("v128");
      const larger = set(largest, f32x4.max(get(largest), get(result)));
      return [
        set(largest, f32x4.of(-Infinity)),
        walk(larger, v128.load32Splat(get(row.x)), larger),
        f32.store(get(row.out), maxOfLanes(largest)),
      ];
    }
    const sum = rowSum(frame);
    const mean = f32.div(sum.total, f32.convertU32(get(row.width)));
    const addOne = sum.addOne(f32x4.extract(get(result), 0));
    return [
      sum.clear,
      walk(sum.addFour(get(result)), v128.load32Zero(get(row.x)), addOne),
      f32.store(get(row.out), reduction === "mean" ? mean : sum.total),
    ];
  });
}
