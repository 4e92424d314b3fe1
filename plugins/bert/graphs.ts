/**
 * BERT's components, which are RoBERTa's and DistilBERT's as well. Weight names are relative to the instance, whose prefix
 * ends with its dot; shapes of hidden states are [batch, tokens, hidden_size]. Blocks say nothing of their layer, so that all layers share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import type { SentenceConfig } from "../../runtime/abi/sentence_config.ts";
import type { Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import { activation, layerNorm, linear, sentencePooling } from "../../runtime/nn/mod.ts";
import { type BertConfig, mostTokens } from "./config.ts";

/** Texts of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;

/**
 * Queries rarely pass 32 tokens and paragraphs 128; without the splits their blocks would run code chosen for the longest
 * text. What comes before and after the blocks is too little work for ranges of its own.
 */
const TOKEN_ENDS = [32, 128];

export const layerNames = ({ layers, names }: BertConfig): readonly string[] =>
  Array.from({ length: layers }, (_, i) => names.layer(i));

/** softmax(q k^T / sqrt(head_dim)) v of every head. */
function attend(b: GraphBuilder, x: Node, keyMask: Node, config: BertConfig): Node {
  const { hiddenSize: width, heads, names } = config;
  const [batch, tokens] = x.shape;
  const project = (name: string): Node =>
    b.reshape(linear(b, x, name, { outFeatures: width }), [batch, tokens, heads, width / heads]);
  const mixed = b.attention(project(names.query), project(names.key), project(names.value), { keyMask });
  return b.reshape(mixed, [batch, tokens, width]);
}

/** Post-norm (Devlin et al. 2019, after Vaswani et al. 2017): norm(x + attention(x)), then norm(x + mlp(x)). */
function block(b: GraphBuilder, x: Node, keyMask: Node, config: BertConfig): Node {
  const { hiddenSize: width, eps, names } = config;
  const attended = linear(b, attend(b, x, keyMask, config), names.attended, { outFeatures: width });
  const middle = layerNorm(b, b.add(attended, x), names.attendedNorm, eps);
  const inner = linear(b, middle, names.inner, { outFeatures: config.intermediateSize });
  const outer = linear(b, activation(b, inner, config.activation), names.outer, { outFeatures: width });
  return layerNorm(b, b.add(outer, middle), names.outerNorm, eps);
}

/** Words, token types where there are any, and positions, normalised. */
function embed(b: GraphBuilder, config: BertConfig): Node {
  const { hiddenSize: width } = config;
  const { batch, tokens } = b.dims;
  const table = (name: string, rows: number): Node => b.weight(`embeddings.${name}_embeddings.weight`, [rows, width]);
  const words = b.gather(table("word", config.vocabSize), b.input("input_ids", [batch, tokens], "i32"));
  const types = (): Node =>
    b.gather(table("token_type", config.tokenTypes), b.input("token_type_ids", [batch, tokens], "i32"));
  const typed = config.tokenTypes === 0 ? words : b.add(words, types());
  // Where padding takes no position, texts of a batch have positions of their own.
  const places = b.input("position_ids", config.firstPosition === 0 ? [tokens] : [batch, tokens], "i32");
  const positions = b.gather(table("position", config.maxPositions), places);
  return layerNorm(b, b.add(typed, positions), "embeddings.LayerNorm.", config.eps);
}

/** In the order of their calls. */
export function bertComponents(config: BertConfig, sentence: SentenceConfig | undefined): readonly ComponentSpec[] {
  const { hiddenSize: width } = config;
  const most = mostTokens(config);
  const symbols: Box = { batch: { min: 1, max: MAX_BATCH }, tokens: { min: 1, max: most } };
  const byTokens: RangeSpec = { ends: { tokens: TOKEN_ENDS.filter((end) => end < most) } };
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    tag: `bert/text.${tag}`,
    symbols,
    instances,
    build,
  });
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
  const mask = (b: GraphBuilder): Node => b.input("key_mask", [b.dims.batch, b.dims.tokens]);
  const components = [
    part("embed", [""], (b) => b.output("hidden_states", embed(b, config))),
    {
      ...part("block", layerNames(config), (b) => b.output("hidden_states", block(b, hidden(b), mask(b), config))),
      ranges: byTokens,
    },
  ];
  if (config.pooler) {
    components.push({
      ...part("pool", [""], (b) => {
        const first = b.reshape(b.slice(hidden(b), 1, 0, 1), [b.dims.batch, width]);
        b.output("pooler_output", b.unary("tanh", linear(b, first, "pooler.dense.", { outFeatures: width })));
      }),
      precise: true,
    });
  }
  if (sentence !== undefined) {
    components.push({
      ...part("sentence", [""], (b) => b.output("sentence_embedding", sentencePooling(b, hidden(b), sentence))),
      precise: true,
    });
  }
  return components;
}
