/** Affine maps of the last axis. */
import { FoveaError } from "../core/diagnostics.ts";
import { dimKey } from "../core/dim.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";

/** Size of the last axis, which blocks need as a number. @throws FoveaError `shape_error` for a symbolic one. */
export function lastWidth(x: Node, block: string): number {
  const width = x.shape[x.shape.length - 1];
  if (typeof width === "number") return width;
  const found = width === undefined ? "a scalar" : `the symbolic size ${dimKey(width)}`;
  throw new FoveaError("shape_error", `${block} needs a last axis of constant size, found ${found}.`);
}

/** A linear layer's size. */
export interface LinearOptions {
  /** Size of the result's last axis. */
  readonly outFeatures: number;
  /** False where the checkpoint has no `bias`; true unless given. */
  readonly bias?: boolean;
}

/** [..., in] -> [..., out] with `<prefix>weight` [out, in] and `<prefix>bias` [out]. */
export function linear(b: GraphBuilder, x: Node, prefix: string, options: LinearOptions): Node {
  const { outFeatures, bias = true } = options;
  const weight = b.weight(`${prefix}weight`, [outFeatures, lastWidth(x, "A linear layer")]);
  const product = b.matmul(x, weight, { transposeB: true });
  return bias ? b.add(product, b.weight(`${prefix}bias`, [outFeatures])) : product;
}

/** What a layer normalization has in the checkpoint. */
export interface LayerNormOptions {
  /** False where the checkpoint has no `bias`; true unless given. */
  readonly bias?: boolean;
}

/** Layer normalization over the last axis with `<prefix>weight` and `<prefix>bias` [width]. */
export function layerNorm(
  b: GraphBuilder,
  x: Node,
  prefix: string,
  eps: number,
  { bias = true }: LayerNormOptions = {},
): Node {
  const width = lastWidth(x, "A layer normalization");
  const shift = bias ? b.weight(`${prefix}bias`, [width]) : b.broadcastTo(b.constant(0), [width]);
  return b.layerNorm(x, b.weight(`${prefix}weight`, [width]), shift, eps);
}
