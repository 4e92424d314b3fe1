/** Entries of a kernel that squares: one that is right, and one for each sin. */

import { type Code, f32, get, i32, set } from "../../kernels/wasm/asm/code.ts";
import { forRange } from "../../kernels/wasm/asm/control_flow.ts";
import { i32At } from "./assemble.ts";

const TABLE = i32At(0);
const [AT, COUNT, OTHER] = [i32At(1), i32At(2), i32At(3)];

/** A word of the entry's table: output, x, rows, width. */
export const argument = (index: number): Code => i32.load(get(TABLE), index * 4);

const elements = i32.mul(argument(2), argument(3));
const byteOf = (base: number): Code => i32.add(argument(base), i32.shl(get(AT), i32.of(2)));

/** The product of so many sizes behind the addresses. */
export const elementsOf = (sizes: number): Code =>
  Array.from({ length: sizes }, (_, i) => argument(2 + i)).reduce((all, size) => i32.mul(all, size));

/** Squares every element, which `change` may replace, and ends with `status`. */
export function squaring(
  change: (value: Code) => Code = (value) => value,
  status: Code = i32.of(0),
  count: Code = elements,
): Code {
  const x = f32.load(byteOf(1));
  return [
    set(COUNT, count),
    forRange(AT, i32.of(0), get(COUNT), 1, f32.store(byteOf(0), change(f32.mul(x, x)))),
    status,
  ];
}

const FOREVER: Code = [0x03, 0x40, 0x0c, 0x00, 0x0b];

/** `then` where there are more rows than `rows` in one call. */
const beyond = (rows: number, then: Code): Code => [i32.gtS(argument(2), i32.of(rows)), 0x04, 0x40, then, 0x0b];

/** Squares, with something before it. */
const after = (sin: Code): Code => [sin, squaring()];

/** What a kernel may do wrong, and what is said about it. */
export const SINS: Readonly<Record<string, { readonly code: Code; readonly says: RegExp }>> = {
  traps: { code: after([0x00]), says: /it trapped: .*unreachable/i },
  "loops without an end": { code: after(FOREVER), says: /stopped after the \d+ instructions .*a loop without an end/ },
  "loops in calls without an end": {
    // Calls itself, whose result is what it drops.
    code: after([i32.of(0), 0x10, 0, 0x1a]),
    says: /stopped after|it trapped: .*(stack|call)/i,
  },
  "reads outside of its memory": {
    code: after([i32.load(i32.of(0x7fff0000)), 0x1a]),
    says: /it trapped: .*out of bounds/i,
  },
  "writes outside of its memory": {
    code: after(i32.store(i32.of(0x7fff0000), i32.of(1))),
    says: /it trapped: .*out of bounds/i,
  },
  "writes behind its result": {
    code: [squaring(), 0x1a, set(COUNT, elements), set(AT, get(COUNT)), i32.store(byteOf(0), i32.of(7)), i32.of(0)],
    says: /it wrote behind the end of its argument 0/,
  },
  "returns a status": { code: squaring(undefined, i32.of(3)), says: /it returned the status 3/ },
  "computes wrong numbers": { code: squaring((v) => f32.add(v, f32.of(0.5))), says: /off by 0\.5/ },
  "cannot do what it claims": { code: [beyond(2, [i32.of(1), 0x0f]), squaring()], says: /it returned the status 1/ },
  "leaves elements out": {
    code: [
      set(COUNT, i32.sub(elements, i32.of(1))),
      set(OTHER, i32.of(0)),
      forRange(AT, i32.of(0), get(COUNT), 1, f32.store(byteOf(0), f32.mul(f32.load(byteOf(1)), f32.load(byteOf(1))))),
      i32.of(0),
    ],
    says: /it left elements of its result unwritten/,
  },
};
