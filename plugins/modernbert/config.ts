/** ModernBERT's `config.json` in the spellings of both transformers generations, with their defaults for absent fields. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { layerTheta } from "../../runtime/abi/rotary_config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** Which keys a layer's tokens see: all, or those near by. */
export type LayerType = "full_attention" | "sliding_attention";

/** Sizes in elements. */
export interface ModernBertConfig {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** By layer. */
  readonly layerTypes: readonly LayerType[];
  /** A token of a sliding layer sees keys at most this many tokens away. */
  readonly window: number;
  /** Base of the rotary frequencies. */
  readonly theta: Readonly<Record<LayerType, number>>;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  readonly normBias: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  readonly padTokenId: number;
}

/** `model_type` values. */
export const MODERNBERT_MODEL_TYPES: readonly string[] = ["modernbert"];

const SIZE = { min: 1, max: 1 << 20 };
const LAYER_TYPES: readonly LayerType[] = ["full_attention", "sliding_attention"];
const DEFAULT_THETA: Readonly<Record<LayerType, number>> = { full_attention: 160_000, sliding_attention: 10_000 };

/** Listed layer by layer, or every n-th one is full, the first among them. */
function readLayerTypes(c: ConfigReader): readonly LayerType[] {
  const layers = c.integer("num_hidden_layers", 22, { min: 1, max: 1024 });
  const every = c.integer("global_attn_every_n_layers", 3, { min: 1 });
  if (!c.has("layer_types"))
    return Array.from({ length: layers }, (_, i) => (i % every === 0 ? "full_attention" : "sliding_attention"));
  const types = c.strings("layer_types");
  const isType = (t: string): t is LayerType => (LAYER_TYPES as readonly string[]).includes(t);
  if (types.length !== layers || !types.every(isType)) {
    throw c.error("layer_types", `${layers} of ${LAYER_TYPES.join(" and ")}, one for each of num_hidden_layers`);
  }
  return types as readonly LayerType[];
}

function readTheta(c: ConfigReader): Readonly<Record<LayerType, number>> {
  const of = (kind: LayerType, field: string): number =>
    layerTheta(c, { kind, field, fallback: DEFAULT_THETA[kind], scaling: true });
  return {
    full_attention: of("full_attention", "global_rope_theta"),
    sliding_attention: of("sliding_attention", "local_rope_theta"),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readModernBertConfig(config: Readonly<Record<string, unknown>>): ModernBertConfig {
  const c = createConfigReader(config);
  c.oneOf("model_type", MODERNBERT_MODEL_TYPES);
  const hiddenSize = c.integer("hidden_size", 768, SIZE);
  const heads = c.integer("num_attention_heads", 12, SIZE);
  if (hiddenSize % (2 * heads) !== 0)
    throw c.error("num_attention_heads", `heads of an even width out of hidden_size ${hiddenSize}`);
  return {
    vocabSize: c.integer("vocab_size", 50368, { min: 1 }),
    maxPositions: c.integer("max_position_embeddings", 8192, SIZE),
    hiddenSize,
    intermediateSize: c.integer("intermediate_size", 1152, SIZE),
    heads,
    layerTypes: readLayerTypes(c),
    // The configuration counts both sides.
    window: Math.floor(c.integer("local_attention", 128, { min: 2 }) / 2),
    theta: readTheta(c),
    activation: c.oneOf("hidden_activation", ACTIVATION_NAMES, "gelu"),
    eps: c.number("norm_eps", 1e-5, { min: 0 }),
    normBias: c.boolean("norm_bias", false),
    attentionBias: c.boolean("attention_bias", false),
    mlpBias: c.boolean("mlp_bias", false),
    padTokenId: c.integer("pad_token_id", 50283),
  };
}
