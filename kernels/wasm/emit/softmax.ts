/** Softmax of rows. */
import { type Code, f32, f32x4, get, set, v128 } from "../asm/code.ts";
import type { KernelModule } from "../asm/module.ts";
import { expNonPositive, type MathScope } from "./math.ts";
import { maxOfLanes, rowKernel, rowSum } from "./rows.ts";

/**
 * e^(x - max) / sum of e^(x - max). Arguments: out, x; width, row stride of x. A row without a finite element, or
 * with a NaN, gives NaN.
 * @param madd allows relaxed multiply-add
 */
export function softmaxKernel(madd: boolean): KernelModule {
  return rowKernel(0, "width", (frame, row) => {
    const sum = rowSum(frame);
    const [largest, value, totals] = frame.locals("v128", 3);
    const total = frame.local("f32");
    const before: Code[] = [];
    const scope: MathScope = {
      madd,
      keep: (code) => {
        const local = frame.local("v128");
        before.push(set(local, code));
        return local;
      },
    };
    const power = expNonPositive(scope, f32x4.sub(get(value), get(largest)));
    const exponential = [before, set(value, power)];
    // A NaN is not the largest, but its own exponential brings it into the sum.
    const larger = (x: Code): Code => set(largest, f32x4.pmax(get(largest), x));
    return [
      set(largest, f32x4.of(-Infinity)),
      row.startX,
      row.walk([row.x], larger(v128.load(get(row.x))), larger(v128.load32Splat(get(row.x)))),
      set(largest, f32x4.splat(maxOfLanes(largest))),
      sum.clear,
      row.startX,
      row.startOut,
      row.walk(
        [row.x, row.out],
        [set(value, v128.load(get(row.x))), exponential, v128.store(get(row.out), get(value)), sum.addFour(get(value))],
        [
          set(value, v128.load32Zero(get(row.x))),
          exponential,
          v128.store32Lane(get(row.out), get(value), 0),
          sum.addOne(f32x4.extract(get(value), 0)),
        ],
      ),
      set(total, sum.total),
      set(totals, f32x4.splat(get(total))),
      row.startOut,
      row.walk(
        [row.out],
        v128.store(get(row.out), f32x4.div(v128.load(get(row.out)), get(totals))),
        f32.store(get(row.out), f32.div(f32.load(get(row.out)), get(total))),
      ),
    ];
  });
}
