/**
 * BERT's components, and those of what was made of it. Weight names are relative to the instance, whose prefix ends
 * with its dot; shapes of hidden states are [batch, tokens, hidden_size]. Blocks say nothing of their layer, so that all layers
 * share one artifact per range.
 */
import type { ComponentSpec, GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import type { SentenceConfig } from "../../runtime/abi/sentence_config.ts";
import type { Box } from "../../runtime/core/dim.ts";
import type { RangeSpec } from "../../runtime/core/range.ts";
import { activation, layerNorm, linear, sentencePooling } from "../../runtime/nn/mod.ts";
import { type BertConfig, mostTokens } from "./config.ts";

/** Texts of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;
/** Where all scores of a layer lie in memory. */
const MAX_BATCH_BY_DISTANCE = 16;

/**
 * Queries rarely pass 32 tokens and paragraphs 128; without the splits their blocks would run code chosen for the longest
 * text. What comes before and after the blocks is too little work for ranges of its own.
 */
const TOKEN_ENDS = [32, 128];

export const layerNames = ({ layers, names }: BertConfig): readonly string[] =>
  Array.from({ length: layers }, (_, i) => names.layer(i));

/** What a score loses whose key is padding: more than scores differ by, and small enough that f32 keeps them beside it. */
const PADDING_LOSS = 1e4;

/** softmax(q k^T / sqrt(head_dim) + bias) v of every head; bias [heads, tokens, tokens]. */
function attendByDistance(b: GraphBuilder, [q, k, v]: readonly Node[], keyMask: Node, bias: Node): Node {
  const [batch, tokens, , headDim] = q.shape;
  const byHead = (x: Node): Node => b.transpose(x, [0, 2, 1, 3]);
  const scale = b.constant(1 / Math.sqrt(headDim as number));
  const scores = b.add(b.matmul(byHead(b.mul(q, scale)), byHead(k), { transposeB: true }), bias);
  const seen = b.reshape(b.sub(keyMask, b.constant(1)), [batch, 1, 1, tokens]);
  const weights = b.softmax(b.add(scores, b.mul(seen, b.constant(PADDING_LOSS))));
  return byHead(b.matmul(weights, byHead(v)));
}

/** Query, key and value, [batch, tokens, heads, head_dim] each. */
function projections(b: GraphBuilder, x: Node, { hiddenSize: width, heads, bias, names }: BertConfig): readonly Node[] {
  const [batch, tokens] = x.shape;
  const byHead = (value: Node): Node => b.reshape(value, [batch, tokens, heads, width / heads]);
  const [first, ...more] = names.projections;
  if (more.length > 0) return names.projections.map((name) => byHead(linear(b, x, name, { outFeatures: width, bias })));
  const all = linear(b, x, first, { outFeatures: 3 * width, bias });
  return [0, 1, 2].map((third) => byHead(b.slice(all, 2, third * width, (third + 1) * width)));
}

/** The first layer of a perceptron, with its activation and what gates it. */
function perceptron(b: GraphBuilder, x: Node, config: BertConfig): Node {
  const { intermediateSize: outFeatures, bias, names } = config;
  const inner = linear(b, x, names.inner, { outFeatures, bias });
  if (names.gate === undefined) return activation(b, inner, config.activation);
  return b.mul(activation(b, linear(b, x, names.gate, { outFeatures, bias }), config.activation), inner);
}

/** softmax(q k^T / sqrt(head_dim)) v of every head, with what distances add where the model has that. */
function attend(b: GraphBuilder, x: Node, keyMask: Node, bias: Node | undefined, config: BertConfig): Node {
  const { hiddenSize: width, heads, theta } = config;
  const [batch, tokens] = x.shape;
  const headDim = width / heads;
  const turned = ([q, k, v]: readonly Node[]): readonly Node[] => {
    if (theta === undefined) return [q, k, v];
    const [cos, sin] = ["cos", "sin"].map((name) => b.input(name, [tokens, headDim / 2]));
    return [b.rotary(q, cos, sin), b.rotary(k, cos, sin), v];
  };
  const [q, k, v] = turned(projections(b, x, config));
  const mixed = bias === undefined ? b.attention(q, k, v, { keyMask }) : attendByDistance(b, [q, k, v], keyMask, bias);
  return b.reshape(mixed, [batch, tokens, width]);
}

/** Post-norm (Devlin et al. 2019, after Vaswani et al. 2017): norm(x + attention(x)), then norm(x + mlp(x)). */
function block(b: GraphBuilder, x: Node, keyMask: Node, distances: Node | undefined, config: BertConfig): Node {
  const { hiddenSize: outFeatures, eps, bias, names } = config;
  const attended = linear(b, attend(b, x, keyMask, distances, config), names.attended, { outFeatures, bias });
  const middle = layerNorm(b, b.add(attended, x), names.attendedNorm, eps);
  const outer = linear(b, perceptron(b, middle, config), names.outer, { outFeatures, bias });
  return layerNorm(b, b.add(outer, middle), names.outerNorm, eps);
}

/** Words, token types where there are any, and positions where attention does not turn by them, normalised. */
function embed(b: GraphBuilder, config: BertConfig): Node {
  const { hiddenSize: width } = config;
  const { batch, tokens } = b.dims;
  const table = (name: string, rows: number): Node => b.weight(`embeddings.${name}_embeddings.weight`, [rows, width]);
  const words = b.gather(table("word", config.vocabSize), b.input("input_ids", [batch, tokens], "i32"));
  const types = (): Node =>
    b.gather(table("token_type", config.tokenTypes), b.input("token_type_ids", [batch, tokens], "i32"));
  const typed = config.tokenTypes === 0 ? words : b.add(words, types());
  if (config.theta !== undefined) return layerNorm(b, typed, config.names.embeddingNorm, config.eps);
  // Where padding takes no position, texts of a batch have positions of their own.
  const places = b.input("position_ids", config.firstPosition === 0 ? [tokens] : [batch, tokens], "i32");
  const positions = b.gather(table("position", config.maxPositions), places);
  return layerNorm(b, b.add(typed, positions), config.names.embeddingNorm, config.eps);
}

/** In the order of their calls. */
export function bertComponents(config: BertConfig, sentence: SentenceConfig | undefined): readonly ComponentSpec[] {
  const { hiddenSize: width } = config;
  const most = mostTokens(config);
  const byDistance = config.relativeBuckets > 0;
  const symbols: Box = {
    batch: { min: 1, max: byDistance ? MAX_BATCH_BY_DISTANCE : MAX_BATCH },
    tokens: { min: 1, max: most },
  };
  const byTokens: RangeSpec = { ends: { tokens: TOKEN_ENDS.filter((end) => end < most) } };
  const part = (tag: string, instances: readonly string[], build: (b: GraphBuilder) => void): ComponentSpec => ({
    tag: `bert/text.${tag}`,
    symbols,
    instances,
    build,
  });
  const hidden = (b: GraphBuilder): Node => b.input("hidden_states", [b.dims.batch, b.dims.tokens, width]);
  const mask = (b: GraphBuilder): Node => b.input("key_mask", [b.dims.batch, b.dims.tokens]);
  const bias = (b: GraphBuilder): Node | undefined =>
    byDistance ? b.input("position_bias", [config.heads, b.dims.tokens, b.dims.tokens]) : undefined;
  const components = [
    part("embed", [""], (b) => b.output("hidden_states", embed(b, config))),
    {
      ...part("block", layerNames(config), (b) =>
        b.output("hidden_states", block(b, hidden(b), mask(b), bias(b), config)),
      ),
      ranges: byTokens,
    },
  ];
  if (byDistance) {
    components.push({
      ...part("bias", ["encoder."], (b) => {
        const table = b.weight("relative_attention_bias.weight", [config.relativeBuckets, config.heads]);
        const rows = b.gather(table, b.input("buckets", [b.dims.tokens, b.dims.tokens], "i32"));
        b.output("position_bias", b.transpose(rows, [2, 0, 1]));
      }),
      symbols: { tokens: symbols.tokens },
    });
  }
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
