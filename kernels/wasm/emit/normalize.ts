/** Normalizations of rows: layer_norm, rms_norm, l2_normalize. */
import { type Code, f32, f32x4, get, type Local, set, v128 } from "../asm/code.ts";
import type { KernelFrame, KernelModule } from "../asm/module.ts";
import { word } from "./loops.ts";
import { multiplyAdd } from "./math.ts";
import { type Row, type RowSum, rowKernel, rowSum } from "./rows.ts";

export interface LayerNormOptions {
  /** Added to the variance. */
  readonly eps: number;
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
}

const count = (row: Row): Code => f32.convertU32(get(row.width));

/** Adds squares of what `four` and `one` give. */
function squares(sum: RowSum, four: Local, one: Local): readonly [Code, Code] {
  return [sum.addFour(f32x4.mul(get(four), get(four))), sum.addOne(f32.mul(get(one), get(one)))];
}

/** Sum of x^2 into `sum`. */
function sumOfSquares(frame: KernelFrame, row: Row, sum: RowSum): Code {
  const four = frame.local("v128");
  const one = frame.local("f32");
  const [addFour, addOne] = squares(sum, four, one);
  return [
    sum.clear,
    row.startX,
    row.walk([row.x], [set(four, v128.load(get(row.x))), addFour], [set(one, f32.load(get(row.x))), addOne]),
  ];
}

const inverseRoot = (x: Code): Code => f32.div(f32.of(1), f32.sqrt(x));

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias. Arguments: out, x, weight, bias; width, row stride of x.
 * Two passes: the mean of what remains after subtracting a first mean corrects mean and variance, and stays a
 * separate number, so that a large offset of x costs no precision.
 */
export function layerNormKernel({ eps, madd }: LayerNormOptions): KernelModule {
  return rowKernel(2, "width", (frame, row) => {
    const sum = rowSum(frame);
    const sumSquares = rowSum(frame);
    const [mean, rest, scale] = frame.locals("f32", 3);
    const [means, rests, scales] = frame.locals("v128", 3);
    const four = frame.local("v128");
    const one = frame.local("f32");
    const [weight, bias] = frame.locals("i32", 2);
    const centredFour = set(four, f32x4.sub(v128.load(get(row.x)), get(means)));
    const centredOne = set(one, f32.sub(f32.load(get(row.x)), get(mean)));
    const [squareFour, squareOne] = squares(sumSquares, four, one);
    const resultFour = multiplyAdd(
      madd,
      f32x4.mul(f32x4.sub(get(four), get(rests)), get(scales)),
      v128.load(get(weight)),
      v128.load(get(bias)),
    );
    const resultOne = f32.add(
      f32.mul(f32.mul(f32.sub(get(one), get(rest)), get(scale)), f32.load(get(weight))),
      f32.load(get(bias)),
    );
    return [
      sum.clear,
      row.startX,
      row.walk([row.x], sum.addFour(v128.load(get(row.x))), sum.addOne(f32.load(get(row.x)))),
      set(mean, f32.div(sum.total, count(row))),
      set(means, f32x4.splat(get(mean))),
      sum.clear,
      sumSquares.clear,
      row.startX,
      row.walk(
        [row.x],
        [centredFour, sum.addFour(get(four)), squareFour],
        [centredOne, sum.addOne(get(one)), squareOne],
      ),
      set(rest, f32.div(sum.total, count(row))),
      set(scale, f32.sub(f32.div(sumSquares.total, count(row)), f32.mul(get(rest), get(rest)))),
      set(scale, inverseRoot(f32.add(get(scale), f32.of(eps)))),
      set(rests, f32x4.splat(get(rest))),
      set(scales, f32x4.splat(get(scale))),
      row.startX,
      row.startOut,
      set(weight, word(frame, 2)),
      set(bias, word(frame, 3)),
      row.walk(
        [row.x, row.out, weight, bias],
        [centredFour, v128.store(get(row.out), resultFour)],
        [centredOne, f32.store(get(row.out), resultOne)],
      ),
    ];
  });
}

/** x / sqrt(mean(x^2) + eps) * weight. Arguments: out, x, weight; width, row stride of x. @param eps added to the mean */
export function rmsNormKernel(eps: number): KernelModule {
  return rowKernel(1, "width", (frame, row) => {
    const sum = rowSum(frame);
    const scale = frame.local("f32");
    const scales = frame.local("v128");
    const weight = frame.local("i32");
    const resultFour = f32x4.mul(f32x4.mul(v128.load(get(row.x)), get(scales)), v128.load(get(weight)));
    const resultOne = f32.mul(f32.mul(f32.load(get(row.x)), get(scale)), f32.load(get(weight)));
    return [
      sumOfSquares(frame, row, sum),
      set(scale, inverseRoot(f32.add(f32.div(sum.total, count(row)), f32.of(eps)))),
      set(scales, f32x4.splat(get(scale))),
      row.startX,
      row.startOut,
      set(weight, word(frame, 2)),
      row.walk([row.x, row.out, weight], v128.store(get(row.out), resultFour), f32.store(get(row.out), resultOne)),
    ];
  });
}

/** x / sqrt(sum of x^2); NaN for a row of zeros. Arguments: out, x; width, row stride of x. */
export function l2NormalizeKernel(): KernelModule {
  return rowKernel(0, "width", (frame, row) => {
    const sum = rowSum(frame);
    const norm = frame.local("f32");
    const norms = frame.local("v128");
    return [
      sumOfSquares(frame, row, sum),
      set(norm, f32.sqrt(sum.total)),
      set(norms, f32x4.splat(get(norm))),
      row.startX,
      row.startOut,
      row.walk(
        [row.x, row.out],
        v128.store(get(row.out), f32x4.div(v128.load(get(row.x)), get(norms))),
        f32.store(get(row.out), f32.div(f32.load(get(row.x)), get(norm))),
      ),
    ];
  });
}
