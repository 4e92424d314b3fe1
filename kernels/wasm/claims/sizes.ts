/** Sizes as code takes them. */
import { type Box, bounds, type Dim, divisorOf, fixedValue } from "../../../runtime/core/dim.ts";
import type { Size, SizeHint } from "../emit/size.ts";

/** A size as a constant of the code where the range leaves one value. */
export function sizeOf(d: Dim, box: Box): Size {
  return fixedValue(d, box) ?? "argument";
}

/** What the range tells about a size. */
export function hintOf(d: Dim, box: Box): SizeHint {
  const exact = fixedValue(d, box);
  return exact === undefined ? { most: bounds(d, box).max, multipleOf: divisorOf(d, box) } : { exact };
}
