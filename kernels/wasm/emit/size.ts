/** Sizes that are constants of a kernel or words of its argument table, and addresses made of them. */
import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";
import { repeatWhile, word, wordBytes } from "./loops.ts";

/** A size that is known when the kernel is emitted, or an argument word. */
export type Size = number | "argument";

/** What an interval tells about a size that is an argument word. */
export interface SizeHint {
  /** The size itself, where the interval leaves one. */
  readonly exact?: number;
  readonly most?: number;
  /** Divides the size; 1 unless given. */
  readonly multipleOf?: number;
}

export const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

export interface SizeValue {
  /** Must run first. */
  readonly setup: Code;
  readonly read: Code;
  /** The size times a constant. */
  readonly times: (factor: number) => Code;
  /** ceil(size / divisor), for a size of at least 1. */
  readonly ceilDiv: (divisor: number) => Code;
}

/** @param index of the argument word, if it is one. */
export function sizeValue(frame: KernelFrame, size: Size, index: number): SizeValue {
  if (size !== "argument") {
    return {
      setup: [],
      read: i32.of(size),
      times: (factor) => i32.of(size * factor),
      ceilDiv: (divisor) => i32.of(Math.ceil(size / divisor)),
    };
  }
  const local = frame.local("i32");
  return {
    setup: set(local, word(frame, index)),
    read: get(local),
    times: (factor) => i32.mul(get(local), i32.of(factor)),
    ceilDiv: (divisor) => ceilDivision(get(local), i32.of(divisor)),
  };
}

/** ceil(a / b) for a of at least 1. */
export function ceilDivision(a: Code, b: Code): Code {
  return i32.add(i32.divU(i32.sub(a, i32.of(1)), b), i32.of(1));
}

/** The smaller of two unsigned numbers. */
export function smaller(a: Code, b: Code): Code {
  return i32.select(i32.ltU(a, b), a, b);
}

/** `pointer` plus a number of words. */
export function wordsAfter(pointer: Code, ...words: readonly Code[]): Code {
  return i32.add(pointer, wordBytes(words.reduce((sum, w) => i32.add(sum, w))));
}

/** Runs `body` for blocks of up to `most` of `total` steps, at least one; `steps` are those of a block. */
export function inBlocks(
  frame: KernelFrame,
  { steps, total, most }: { readonly steps: Local; readonly total: Code; readonly most: number },
  body: Code,
): Code {
  const left = frame.local("i32");
  return [
    set(left, total),
    repeatWhile(get(left), [
      set(steps, smaller(i32.of(most), get(left))),
      body,
      set(left, i32.sub(get(left), get(steps))),
    ]),
  ];
}
