/** Dense f32 rounded to f16 or bf16: as two bytes each, or as f32 again. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { get, i32, set } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { narrowRun, roundRun } from "./half.ts";
import { forItems, word, wordBytes } from "./loops.ts";
import { smaller } from "./size.ts";

/** Elements of a grid item: even, so that no word of two halves belongs to two items. */
const BLOCK = 4096;

export interface StoredOptions {
  readonly dtype: HalfDType;
  /** Writes f32 instead of two bytes for each. */
  readonly asF32: boolean;
}

/** Grid items for `count` elements. */
export function storedGrid(count: Dim): Dim {
  return ceilDiv(count, BLOCK);
}

/** Arguments: output, x, number of elements. */
export function storedKernel({ dtype, asF32 }: StoredOptions): KernelModule {
  return kernelModule((frame) => {
    const [item, first, count, from, to, counter] = frame.locals("i32", 6);
    const outputBytes = asF32 ? wordBytes(get(first)) : i32.shl(get(first), i32.of(1));
    const run = asF32 ? roundRun : narrowRun;
    return forItems(frame, item, [
      set(first, i32.mul(get(item), i32.of(BLOCK))),
      set(count, smaller(i32.of(BLOCK), i32.sub(word(frame, 2), get(first)))),
      set(to, i32.add(word(frame, 0), outputBytes)),
      set(from, i32.add(word(frame, 1), wordBytes(get(first)))),
      run(frame, dtype, counter, get(count), from, to),
    ]);
  });
}
