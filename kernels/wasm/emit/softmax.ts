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
    const [largest, value, sums] = frame.locals("v128", 3);
    const before: Code[] = [];
    const scope: MathScope = {
      madd,
      keep: (code) => {
        const local = frame.local("v128");
        before.push(set(local, code));
        return local;
      },
    };
    const power = expNonPositive(scope, f32x4.sub(get(value), get(largest)), 0);
    const exponential = [before, set(value, power)];
    // A NaN is not the largest, but its own exponential brings it into the sum.
    const larger = (x: Code): Code => set(largest, f32x4.pmax(get(largest), x));
    const divide = f32x4.div(v128.load(get(row.out)), get(sums));
    return [
      set(largest, f32x4.of(-Infinity)),
      row.rewind,
      row.pass(larger(v128.load(get(row.x))), larger(v128.load32Splat(get(row.x)))),
      set(largest, f32x4.splat(maxOfLanes(largest))),
      sum.clear,
      row.rewind,
      row.pass(
        [set(value, v128.load(get(row.x))), exponential, v128.store(get(row.out), get(value)), sum.addFour(get(value))],
        [
          set(value, v128.load32Splat(get(row.x))),
          exponential,
          v128.store32Lane(get(row.out), get(value), 0),
          sum.addOne(f32x4.extract(get(value), 0)),
        ],
        [row.out],
      ),
      set(sums, f32x4.splat(sum.total)),
      row.rewind,
      row.pass(
        v128.store(get(row.out), divide),
        f32.store(get(row.out), f32.div(f32.load(get(row.out)), f32x4.extract(get(sums), 0))),
        [row.out],
      ),
    ];
  });
}
