/** One vector for each text from its tokens' hidden states: Reimers and Gurevych 2019. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

/** First token, largest value, mean, or sum over the root of the number of tokens. */
export type PoolingMode = "cls" | "max" | "mean" | "mean_sqrt_len_tokens";

export interface SentencePoolingOptions {
  /** Their vectors stand side by side in this order. */
  readonly modes: readonly PoolingMode[];
  /** Divides by the length of the vector. */
  readonly normalize: boolean;
}

/** What hidden tokens count as when the largest value is looked for. */
const LOWEST = -1e9;
/** Least number of tokens that a sum is divided by. */
const FEWEST = 1e-9;
/** Least length that a vector is divided by. */
const SHORTEST = 1e-12;

/**
 * x [batch, tokens, width] and keyMask f32 [batch, tokens], 1 for tokens and 0 for padding -> [batch, modes * width].
 */
export function sentencePooling(b: GraphBuilder, x: Node, keyMask: Node, options: SentencePoolingOptions): Node {
  const [batch, tokens] = x.shape;
  const width = lastWidth(x, "Sentence pooling");
  const atLeast = (n: Node, least: number): Node => b.op("max", [n, b.constant(least)]);
  /** Sum over the tokens that are seen, each divided by `by` [batch, 1]. */
  const summed = (by: Node): Node =>
    b.reshape(b.matmul(b.reshape(b.div(keyMask, by), [batch, 1, tokens]), x), [batch, width]);
  const count = (): Node => atLeast(b.unary("reduce_sum", keyMask), FEWEST);
  const pooled: Readonly<Record<PoolingMode, () => Node>> = {
    cls: () => b.reshape(b.slice(x, 1, 0, 1), [batch, width]),
    max: () => {
      const seen = b.op("where", [b.reshape(keyMask, [batch, tokens, 1]), x, b.constant(LOWEST)]);
      return b.reshape(b.unary("reduce_max", b.transpose(seen, [0, 2, 1])), [batch, width]);
    },
    mean: () => summed(count()),
    mean_sqrt_len_tokens: () => summed(b.unary("sqrt", count())),
  };
  const whole = b.concat(
    options.modes.map((mode) => pooled[mode]()),
    1,
  );
  if (!options.normalize) return whole;
  const length = b.unary("sqrt", b.unary("reduce_sum", b.mul(whole, whole)));
  return b.div(whole, atLeast(length, SHORTEST));
}
