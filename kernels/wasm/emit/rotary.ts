/** Rotary positions: pairs of a head's elements turned by the angles of their token. */
import { type Code, f32, f32x4, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, countDown, forItems, word, wordBytes } from "./loops.ts";

export interface RotaryOptions {
  readonly headDim: number;
  /** Pairs that turn, at most half of the head. */
  readonly pairs: number;
  /** Pairs are elements 2i and 2i + 1, and not i and i + pairs. */
  readonly interleaved: boolean;
}

/**
 * Names of the argument words. `output`, `x`, `cos` and `sin` are pointers; strides are elements. The output is dense
 * [batch, tokens, heads, head_dim]; tables are dense with `table_batch_stride` elements (or 0) between batches.
 */
export const ROTARY_ARGUMENTS: readonly string[] = [
  ...["output", "x", "cos", "sin", "tokens", "heads"],
  ...["x_batch_stride", "x_token_stride", "x_head_stride", "table_batch_stride"],
];

interface Pointers {
  readonly x: Local;
  readonly output: Local;
  readonly cos: Local;
  readonly sin: Local;
}

/** Lanes 0 and 1 twice each. */
const TWICE = [0, 0, 1, 1].flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
/** Neighbouring lanes exchanged. */
const SWAPPED = [1, 0, 3, 2].flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));

/** One pair at `first` and `second` elements into the head. */
function turnOne({ x, output, cos, sin }: Pointers, pair: number, first: number, second: number): Code {
  const [a, b] = [f32.load(get(x), 4 * first), f32.load(get(x), 4 * second)];
  const [c, s] = [f32.load(get(cos), 4 * pair), f32.load(get(sin), 4 * pair)];
  return [
    f32.store(get(output), f32.sub(f32.mul(a, c), f32.mul(b, s)), 4 * first),
    f32.store(get(output), f32.add(f32.mul(b, c), f32.mul(a, s)), 4 * second),
  ];
}

/** Elements i and i + pairs, four pairs at a time. */
function turnHalves(frame: KernelFrame, pointers: Pointers, pairs: number): Code {
  const { x, output, cos, sin } = pointers;
  const [a, b, c, s] = frame.locals("v128", 4);
  const code: Code[] = [];
  let p = 0;
  for (; p + 4 <= pairs; p += 4) {
    code.push([
      set(a, v128.load(get(x), 4 * p)),
      set(b, v128.load(get(x), 4 * (p + pairs))),
      set(c, v128.load(get(cos), 4 * p)),
      set(s, v128.load(get(sin), 4 * p)),
      v128.store(get(output), f32x4.sub(f32x4.mul(get(a), get(c)), f32x4.mul(get(b), get(s))), 4 * p),
      v128.store(get(output), f32x4.add(f32x4.mul(get(b), get(c)), f32x4.mul(get(a), get(s))), 4 * (p + pairs)),
    ]);
  }
  for (; p < pairs; p++) code.push(turnOne(pointers, p, p, p + pairs));
  return code;
}

/** Elements 2i and 2i + 1, two pairs at a time. */
function turnNeighbours(frame: KernelFrame, pointers: Pointers, pairs: number): Code {
  const { x, output, cos, sin } = pointers;
  const [v, c, s] = frame.locals("v128", 3);
  const signs = v128.of([0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0]);
  const twice = (into: Local, table: Local, p: number): Code => [
    set(into, v128.load64Zero(get(table), 4 * p)),
    set(into, v128.shuffle(get(into), get(into), TWICE)),
  ];
  const code: Code[] = [];
  let p = 0;
  for (; p + 2 <= pairs; p += 2) {
    code.push([
      set(v, v128.load(get(x), 8 * p)),
      twice(c, cos, p),
      twice(s, sin, p),
      set(s, v128.xor(get(s), signs)),
      v128.store(
        get(output),
        f32x4.add(f32x4.mul(get(v), get(c)), f32x4.mul(v128.shuffle(get(v), get(v), SWAPPED), get(s))),
        8 * p,
      ),
    ]);
  }
  for (; p < pairs; p++) code.push(turnOne(pointers, p, 2 * p, 2 * p + 1));
  return code;
}

/** Copies the elements that do not turn. */
function copyRest({ x, output }: Pointers, from: number, to: number): Code {
  const code: Code[] = [];
  let at = from;
  for (; at + 4 <= to; at += 4) code.push(v128.store(get(output), v128.load(get(x), 4 * at), 4 * at));
  for (; at < to; at++) code.push(i32.store(get(output), i32.load(get(x), 4 * at), 4 * at));
  return code;
}

/** Emits the kernel; one grid item for each token of each batch entry. See {@link ROTARY_ARGUMENTS}. */
export function rotaryKernel({ headDim, pairs, interleaved }: RotaryOptions): KernelModule {
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, ROTARY_ARGUMENTS.indexOf(name));
    const [item, batch, token, head, x, output, cos, sin, angle] = frame.locals("i32", 9);
    const pointers: Pointers = { x, output, cos, sin };
    const at = (index: Code, stride: Code): Code => wordBytes(i32.mul(index, stride));
    const turn = interleaved ? turnNeighbours(frame, pointers, pairs) : turnHalves(frame, pointers, pairs);
    return forItems(frame, item, [
      set(batch, i32.divU(get(item), argument("tokens"))),
      set(token, i32.remU(get(item), argument("tokens"))),
      set(angle, i32.add(at(get(batch), argument("table_batch_stride")), at(get(token), i32.of(pairs)))),
      set(cos, i32.add(argument("cos"), get(angle))),
      set(sin, i32.add(argument("sin"), get(angle))),
      set(x, i32.add(argument("x"), at(get(batch), argument("x_batch_stride")))),
      set(x, i32.add(get(x), at(get(token), argument("x_token_stride")))),
      set(output, i32.add(argument("output"), at(i32.mul(get(item), argument("heads")), i32.of(headDim)))),
      set(head, argument("heads")),
      countDown(head, [
        turn,
        copyRest(pointers, 2 * pairs, headDim),
        advance(x, wordBytes(argument("x_head_stride"))),
        advance(output, i32.of(4 * headDim)),
      ]),
    ]);
  });
}
