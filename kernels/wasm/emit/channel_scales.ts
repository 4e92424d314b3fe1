/** Powers of two that even out the columns of weights and of what they are multiplied by. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { type Code, f32, f32x4, get, i32, set, v128 } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, countDown, forItems, word, wordBytes } from "./loops.ts";
import { smaller } from "./size.ts";

/** Columns of a grid item: a line of the cache. */
const COLUMNS = 16;
/** 2^0. */
const BIAS = 127;

/** Grid items for `k` columns. */
export const channelScalesGrid = (k: Dim): Dim => ceilDiv(k, COLUMNS);

/** Arguments: output [K], w [N, K], magnitudes [K], n, k; all dense. The meaning is that of `evaluate/quantize.ts`. */
export function channelScalesKernel(): KernelModule {
  return kernelModule((frame) => {
    const [item, first, width, k, w, out, left, magnitude, exponent] = frame.locals("i32", 9);
    const largest = frame.locals("v128", COLUMNS / 4);
    const most = frame.local("f32");
    const rows = (body: Code): Code => [
      set(w, i32.add(word(frame, 1), wordBytes(get(first)))),
      set(left, word(frame, 3)),
      countDown(left, [body, advance(w, wordBytes(get(k)))]),
    ];
    const whole = [
      largest.map((l) => set(l, f32x4.of(0))),
      rows(largest.map((l, v) => set(l, f32x4.pmax(get(l), f32x4.abs(v128.load(get(w), 16 * v)))))),
      largest.map((l, v) => v128.store(get(out), get(l), 16 * v)),
    ];
    const at = frame.local("i32");
    const each = (body: Code): Code => [set(at, get(width)), countDown(at, [body, advance(out, i32.of(4))])];
    const partial = each([
      set(most, f32.of(0)),
      rows(set(most, f32.max(get(most), f32.abs(f32.load(get(w)))))),
      f32.store(get(out), get(most)),
      advance(first, i32.of(1)),
    ]);
    const place = [
      set(first, i32.mul(get(item), i32.of(COLUMNS))),
      set(out, i32.add(word(frame, 0), wordBytes(get(first)))),
    ];
    const ratio = i32.reinterpretF32(f32.div(f32.load(get(magnitude)), f32.load(get(out))));
    const half = i32.add(i32.shrS(i32.sub(get(exponent), i32.of(BIAS)), i32.of(1)), i32.of(BIAS));
    // 0 for numbers that are 0 or nearly, 255 for those that are none.
    const usable = i32.ltU(i32.sub(get(exponent), i32.of(1)), i32.of(254));
    return [
      set(k, word(frame, 4)),
      forItems(frame, item, [
        place,
        set(width, smaller(i32.of(COLUMNS), i32.sub(get(k), get(first)))),
        when(i32.eq(get(width), i32.of(COLUMNS)), whole, partial),
        place,
        set(magnitude, i32.add(word(frame, 2), wordBytes(get(first)))),
        each([
          set(exponent, i32.and(i32.shrU(ratio, i32.of(23)), i32.of(255))),
          i32.store(get(out), i32.shl(i32.select(usable, half, i32.of(BIAS)), i32.of(23))),
          advance(magnitude, i32.of(4)),
        ]),
      ]),
    ];
  });
}
