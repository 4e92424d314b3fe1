/**
 * ModernBERT's components. Weight names are relative to the instance, whose prefix ends with its dot; shapes of hidden
 * states are [batch, tokens, hidden_size]. Full and sliding layers are two structures; the first layer is a third, because
 * its attention has no norm of its own.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import type { SentenceConfig } from "../../runtime/abi/sentence_config.ts";
import type { Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import { gluMlp, layerNorm, linear, sentencePooling } from "../../runtime/nn/mod.ts";
import type { LayerType, ModernBertConfig } from "./config.ts";

/** Texts of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;

/**
 * Queries and short paragraphs, passages; the last range is for long documents. What comes before and after the blocks is
 * too little work for ranges of its own.
 */
const TOKEN_ENDS = [64, 512];

export function layerName(layer: number): string {
  return `layers.${layer}.`;
}

/** Tag of the component that computes a layer. */
export function blockTag(layer: number, type: LayerType): string {
  if (layer === 0) return "modernbert/text.first_block";
  return `modernbert/text.${type === "full_attention" ? "full_block" : "sliding_block"}`;
}

/** Self-attention with rotary positions; query, key and value are thirds of one product. */
function attend(b: GraphBuilder, x: Node, keyMask: Node, type: LayerType, config: ModernBertConfig): Node {
  const { hiddenSize: width, heads, attentionBias: bias } = config;
  const [batch, tokens] = x.shape;
  const headDim = width / heads;
  const all = b.reshape(linear(b, x, "attn.Wqkv.", { outFeatures: 3 * width, bias }), [
    batch,
    tokens,
    3,
    heads,
    headDim,
  ]);
  const third = (at: number): Node => b.reshape(b.slice(all, 2, at, at + 1), [batch, tokens, heads, headDim]);
  const table = (name: string): Node => b.input(name, [tokens, headDim / 2]);
  const [cos, sin] = [table("cos"), table("sin")];
  const mixed = b.attention(b.rotary(third(0), cos, sin), b.rotary(third(1), cos, sin), third(2), {
    keyMask,
    window: type === "sliding_attention" ? config.window : 0,
  });
  return linear(b, b.reshape(mixed, [batch, tokens, width]), "attn.Wo.", { outFeatures: width, bias });
}

/** x + attention(norm(x)), then x + mlp(norm(x)): Warner et al. 2024. */
function block(b: GraphBuilder, first: boolean, type: LayerType, config: ModernBertConfig): void {
  const { hiddenSize: width, eps, normBias } = config;
  const { batch, tokens } = b.dims;
  const x = b.input("hidden_states", [batch, tokens, width]);
  const keyMask = b.input("key_mask", [batch, tokens]);
  const norm = (value: Node, name: string): Node => layerNorm(b, value, name, eps, { bias: normBias });
  const middle = b.add(x, attend(b, first ? x : norm(x, "attn_norm."), keyMask, type, config));
  const mixed = gluMlp(b, norm(middle, "mlp_norm."), "mlp.", {
    intermediateSize: config.intermediateSize,
    activation: config.activation,
    bias: config.mlpBias,
    input: "Wi.",
    output: "Wo.",
  });
  b.output("hidden_states", b.add(middle, mixed));
}

/** In the order of their first calls. */
export function modernBertComponents(
  config: ModernBertConfig,
  sentence: SentenceConfig | undefined,
): readonly ComponentSpec[] {
  const { hiddenSize: width, maxPositions, eps, normBias } = config;
  const symbols: Box = { batch: { min: 1, max: MAX_BATCH }, tokens: { min: 1, max: maxPositions } };
  const byTokens: RangeSpec = { ends: { tokens: TOKEN_ENDS.filter((end) => end < maxPositions) } };
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    tag,
    symbols,
    instances,
    build,
  });
  /** Layers that one component computes, by its tag. */
  const layers = new Map<string, number[]>();
  config.layerTypes.forEach((type, i) => {
    const tag = blockTag(i, type);
    layers.set(tag, [...(layers.get(tag) ?? []), i]);
  });
  return [
    part("modernbert/text.embed", [""], (b) => {
      const ids = b.input("input_ids", [b.dims.batch, b.dims.tokens], "i32");
      const words = b.gather(b.weight("embeddings.tok_embeddings.weight", [config.vocabSize, width]), ids);
      b.output("hidden_states", layerNorm(b, words, "embeddings.norm.", eps, { bias: normBias }));
    }),
    ...[...layers].map(([tag, own]) => ({
      ...part(tag, own.map(layerName), (b) => block(b, own[0] === 0, config.layerTypes[own[0]], config)),
      ranges: byTokens,
    })),
    part("modernbert/text.final", [""], (b) => {
      const x = b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
      b.output("last_hidden_state", layerNorm(b, x, "final_norm.", eps, { bias: normBias }));
    }),
    ...(sentence === undefined
      ? []
      : [
          {
            ...part("modernbert/text.sentence", [""], (b) => {
              const x = b.input("last_hidden_state", [b.dims.batch, b.dims.tokens, width]);
              b.output("sentence_embedding", sentencePooling(b, x, sentence));
            }),
            precise: true,
          },
        ]),
  ];
}
