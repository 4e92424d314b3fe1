/** Fewer and wider tokens: squares of neighbouring patches become one token; Shi et al. 2016 reversed. */
import { FoveaError } from "../core/diagnostics.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

export interface PixelShuffleOptions {
  /** Patches along each side of the image. */
  readonly side: number;
  /** Patches along each side of a square; a divisor of `side`. */
  readonly factor: number;
}

/**
 * [batch, side * side, width] -> [batch, (side / factor)^2, factor^2 * width]. A token holds the patches of its square row
 * by row. @throws FoveaError `shape_error` when squares do not fill the side.
 */
export function pixelShuffle(b: GraphBuilder, x: Node, { side, factor }: PixelShuffleOptions): Node {
  if (side % factor !== 0) {
    throw new FoveaError("shape_error", `${side} patches along a side cannot be divided into squares of ${factor}.`);
  }
  const width = lastWidth(x, "A pixel shuffle");
  const [batch] = x.shape;
  const squares = side / factor;
  const split = b.reshape(x, [batch, squares, factor, squares, factor, width]);
  return b.reshape(b.transpose(split, [0, 1, 3, 2, 4, 5]), [batch, squares * squares, factor * factor * width]);
}
