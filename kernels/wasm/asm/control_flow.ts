/** Conditions and loops as nested plain data, like the instructions of `code.ts`: structured, branches never leave a statement. */
import { type Code, get, i32, type Local, set } from "./code.ts";

const VOID_BLOCK = 0x40;

/** Runs `then` (or `otherwise`) by a condition. */
export function when(condition: Code, then: Code, otherwise?: Code): Code {
  return otherwise === undefined
    ? [condition, 0x04, VOID_BLOCK, then, 0x0b]
    : [condition, 0x04, VOID_BLOCK, then, 0x05, otherwise, 0x0b];
}

/** Runs `body` once, and again as long as `again` holds after it. */
export function repeat(body: Code, again: Code): Code {
  return [0x03, VOID_BLOCK, body, again, 0x0d, 0x00, 0x0b];
}

/** `for (i = begin; i < end; i += step) body` over signed numbers; `end` is evaluated at every turn. */
export function forRange(i: Local, begin: Code, end: Code, step: number, body: Code): Code {
  return [set(i, begin), whileLoop(i32.ltS(get(i), end), [body, set(i, i32.add(get(i), i32.of(step)))])];
}

/** Runs `body` as long as `condition` holds before it. */
export function whileLoop(condition: Code, body: Code): Code {
  return when(condition, repeat(body, condition));
}
