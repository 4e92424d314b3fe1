/** Rows of f32 as codes of 0..127 with a scale and a zero point each: what products of integers read. */

import { type Code, f32, f32x4, get, i8x16, i16x8, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import { hoistConstants } from "../asm/hoist.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, countDown, forItems, inFours, word, wordBytes } from "./loops.ts";
import type { IntegerForm } from "./tile.ts";

/** Adding it to an f32 below 2^22 leaves the nearest integer, ties to even, above {@link ROUND_BITS} in its bits. */
export const ROUND: number = 1.5 * 2 ** 23;
export const ROUND_BITS = 0x4b400000;
export const LARGEST_CODE = 127;
/** Rows with a smaller range count as having this one. */
export const LEAST_RANGE: number = 2 ** -100;

export interface QuantizeOptions {
  readonly form: IntegerForm;
  /** Numbers of a row. */
  readonly k: number;
  /** They are multiplied by factors before. */
  readonly scaled: boolean;
}

/** Steps of K that a product of codes takes. */
export const codeSteps = (form: IntegerForm, k: number): number => Math.ceil(k / (form === "dot" ? 4 : 2));

/** Codes of a vector. */
const perVector = (form: IntegerForm): number => (form === "dot" ? 16 : 8);

/** 32-bit words of a row of codes: whole vectors, the last filled up with 0. */
export const codeWords = ({ form, k }: Pick<QuantizeOptions, "form" | "k">): number =>
  4 * Math.ceil(k / perVector(form));

/** Bytes of what says what a row's codes stand for: the scale, f32, and the zero point, i32. */
export const ROW_PARAMETER_BYTES = 8;

/** Names of the argument words, in order; `row_stride` in elements. */
export const quantizeArguments = ({ scaled }: Pick<QuantizeOptions, "scaled">): readonly string[] => [
  ...["codes", "parameters", "x"],
  ...(scaled ? ["factors"] : []),
  "row_stride",
];

/** One grid item is a row. See {@link quantizeArguments}; the meaning is that of `evaluate/quantize.ts`, to the bit. */
export function quantizeRowsKernel(options: QuantizeOptions): KernelModule {
  const { form, k, scaled } = options;
  const words = quantizeArguments(options);
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, words.indexOf(name));
    const [item, x, factors, codes, parameters, counter] = frame.locals("i32", 6);
    const [low, high, missing, four, offsets, inverses] = frame.locals("v128", 6);
    const [least, most, one, range, inverse] = frame.locals("f32", 5);
    const offset = frame.local("i32");

    const vectorAt = (v: number): Code => {
      const values = v128.load(get(x), 16 * v);
      return scaled ? f32x4.mul(values, v128.load(get(factors), 16 * v)) : values;
    };
    const single = scaled ? f32.mul(f32.load(get(x)), f32.load(get(factors))) : f32.load(get(x));
    const start = [
      set(x, i32.add(argument("x"), wordBytes(i32.mul(get(item), argument("row_stride"))))),
      scaled ? set(factors, argument("factors")) : [],
    ];
    const move = (elements: number): Code =>
      [x, ...(scaled ? [factors] : [])].map((p) => advance(p, i32.of(4 * elements)));

    const fold = (vector: Local, combine: (a: Code, b: Code) => Code, start: Code): Code =>
      [0, 1, 2, 3].reduce((sum, lane) => combine(sum, f32x4.extract(get(vector), lane)), start);
    // pmin and pmax pass NaN by, so that it is looked for.
    const limits = [
      [low, high, missing].map((v) => set(v, f32x4.of(0))),
      [least, most].map((v) => set(v, f32.of(0))),
      start,
      inFours(
        counter,
        i32.of(k),
        [
          set(four, vectorAt(0)),
          set(low, f32x4.pmin(get(low), get(four))),
          set(high, f32x4.pmax(get(high), get(four))),
          set(missing, v128.or(get(missing), f32x4.ne(get(four), get(four)))),
          move(4),
        ],
        [set(one, single), set(least, f32.min(get(least), get(one))), set(most, f32.max(get(most), get(one))), move(1)],
      ),
      set(range, f32.sub(fold(high, f32.max, get(most)), fold(low, f32.min, get(least)))),
      when(v128.anyTrue(get(missing)), set(range, f32.of(Number.NaN))),
      set(range, f32.max(get(range), f32.of(LEAST_RANGE))),
      set(inverse, f32.div(f32.of(LARGEST_CODE), get(range))),
    ];

    const rounded = (value: Code): Code => i32.reinterpretF32(f32.add(f32.mul(value, get(inverse)), f32.of(ROUND)));
    const lowest = f32.neg(fold(low, f32.min, get(least)));
    const describe = [
      // What is added to the bits of a rounded number for its code.
      set(offset, i32.sub(rounded(lowest), i32.of(2 * ROUND_BITS))),
      set(parameters, i32.add(argument("parameters"), i32.mul(get(item), i32.of(ROW_PARAMETER_BYTES)))),
      f32.store(get(parameters), f32.div(get(range), f32.of(LARGEST_CODE))),
      i32.store(get(parameters), i32.add(get(offset), i32.of(ROUND_BITS)), 4),
    ];

    const four32 = (v: number): Code =>
      i32x4.add(f32x4.add(f32x4.mul(vectorAt(v), get(inverses)), f32x4.of(ROUND)), get(offsets));
    const eight = (v: number): Code => i16x8.narrowI32(four32(v), four32(v + 1));
    const vector =
      form === "dot"
        ? i8x16.minU(i16x8.narrowToU8(eight(0), eight(2)), i32x4.of(0x7f7f7f7f))
        : i16x8.minS(eight(0), i32x4.of(0x007f007f));
    const rest = k % perVector(form);
    const code = frame.local("i32");
    const write = [
      set(offsets, i32x4.splat(get(offset))),
      set(inverses, f32x4.splat(get(inverse))),
      set(codes, i32.add(argument("codes"), i32.mul(get(item), i32.of(4 * codeWords(options))))),
      start,
      set(counter, i32.of(Math.floor(k / perVector(form)))),
      countDown(counter, [v128.store(get(codes), vector), move(perVector(form)), advance(codes, i32.of(16))]),
      rest === 0
        ? []
        : [
            v128.store(get(codes), i32x4.of(0)),
            set(counter, i32.of(rest)),
            countDown(counter, [
              set(code, i32.add(rounded(single), get(offset))),
              i32.store8(
                get(codes),
                i32.select(i32.ltS(get(code), i32.of(LARGEST_CODE)), get(code), i32.of(LARGEST_CODE)),
              ),
              move(1),
              advance(codes, i32.of(form === "dot" ? 1 : 2)),
            ]),
          ],
    ];
    const { setup, code: body } = hoistConstants(frame, [limits, describe, write]);
    return [setup, forItems(frame, item, body)];
  });
}
