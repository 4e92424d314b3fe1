/** The pre-norm transformer block of CLIP and its relatives. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { layerNorm } from "./linear.ts";
import { type MlpOptions, mlp } from "./mlp.ts";
import { type SelfAttentionOptions, selfAttention } from "./self_attention.ts";

/** Options of both halves of a block. */
export interface TransformerBlockOptions
  extends SelfAttentionOptions,
    Pick<MlpOptions, "intermediateSize" | "activation"> {
  /** Epsilon of both normalizations. */
  readonly eps: number;
}

/**
 * [batch, tokens, width] -> the same: x + attention(norm(x)), then x + mlp(norm(x)), with `<prefix>layer_norm1`,
 * `self_attn`, `layer_norm2` and `mlp`.
 */
export function transformerBlock(b: GraphBuilder, x: Node, prefix: string, options: TransformerBlockOptions): Node {
  const { eps, intermediateSize, activation } = options;
  const attended = selfAttention(b, layerNorm(b, x, `${prefix}layer_norm1.`, eps), `${prefix}self_attn.`, options);
  const middle = b.add(x, attended);
  const inner = layerNorm(b, middle, `${prefix}layer_norm2.`, eps);
  return b.add(middle, mlp(b, inner, `${prefix}mlp.`, { intermediateSize, activation }));
}
