/**
 * The components of language models of decoder blocks. Weight names are relative to the instance, whose prefix ends with
 * its dot; shapes of hidden states are [batch, tokens, hidden_size]. Full and sliding layers are two structures.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import type { SentenceConfig } from "../../runtime/abi/sentence_config.ts";
import type { Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import { gatedMlp, lastWidth, linear, rmsNorm, sentencePooling } from "../../runtime/nn/mod.ts";
import type { DecoderConfig, LayerType } from "./config.ts";

/** Texts of one run; larger batches are split by the session. */
const MAX_BATCH = 64;

/**
 * Queries and short paragraphs, passages; the last range is for long documents. What comes before and after the blocks is
 * too little work for ranges of its own.
 */
const TOKEN_ENDS = [64, 512];

export const layerName = (layer: number): string => `layers.${layer}.`;

/** Tag of the component that computes layers of a kind. */
export const blockTag = (type: LayerType): string =>
  `decoder/text.${type === "full_attention" ? "full_block" : "sliding_block"}`;

/** Root mean square normalization with `<prefix>weight`, to which Gemma adds 1. */
function norm(b: GraphBuilder, x: Node, prefix: string, { eps, gemma }: DecoderConfig): Node {
  if (!gemma) return rmsNorm(b, x, prefix, eps);
  const weight = b.weight(`${prefix}weight`, [lastWidth(x, "A root mean square normalization")]);
  return b.rmsNorm(x, b.add(weight, b.constant(1)), eps);
}

/** Self-attention of normalised queries and keys with rotary positions; Su et al. 2021, Ainslie et al. 2023. */
function attend(b: GraphBuilder, x: Node, keyMask: Node, type: LayerType, config: DecoderConfig): Node {
  const { hiddenSize, heads, keyHeads, headDim, attentionBias: bias, causal, scale } = config;
  const [batch, tokens] = x.shape;
  const [cos, sin] = ["cos", "sin"].map((name) => b.input(name, [tokens, headDim / 2]));
  const projected = (name: string, count: number): Node =>
    b.reshape(linear(b, x, `self_attn.${name}_proj.`, { outFeatures: count * headDim, bias }), [
      ...[batch, tokens, count, headDim],
    ]);
  const turned = (name: string, count: number): Node =>
    b.rotary(norm(b, projected(name, count), `self_attn.${name}_norm.`, config), cos, sin);
  const mixed = b.attention(turned("q", heads), turned("k", keyHeads), projected("v", keyHeads), {
    ...{ keyMask, causal, scale },
    window: type === "sliding_attention" ? config.window : 0,
  });
  return linear(b, b.reshape(mixed, [batch, tokens, heads * headDim]), "self_attn.o_proj.", {
    ...{ outFeatures: hiddenSize, bias },
  });
}

/** x + attention(norm(x)), then x + mlp(norm(x)); of Gemma, what is added is normalised before. */
function block(b: GraphBuilder, type: LayerType, config: DecoderConfig): void {
  const { hiddenSize, gemma, intermediateSize, activation } = config;
  const { batch, tokens } = b.dims;
  const x = b.input("hidden_states", [batch, tokens, hiddenSize]);
  const keyMask = b.input("key_mask", [batch, tokens]);
  const normal = (value: Node, name: string): Node => norm(b, value, name, config);
  const attended = attend(b, normal(x, "input_layernorm."), keyMask, type, config);
  const middle = b.add(x, gemma ? normal(attended, "post_attention_layernorm.") : attended);
  const before = gemma ? "pre_feedforward_layernorm." : "post_attention_layernorm.";
  const mixed = gatedMlp(b, normal(middle, before), "mlp.", { intermediateSize, activation, bias: false });
  b.output("hidden_states", b.add(middle, gemma ? normal(mixed, "post_feedforward_layernorm.") : mixed));
}

/** In the order of their first calls. */
export function decoderComponents(
  config: DecoderConfig,
  sentence: SentenceConfig | undefined,
): readonly ComponentSpec[] {
  const { hiddenSize: width, maxTokens, vocabSize, embeddingScale, layerTypes } = config;
  const symbols: Box = { batch: { min: 1, max: MAX_BATCH }, tokens: { min: 1, max: maxTokens } };
  const byTokens: RangeSpec = { ends: { tokens: TOKEN_ENDS.filter((end) => end < maxTokens) } };
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    ...{ tag, symbols, instances, build },
  });
  const layersOf = (type: LayerType): readonly string[] =>
    layerTypes.flatMap((own, layer) => (own === type ? [layerName(layer)] : []));
  return [
    part("decoder/text.embed", [""], (b) => {
      const ids = b.input("input_ids", [b.dims.batch, b.dims.tokens], "i32");
      const words = b.gather(b.weight("embed_tokens.weight", [vocabSize, width]), ids);
      b.output("hidden_states", embeddingScale === 1 ? words : b.mul(words, b.constant(embeddingScale)));
    }),
    ...[...new Set(layerTypes)].map((type) => ({
      ...part(blockTag(type), layersOf(type), (b) => block(b, type, config)),
      ranges: byTokens,
    })),
    part("decoder/text.final", [""], (b) => {
      const x = b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
      b.output("last_hidden_state", norm(b, x, "norm.", config));
    }),
    ...(sentence === undefined
      ? []
      : [
          {
            ...part("decoder/text.sentence", [""], (b) => {
              const x = b.input("last_hidden_state", [b.dims.batch, b.dims.tokens, width]);
              b.output("sentence_embedding", sentencePooling(b, x, sentence));
            }),
            precise: true,
          },
        ]),
  ];
}
