/** Fewer and wider tokens: squares of neighbouring patches become one token; Shi et al. 2016 reversed. */
import { type Dim, mul } from "../core/dim.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

/** Squares of a {@link pixelShuffle}. */
export interface PixelShuffleOptions {
  /** Squares along each side of the image. */
  readonly squares: Dim;
  /** Patches along each side of a square. */
  readonly factor: number;
}

/**
 * [batch, (squares * factor)^2, width] -> [batch, squares^2, factor^2 * width]. A token holds the patches of its square row
 * by row.
 */
export function pixelShuffle(b: GraphBuilder, x: Node, { squares, factor }: PixelShuffleOptions): Node {
  const width = lastWidth(x, "A pixel shuffle");
  const [batch] = x.shape;
  const split = b.reshape(x, [batch, squares, factor, squares, factor, width]);
  return b.reshape(b.transpose(split, [0, 1, 3, 2, 4, 5]), [batch, mul(squares, squares), factor * factor * width]);
}
