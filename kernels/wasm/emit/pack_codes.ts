/** Weights as codes of -127..127 in the panels that products of integers read, with a scale and a sum for each channel. */

import { type Code, f32, f32x4, get, i8x16, i16x8, i32, i32x4, set, v128 } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import { hoistConstants } from "../asm/hoist.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, copyRun, countDown, forItems, inFours, repeatWhile, word, wordBytes } from "./loops.ts";
import { codeSteps, LARGEST_CODE, LEAST_RANGE, ROUND, ROUND_BITS } from "./quantize_rows.ts";
import { smaller } from "./size.ts";
import { type IntegerForm, stepBytes } from "./tile.ts";

export interface PackCodesOptions {
  readonly form: IntegerForm;
  /** Columns of a panel: 4, 8, 12 or 16. */
  readonly columns: number;
  readonly n: number;
  readonly k: number;
}

/** Where the parts of packed weights lie, in bytes: panels, then scales, f32 [N], then sums of codes, i32 [N]. */
export interface PackedCodes {
  readonly panelBytes: number;
  readonly scales: number;
  readonly sums: number;
  readonly bytes: number;
}

export function packedCodes({ form, columns, n, k }: PackCodesOptions): PackedCodes {
  const panelBytes = codeSteps(form, k) * columns * stepBytes({ integers: form });
  const scales = Math.ceil(n / columns) * panelBytes;
  return { panelBytes, scales, sums: scales + 4 * n, bytes: scales + 8 * n };
}

/** Numbers that become codes at once. */
const AT_ONCE = 16;

/**
 * Arguments: output, w [N, K], with `scaled` [N + 1, K], whose last row is copied behind all else. One grid item is a panel;
 * columns and numbers that do not exist are 0.
 */
export function packCodesKernel(options: PackCodesOptions, scaled: boolean): KernelModule {
  const { form, columns, n, k } = options;
  const { panelBytes, scales, sums, bytes: behind } = packedCodes(options);
  const step = stepBytes({ integers: form });
  const perStep = form === "dot" ? 4 : 2;
  return kernelModule((frame) => {
    const [item, panel, column, left, w, at, counter] = frame.locals("i32", 7);
    const [sum, code, end, channel] = frame.locals("i32", 4);
    const [largest, inverses, all] = frame.locals("v128", 3);
    const quads = frame.locals("v128", 4);
    const bytes = frame.local("v128");
    const [most, inverse] = frame.locals("f32", 2);
    const row = set(w, i32.add(word(frame, 1), wordBytes(i32.mul(get(channel), i32.of(k)))));

    const scale = [
      set(largest, f32x4.of(0)),
      set(most, f32.of(LEAST_RANGE)),
      row,
      inFours(
        counter,
        i32.of(k),
        [set(largest, f32x4.pmax(get(largest), f32x4.abs(v128.load(get(w))))), advance(w, i32.of(16))],
        [set(most, f32.max(get(most), f32.abs(f32.load(get(w))))), advance(w, i32.of(4))],
      ),
      [0, 1, 2, 3].map((lane) => set(most, f32.max(get(most), f32x4.extract(get(largest), lane)))),
      set(inverse, f32.div(f32.of(LARGEST_CODE), get(most))),
      set(inverses, f32x4.splat(get(inverse))),
      f32.store(channelWord(scales), f32.div(get(most), f32.of(LARGEST_CODE))),
    ];

    const quad = (v: number): Code =>
      i32x4.sub(f32x4.add(f32x4.mul(v128.load(get(w), 16 * v), get(inverses)), f32x4.of(ROUND)), i32x4.of(ROUND_BITS));
    const narrow = (v: number): Code => i16x8.narrowI32(get(quads[v]), get(quads[v + 1]));
    const stride = step * columns;
    const sixteen = [
      quads.map((q, v) => set(q, quad(v))),
      quads.map((q) => set(all, i32x4.add(get(all), get(q)))),
      set(bytes, i8x16.narrowI16(narrow(0), narrow(2))),
      Array.from({ length: AT_ONCE / perStep }, (_, i) =>
        form === "dot"
          ? v128.store32Lane(get(at), get(bytes), i, i * stride)
          : v128.store16Lane(get(at), get(bytes), i, i * stride),
      ),
      advance(w, i32.of(4 * AT_ONCE)),
      advance(at, i32.of((AT_ONCE / perStep) * stride)),
    ];
    const inStep = i32.and(get(counter), i32.of(perStep - 1));
    const rest = k % AT_ONCE;
    // Counted upwards from a whole step.
    const single = [
      set(
        code,
        i32.sub(
          i32.reinterpretF32(f32.add(f32.mul(f32.load(get(w)), get(inverse)), f32.of(ROUND))),
          i32.of(ROUND_BITS),
        ),
      ),
      set(sum, i32.add(get(sum), get(code))),
      i32.store8(
        i32.add(
          get(at),
          i32.add(inStep, i32.mul(i32.shrU(get(counter), i32.of(perStep === 4 ? 2 : 1)), i32.of(stride))),
        ),
        get(code),
      ),
      advance(w, i32.of(4)),
      advance(counter, i32.of(1)),
    ];
    const codes = [
      row,
      set(all, i32x4.of(0)),
      set(sum, i32.of(0)),
      set(at, i32.add(get(panel), i32.mul(get(column), i32.of(step)))),
      set(counter, i32.of(Math.floor(k / AT_ONCE))),
      countDown(counter, sixteen),
      rest === 0 ? [] : [set(counter, i32.of(0)), repeatWhile(i32.ltU(get(counter), i32.of(rest)), single)],
      [0, 1, 2, 3].map((lane) => set(sum, i32.add(get(sum), i32x4.extract(get(all), lane)))),
      i32.store(channelWord(sums), get(sum)),
    ];

    function channelWord(part: number): Code {
      return i32.add(i32.add(word(frame, 0), i32.of(part)), wordBytes(get(channel)));
    }

    const clear = [
      set(at, get(panel)),
      set(end, i32.add(get(panel), i32.of(panelBytes))),
      repeatWhile(i32.ne(get(at), get(end)), [i32.store(get(at), i32.of(0)), advance(at, i32.of(4))]),
    ];
    const body = [
      set(panel, i32.add(word(frame, 0), i32.mul(get(item), i32.of(panelBytes)))),
      clear,
      set(channel, i32.mul(get(item), i32.of(columns))),
      set(left, smaller(i32.of(columns), i32.sub(i32.of(n), get(channel)))),
      set(column, i32.of(0)),
      countDown(left, [scale, codes, advance(channel, i32.of(1)), advance(column, i32.of(1))]),
    ];
    const hoisted = hoistConstants(frame, body);
    const factors = [
      set(w, i32.add(word(frame, 1), i32.of(4 * n * k))),
      set(at, i32.add(word(frame, 0), i32.of(behind))),
      copyRun(counter, i32.of(k), w, at),
    ];
    return [hoisted.setup, scaled ? when(i32.eqz(get(frame.begin)), factors) : [], forItems(frame, item, hoisted.code)];
  });
}
