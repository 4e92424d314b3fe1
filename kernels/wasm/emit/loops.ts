/** Pieces that row kernels share: argument words, counted loops, copying of runs. */

import { type Code, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { repeat, whileLoop } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";

/** Bytes of the elements of what is moved without looking at it. */
export type ElementBytes = 1 | 4;

/** Argument word `index`. */
export const word = (frame: KernelFrame, index: number): Code => i32.load(get(frame.args), 4 * index);

/** `local += value`. */
export const advance = (local: Local, value: Code): Code => set(local, i32.add(get(local), value));

/** Bytes of `count` words of 4 bytes. */
export const wordBytes = (count: Code): Code => i32.shl(count, i32.of(2));

/** Runs `body` as many times as `count` says, an unsigned number that ends as 0. */
export function countDown(count: Local, body: Code): Code {
  return whileLoop(get(count), [body, set(count, i32.sub(get(count), i32.of(1)))]);
}

/** Runs `body` once, and again as long as `condition` holds: a `whileLoop` whose first test cannot fail. */
export function repeatWhile(condition: Code, body: Code): Code {
  return repeat(body, condition);
}

/** Runs `body` for every grid item of the call. */
export function forItems(frame: KernelFrame, item: Local, body: Code): Code {
  const more = i32.ltS(get(item), get(frame.end));
  return [set(item, get(frame.begin)), whileLoop(more, [body, advance(item, i32.of(1))])];
}

/** Splits `total` items into fours and a rest: `four` runs `total >> 2` times, then `one` runs `total & 3` times. */
export function inFours(counter: Local, total: Code, four: Code, one: Code): Code {
  return [
    set(counter, i32.shrU(total, i32.of(2))),
    countDown(counter, four),
    set(counter, i32.and(total, i32.of(3))),
    countDown(counter, one),
  ];
}

/** Copies `total` bytes from `from` to `to`; both pointers move behind the run. */
export function copyBytes(counter: Local, total: Code, from: Local, to: Local): Code {
  return [
    set(counter, i32.shrU(total, i32.of(4))),
    countDown(counter, [v128.store(get(to), v128.load(get(from))), advance(from, i32.of(16)), advance(to, i32.of(16))]),
    set(counter, i32.and(total, i32.of(15))),
    countDown(counter, [i32.store8(get(to), i32.load8u(get(from))), advance(from, i32.of(1)), advance(to, i32.of(1))]),
  ];
}

/** Copies `count` bytes at fixed offsets. */
export function copyFixed(count: number, from: Local, to: Local): Code {
  const copies: Code[] = [];
  let at = 0;
  for (; at + 16 <= count; at += 16) copies.push(v128.store(get(to), v128.load(get(from), at), at));
  for (; at + 4 <= count; at += 4) copies.push(i32.store(get(to), i32.load(get(from), at), at));
  for (; at < count; at++) copies.push(i32.store8(get(to), i32.load8u(get(from), at), at));
  return copies;
}

/** Copies `total` words from `from` to `to`, bit by bit; both pointers move behind the run. */
export function copyRun(counter: Local, total: Code, from: Local, to: Local): Code {
  return inFours(
    counter,
    total,
    [v128.store(get(to), v128.load(get(from))), advance(from, i32.of(16)), advance(to, i32.of(16))],
    [i32.store(get(to), i32.load(get(from))), advance(from, i32.of(4)), advance(to, i32.of(4))],
  );
}
