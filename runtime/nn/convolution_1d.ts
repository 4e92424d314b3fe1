/** One-dimensional convolution over time as one matrix product. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

/** A convolution's sizes. */
export interface Convolution1dOptions {
  /** Width of the result. */
  readonly outChannels: number;
  /** Steps that one result sees. */
  readonly size: number;
  /** Steps from one result to the next. */
  readonly stride: number;
  /** Rows of zeros at both ends. */
  readonly padding: number;
  /** False where the checkpoint has no `bias`; true unless given. */
  readonly bias?: boolean;
}

/**
 * [batch, steps, in] -> [batch, (steps + 2 padding - size) / stride + 1, out] with `<prefix>weight` [out, in, size] and
 * `<prefix>bias` [out]. Channels come last, so that the rows a result sees lie one after another: overlapping rows of the
 * product are read in place, none is copied.
 */
export function convolution1d(b: GraphBuilder, x: Node, prefix: string, options: Convolution1dOptions): Node {
  const { outChannels, size, stride, padding, bias = true } = options;
  const width = lastWidth(x, "A convolution");
  const zeros = b.broadcastTo(b.constant(0), [x.shape[0], padding, width]);
  const padded = padding === 0 ? x : b.concat([zeros, x, zeros], 1);
  const seen = b.windows(padded, 1, size, stride);
  const rows = b.reshape(seen, [...seen.shape.slice(0, 2), size * width]);
  const kernel = b.transpose(b.weight(`${prefix}weight`, [outChannels, width, size]), [0, 2, 1]);
  const product = b.matmul(rows, b.reshape(kernel, [outChannels, size * width]), { transposeB: true });
  return bias ? b.add(product, b.weight(`${prefix}bias`, [outChannels])) : product;
}
