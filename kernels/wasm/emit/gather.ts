/** Rows by index: embedding tables, pooled tokens. */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { get, i32, set } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { widenRun } from "./half.ts";
import { copyRun, forItems, word, wordBytes } from "./loops.ts";

/**
 * out[i, :] = x[i * entryStride + indices[i] * rowStride + (0..width-1)], one grid item per index: words of 4 bytes of
 * any type, or with `half` numbers of two bytes that become f32. Arguments: out (dense), x, indices (dense i32); rows, width, entryStride, rowStride, in elements. `gather`
 * is entryStride 0; `take_row` of [batch, tokens, width] has the batch's stride there and `tokens` rows. An index
 * outside of 0..rows-1 reads the last row: callers validate, and the kernel stays inside its operand whatever comes.
 */
export function gatherKernel(half?: HalfDType): KernelModule {
  return kernelModule((frame) => {
    const [item, index, rows, width, from, to, counter] = frame.locals("i32", 7);
    const last = i32.sub(get(rows), i32.of(1));
    const along = i32.add(i32.mul(get(item), word(frame, 5)), i32.mul(get(index), word(frame, 6)));
    return [
      set(rows, word(frame, 3)),
      set(width, word(frame, 4)),
      forItems(frame, item, [
        set(index, i32.load(i32.add(word(frame, 2), wordBytes(get(item))))),
        set(index, i32.select(i32.ltU(get(index), get(rows)), get(index), last)),
        set(from, i32.add(word(frame, 1), i32.shl(along, i32.of(half === undefined ? 2 : 1)))),
        set(to, i32.add(word(frame, 0), wordBytes(i32.mul(get(item), get(width))))),
        half === undefined
          ? copyRun(counter, get(width), from, to)
          : widenRun(frame, half, counter, get(width), from, to),
      ]),
    ];
  });
}
