/** A learned factor for every channel of a residual branch; Touvron et al. 2021. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

/** [..., width] times `<prefix>lambda1` [width]. */
export function layerScale(b: GraphBuilder, x: Node, prefix: string): Node {
  return b.mul(x, b.weight(`${prefix}lambda1`, [lastWidth(x, "A layer scale")]));
}
