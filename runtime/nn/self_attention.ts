/** Multi-head self-attention with separate query, key and value projections. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Dim } from "../core/dim.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth, linear } from "./linear.ts";

/** What a family calls its projections, relative to the block's prefix and without the last dot. */
export interface ProjectionNames {
  /** Projection of queries. */
  readonly query: string;
  /** Projection of keys. */
  readonly key: string;
  /** Projection of values. */
  readonly value: string;
  /** Projection of what attention gives. */
  readonly output: string;
}

/** Which projections have a `bias`. */
export type ProjectionBiases = Readonly<Record<keyof ProjectionNames, boolean>>;

/** A self-attention's heads, masks and names. */
export interface SelfAttentionOptions {
  /** Number of heads, which divides the width. */
  readonly heads: number;
  /** Token i sees tokens 0..i only. */
  readonly causal?: boolean;
  /** f32 [batch, tokens]; 0 hides a key. */
  readonly keyMask?: Node;
  /** i32 [segments + 1] token offsets; tokens attend inside their segment alone. */
  readonly cuSeqlens?: Node;
  /** No segment has more tokens. */
  readonly longestSegment?: Dim;
  /** False where the projections have no `bias`, or one by one; true unless given. */
  readonly bias?: boolean | ProjectionBiases;
  /** `q_proj`, `k_proj`, `v_proj` and `out_proj` unless given. */
  readonly names?: ProjectionNames;
  /** Turns queries and keys; cos and sin [tokens, pairs], see `GraphBuilder.rotary`. */
  readonly rotary?: { readonly cos: Node; readonly sin: Node; readonly interleaved?: boolean };
  /** Applied to queries and keys [batch, tokens, width] before they are divided into heads. */
  readonly normalize?: (projected: Node, which: "query" | "key") => Node;
}

const NAMES: ProjectionNames = { query: "q_proj", key: "k_proj", value: "v_proj", output: "out_proj" };

/**
 * [batch, tokens, width] -> the same, through four projections [width, width] named after `prefix`.
 * @throws FoveaError `invalid_config` when the width is no multiple of the heads.
 */
export function selfAttention(b: GraphBuilder, x: Node, prefix: string, options: SelfAttentionOptions): Node {
  const { heads, bias = true, names = NAMES, rotary, normalize = (projected) => projected } = options;
  const width = lastWidth(x, "Self-attention");
  if (width % heads !== 0) {
    throw new FoveaError("invalid_config", `${heads} attention heads cannot share a width of ${width} evenly.`);
  }
  const [batch, tokens] = x.shape;
  const apply = (from: Node, which: keyof ProjectionNames): Node =>
    linear(b, from, `${prefix}${names[which]}.`, {
      outFeatures: width,
      bias: typeof bias === "boolean" ? bias : bias[which],
    });
  const split = (projected: Node): Node => b.reshape(projected, [batch, tokens, heads, width / heads]);
  const turned = (which: "query" | "key"): Node => {
    const own = split(normalize(apply(x, which), which));
    if (rotary === undefined) return own;
    return b.rotary(own, rotary.cos, rotary.sin, { interleaved: rotary.interleaved ?? false });
  };
  const mixed = b.attention(turned("query"), turned("key"), split(apply(x, "value")), {
    causal: options.causal ?? false,
    ...(options.keyMask === undefined ? {} : { keyMask: options.keyMask }),
    ...(options.cuSeqlens === undefined ? {} : { cuSeqlens: options.cuSeqlens }),
    ...(options.longestSegment === undefined ? {} : { longestSegment: options.longestSegment }),
  });
  return apply(b.reshape(mixed, [batch, tokens, width]), "output");
}
