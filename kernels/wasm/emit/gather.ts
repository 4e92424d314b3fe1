/** Rows by index: embedding tables, pooled tokens. */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, get, i32, set } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { widenRun } from "./half.ts";
import { copyBytes, copyRun, type ElementBytes, forItems, word, wordBytes } from "./loops.ts";

/**
 * out[i, :] = x[i * entryStride + indices[i] * rowStride + (0..width-1)], one grid item per index: elements of so many
 * bytes of any type, or numbers of a two-byte type that become f32. Arguments: out (dense), x, indices (dense i32); rows, width, entryStride, rowStride, in elements. `gather`
 * is entryStride 0; `take_row` of [batch, tokens, width] has the batch's stride there and `tokens` rows. An index
 * outside of 0..rows-1 reads the last row: callers validate, and the kernel stays inside its operand whatever comes.
 */
export function gatherKernel(elements: ElementBytes | HalfDType): KernelModule {
  const shifted = (count: Code, shift: number): Code => (shift === 0 ? count : i32.shl(count, i32.of(shift)));
  const [read, written] = elements === 1 ? [0, 0] : elements === 4 ? [2, 2] : [1, 2];
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
        set(from, i32.add(word(frame, 1), shifted(along, read))),
        set(to, i32.add(word(frame, 0), shifted(i32.mul(get(item), get(width)), written))),
        typeof elements === "string"
          ? widenRun(frame, elements, counter, get(width), from, to)
          : (elements === 4 ? copyRun : copyBytes)(counter, get(width), from, to),
      ]),
    ];
  });
}
