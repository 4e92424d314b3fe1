/** One vector for each text from its tokens' hidden states: Reimers and Gurevych 2019. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import type { ElementwiseOp } from "../ir/ops.ts";
import { lastWidth, linear } from "./linear.ts";

/** First token that is seen, largest value, mean, sum over the root of the number of tokens, or last token that is seen. */
export type PoolingMode = "cls" | "max" | "mean" | "mean_sqrt_len_tokens" | "lasttoken";

/** A dense layer for pooled vectors. */
export interface PooledDense {
  /** With its dot. */
  readonly prefix: string;
  /** Width of its results. */
  readonly outFeatures: number;
  /** It adds a vector. */
  readonly bias: boolean;
  /** What is done to its results. */
  readonly activation?: ElementwiseOp;
}

/** How {@link sentencePooling} makes one vector of a text's tokens. */
export interface SentencePoolingOptions {
  /** Their vectors stand side by side in this order. */
  readonly modes: readonly PoolingMode[];
  /** Layers behind it; none unless given. Weights are those of {@link linear} under `prefix`. */
  readonly dense?: readonly PooledDense[];
  /** Divides by the length of the vector. */
  readonly normalize: boolean;
}

/** What hidden tokens count as when the largest value is looked for: the lowest f32. */
const LOWEST = -3.4028234663852886e38;
/** Least number of tokens that a sum is divided by. */
const FEWEST = 1e-9;
/** Least length that a vector is divided by. */
const SHORTEST = 1e-12;

/** Names of the inputs that {@link sentencePooling} declares. */
export function sentencePoolingInputs({ modes }: SentencePoolingOptions): readonly string[] {
  return [
    ...(modes.every((mode) => mode === "cls" || mode === "lasttoken") ? [] : ["key_mask"]),
    ...(modes.includes("cls") ? ["first_token"] : []),
    ...(modes.includes("lasttoken") ? ["last_token"] : []),
  ];
}

/**
 * x [batch, tokens, width] -> [batch, modes * width], or the last dense layer's width. Declares the inputs `key_mask` f32 [batch, tokens], 1 for tokens and
 * 0 for padding, and `first_token` and `last_token` i32 [batch], the positions of the first and last token that are seen, as
 * far as the modes need them.
 */
export function sentencePooling(b: GraphBuilder, x: Node, options: SentencePoolingOptions): Node {
  const [batch, tokens] = x.shape;
  const width = lastWidth(x, "Sentence pooling");
  const declared = sentencePoolingInputs(options);
  const keyMask = declared.includes("key_mask") ? b.input("key_mask", [batch, tokens]) : b.constant(1);
  const row = (name: string): Node => b.takeRow(x, b.input(name, [batch], "i32"));
  const atLeast = (n: Node, least: number): Node => b.op("max", [n, b.constant(least)]);
  /** Sum over the tokens that are seen, each divided by `by` [batch, 1]. */
  const summed = (by: Node): Node =>
    b.reshape(b.matmul(b.reshape(b.div(keyMask, by), [batch, 1, tokens]), x), [batch, width]);
  const count = (): Node => atLeast(b.unary("reduce_sum", keyMask), FEWEST);
  const pooled: Readonly<Record<PoolingMode, () => Node>> = {
    cls: () => row("first_token"),
    lasttoken: () => row("last_token"),
    max: () => {
      const seen = b.op("where", [b.reshape(keyMask, [batch, tokens, 1]), x, b.constant(LOWEST)]);
      return b.reshape(b.unary("reduce_max", b.transpose(seen, [0, 2, 1])), [batch, width]);
    },
    mean: () => summed(count()),
    mean_sqrt_len_tokens: () => summed(b.unary("sqrt", count())),
  };
  const sideBySide = b.concat(
    options.modes.map((mode) => pooled[mode]()),
    1,
  );
  const whole = (options.dense ?? []).reduce((vectors, { prefix, activation, ...layer }) => {
    const product = linear(b, vectors, prefix, layer);
    return activation === undefined ? product : b.unary(activation, product);
  }, sideBySide);
  if (!options.normalize) return whole;
  const length = b.unary("sqrt", b.unary("reduce_sum", b.mul(whole, whole)));
  return b.div(whole, atLeast(length, SHORTEST));
}
