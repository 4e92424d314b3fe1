/** Outer positions: from the number of a grid item to addresses of strided operands. */
import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { advance } from "./loops.ts";

/** A pointer and how it moves along the outer axes. */
export interface Strided {
  readonly pointer: Local;
  /** Elements, outermost first. */
  readonly outerStrides: readonly Code[];
  /** Bytes of so many elements. */
  readonly bytes: (count: Code) => Code;
}

/**
 * Moves pointers to outer position `position` (row-major over the outer axes), which is used up. `sizes` are those of
 * the outer axes but the first, which is not needed to tell positions apart.
 */
export function moveToPosition(
  operands: readonly Strided[],
  sizes: readonly Code[],
  position: Local,
  index: Local,
): Code {
  const shift = (axis: number, by: Local): Code =>
    operands.map((o) => advance(o.pointer, o.bytes(i32.mul(get(by), o.outerStrides[axis]))));
  const inner = sizes.map(
    (size, i): Code => [
      set(index, i32.remU(get(position), size)),
      set(position, i32.divU(get(position), size)),
      shift(i + 1, index),
    ],
  );
  return [...inner.reverse(), operands.some((o) => o.outerStrides.length > 0) ? shift(0, position) : []];
}
