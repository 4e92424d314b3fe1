/** Multi-head self-attention with separate query, key and value projections. */
import { FoveaError } from "../core/diagnostics.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth, linear } from "./linear.ts";

export interface SelfAttentionOptions {
  readonly heads: number;
  /** Token i sees tokens 0..i only. */
  readonly causal?: boolean;
  /** f32 [batch, tokens]; 0 hides a key. */
  readonly keyMask?: Node;
  /** i32 [segments + 1] token offsets; tokens attend inside their segment alone. */
  readonly cuSeqlens?: Node;
  /** False where the projections have no `bias`; true unless given. */
  readonly bias?: boolean;
}

/**
 * [batch, tokens, width] -> the same, through `<prefix>q_proj`, `k_proj`, `v_proj` and `out_proj` [width, width].
 * @throws FoveaError `invalid_config` when the width is no multiple of the heads.
 */
export function selfAttention(b: GraphBuilder, x: Node, prefix: string, options: SelfAttentionOptions): Node {
  const { heads, bias = true } = options;
  const width = lastWidth(x, "Self-attention");
  if (width % heads !== 0) {
    throw new FoveaError("invalid_config", `${heads} attention heads cannot share a width of ${width} evenly.`);
  }
  const [batch, tokens] = x.shape;
  const project = (name: string): Node =>
    b.reshape(linear(b, x, `${prefix}${name}.`, { outFeatures: width, bias }), [batch, tokens, heads, width / heads]);
  const mixed = b.attention(project("q_proj"), project("k_proj"), project("v_proj"), {
    causal: options.causal ?? false,
    ...(options.keyMask === undefined ? {} : { keyMask: options.keyMask }),
    ...(options.cuSeqlens === undefined ? {} : { cuSeqlens: options.cuSeqlens }),
  });
  return linear(b, b.reshape(mixed, [batch, tokens, width]), `${prefix}out_proj.`, { outFeatures: width, bias });
}
