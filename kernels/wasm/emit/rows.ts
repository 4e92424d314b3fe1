/** What kernels over the last axis share: one grid item is a row, read with a stride and written densely. */
import { type Code, f32, f32x4, get, i32, type Local, set } from "../asm/code.ts";
import { hoistConstants } from "../asm/hoist.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, forItems, inFours, word, wordBytes } from "./loops.ts";

/** Four accumulators taken in turn (short rounding chains, in a fixed order) and one for the last elements. */
export interface RowSum {
  readonly clear: Code;
  readonly addFour: (value: Code) => Code;
  readonly addOne: (value: Code) => Code;
  /** An f32. */
  readonly total: Code;
}

const lanes = (x: Local, combine: (a: Code, b: Code) => Code): Code => {
  const [a, b, c, d] = [0, 1, 2, 3].map((lane) => f32x4.extract(get(x), lane));
  return combine(combine(a, b), combine(c, d));
};

/** Folds the four lanes in pairs. */
export const maxOfLanes = (x: Local): Code => lanes(x, f32.max);

/** Adds the four lanes in pairs. */
export const sumOfLanes = (x: Local): Code => lanes(x, f32.add);

export function rowSum(frame: KernelFrame): RowSum {
  const [a, b, c, d] = frame.locals("v128", 4);
  const one = frame.local("f32");
  const all = f32x4.add(f32x4.add(get(a), get(b)), f32x4.add(get(c), get(d)));
  return {
    clear: [[a, b, c, d].map((x) => set(x, f32x4.of(0))), set(one, f32.of(0))],
    // The values that the turn reads are on the stack before any accumulator changes.
    addFour: (value) => [get(b), get(c), get(d), f32x4.add(get(a), value), [d, c, b, a].map((x) => set(x, []))],
    addOne: (value) => set(one, f32.add(get(one), value)),
    total: [set(a, all), f32.add(sumOfLanes(a), get(one))],
  };
}

/** A row under work. */
export interface Row {
  readonly width: Local;
  /** Walking addresses. */
  readonly x: Local;
  readonly out: Local;
  /** Sets x, or out, to the row's first element. */
  readonly startX: Code;
  readonly startOut: Code;
  /** Runs `four` for each 4 elements of the row and `one` for each that is left; the pointers move along. */
  readonly walk: (pointers: readonly Local[], four: Code, one: Code) => Code;
}

/**
 * A kernel over rows. Arguments: pointer to the dense output, pointer to x, `pointers` more, then two integers: width
 * and stride of x's rows, in elements. `outWidth` is what a row of output holds.
 */
export function rowKernel(
  pointers: number,
  outWidth: "width" | "one",
  write: (frame: KernelFrame, row: Row) => Code,
): KernelModule {
  return kernelModule((frame) => {
    const [item, width, x, out, counter] = frame.locals("i32", 5);
    const stride = word(frame, 3 + pointers);
    const outStride = outWidth === "width" ? get(width) : i32.of(1);
    const walk: Row["walk"] = (pointers, four, one) => {
      const move = (bytes: number): Code => pointers.map((p) => advance(p, i32.of(bytes)));
      return inFours(counter, get(width), [four, move(16)], [one, move(4)]);
    };
    const startX = set(x, i32.add(word(frame, 1), wordBytes(i32.mul(get(item), stride))));
    const startOut = set(out, i32.add(word(frame, 0), wordBytes(i32.mul(get(item), outStride))));
    const { setup, code } = hoistConstants(frame, write(frame, { width, x, out, startX, startOut, walk }));
    return [setup, set(width, word(frame, 2 + pointers)), forItems(frame, item, code)];
  });
}
