/** Normalization by the root of the mean square: Zhang and Sennrich 2019. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

/** Root mean square normalization over the last axis with `<prefix>weight` [width]. */
export function rmsNorm(b: GraphBuilder, x: Node, prefix: string, eps: number): Node {
  return b.rmsNorm(x, b.weight(`${prefix}weight`, [lastWidth(x, "A root mean square normalization")]), eps);
}
