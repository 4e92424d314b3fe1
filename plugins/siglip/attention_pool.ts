/** The attention-pool head: one learned query that looks at all tokens (Zhai et al. 2022, "Scaling Vision Transformers"). */
import type { GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { lastWidth, layerNorm, linear, type MlpOptions, mlp } from "../../runtime/nn/mod.ts";

export interface AttentionPoolOptions extends MlpOptions {
  readonly heads: number;
  readonly eps: number;
  /** f32 [batch, tokens]; 0 hides a token. */
  readonly keyMask?: Node;
}

/**
 * [batch, tokens, width] -> [batch, width]: p = attention(probe, x), then p + mlp(norm(p)), with `<prefix>probe`
 * [1, 1, width], `attention` (one `in_proj` for query, key and value), `layernorm` and `mlp`.
 */
export function attentionPool(b: GraphBuilder, x: Node, prefix: string, options: AttentionPoolOptions): Node {
  const { heads, eps, keyMask } = options;
  const width = lastWidth(x, "An attention pool");
  const [batch, tokens] = x.shape;
  const weight = b.weight(`${prefix}attention.in_proj_weight`, [3 * width, width]);
  const bias = b.weight(`${prefix}attention.in_proj_bias`, [3 * width]);
  const project = (of: Node, part: number): Node => {
    const rows = b.slice(weight, 0, part * width, (part + 1) * width);
    const product = b.matmul(of, rows, { transposeB: true });
    return b.add(product, b.slice(bias, 0, part * width, (part + 1) * width));
  };
  // The query is the same for all images, so it is a matter of weights alone.
  const query = b.reshape(project(b.weight(`${prefix}probe`, [1, 1, width]), 0), [1, 1, heads, width / heads]);
  const split = (node: Node): Node => b.reshape(node, [batch, tokens, heads, width / heads]);
  const mixed = b.attention(
    b.broadcastTo(query, [batch, 1, heads, width / heads]),
    split(project(x, 1)),
    split(project(x, 2)),
    keyMask === undefined ? {} : { keyMask },
  );
  const pooled = linear(b, b.reshape(mixed, [batch, width]), `${prefix}attention.out_proj.`, { outFeatures: width });
  return b.add(pooled, mlp(b, layerNorm(b, pooled, `${prefix}layernorm.`, eps), `${prefix}mlp.`, options));
}
