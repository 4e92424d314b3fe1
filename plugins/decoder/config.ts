/** `config.json` of language models of decoder blocks, in the spellings of both transformers generations, with their defaults. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { layerTheta, ropeTheta } from "../../runtime/abi/rotary_config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** Which keys a layer's tokens see: all that they may, or those near by. */
export type LayerType = "full_attention" | "sliding_attention";

/** Sizes in elements. */
export interface DecoderConfig {
  readonly vocabSize: number;
  readonly maxTokens: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** Heads of keys and values, which neighbouring heads of queries share. */
  readonly keyHeads: number;
  readonly headDim: number;
  /** By layer. */
  readonly layerTypes: readonly LayerType[];
  /** A token sees itself and what comes before it. */
  readonly causal: boolean;
  /** A token of a sliding layer sees keys at most this many tokens away; 0 where no layer slides. */
  readonly window: number;
  /** Base of the rotary frequencies. */
  readonly theta: Readonly<Record<LayerType, number>>;
  /** Factor on query x key. */
  readonly scale: number;
  /** Factor on the embeddings of tokens. */
  readonly embeddingScale: number;
  /** Activation of the gate by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  /** Norms multiply by 1 + weight, and results of attention and perceptron are normalised before they are added. */
  readonly gemma: boolean;
  readonly attentionBias: boolean;
  readonly padTokenId: number;
}

const SIZE = { min: 1, max: 1 << 20 };
const POSITIVE = { min: Number.MIN_VALUE };
/** Texts of models that are told to read more are cut here: what embedders are trained for, and attention's time. */
const MOST_TOKENS = 32_768;
const LAYER_TYPES: readonly LayerType[] = ["full_attention", "sliding_attention"];

function readLayerTypes(c: ConfigReader, isSliding: (layer: number) => boolean, layers: number): readonly LayerType[] {
  if (!c.has("layer_types")) {
    return Array.from({ length: layers }, (_, i) => (isSliding(i) ? "sliding_attention" : "full_attention"));
  }
  const types = c.strings("layer_types");
  const isType = (t: string): t is LayerType => (LAYER_TYPES as readonly string[]).includes(t);
  if (types.length !== layers || !types.every(isType)) {
    throw c.error("layer_types", `${layers} of ${LAYER_TYPES.join(" and ")}, one for each of num_hidden_layers`);
  }
  return types as readonly LayerType[];
}

interface Defaults {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** As many as heads unless given. */
  readonly keyHeads?: number;
  readonly headDim: number;
}

type Sizes = Pick<
  DecoderConfig,
  | ("vocabSize" | "maxTokens" | "hiddenSize" | "intermediateSize")
  | ("heads" | "keyHeads" | "headDim" | "eps" | "attentionBias")
>;

function readSizes(c: ConfigReader, defaults: Defaults): Sizes {
  const heads = c.integer("num_attention_heads", defaults.heads, SIZE);
  const keyHeads = c.integer("num_key_value_heads", defaults.keyHeads ?? heads, SIZE);
  if (heads % keyHeads !== 0) throw c.error("num_key_value_heads", `a divisor of num_attention_heads ${heads}`);
  const headDim = c.integer("head_dim", defaults.headDim, SIZE);
  if (headDim % 2 !== 0) throw c.error("head_dim", "an even number");
  return {
    vocabSize: c.integer("vocab_size", defaults.vocabSize, { min: 1 }),
    maxTokens: Math.min(MOST_TOKENS, c.integer("max_position_embeddings", defaults.maxPositions, SIZE)),
    hiddenSize: c.integer("hidden_size", defaults.hiddenSize, SIZE),
    intermediateSize: c.integer("intermediate_size", defaults.intermediateSize, SIZE),
    ...{ heads, keyHeads, headDim },
    eps: c.number("rms_norm_eps", 1e-6, { min: 0 }),
    attentionBias: c.boolean("attention_bias", false),
  };
}

const layersOf = (c: ConfigReader, fallback: number): number =>
  c.integer("num_hidden_layers", fallback, { min: 1, max: 1024 });

/** Gemma 3 (Gemma Team 2025), as whose text tower EmbeddingGemma (2025) sees both ways. */
function readGemma(c: ConfigReader): DecoderConfig {
  const sizes = readSizes(c, {
    ...{ vocabSize: 262_208, maxPositions: 131_072, hiddenSize: 2304, intermediateSize: 9216 },
    ...{ heads: 8, keyHeads: 4, headDim: 256 },
  });
  const every = c.integer("sliding_window_pattern", 6, { min: 1 });
  const layerTypes = readLayerTypes(c, (layer) => (layer + 1) % every !== 0, layersOf(c, 26));
  const causal = !c.boolean("use_bidirectional_attention", false);
  const slides = layerTypes.includes("sliding_attention");
  const window = slides ? c.integer("sliding_window", 4096, { min: 1 }) : 0;
  const theta = {
    full_attention: layerTheta(c, { kind: "full_attention", field: "rope_theta", fallback: 1_000_000, scaling: true }),
    sliding_attention: layerTheta(c, {
      ...{ kind: "sliding_attention", field: "rope_local_base_freq", fallback: 10_000, scaling: false },
    }),
  };
  return {
    ...{ ...sizes, layerTypes, causal, theta },
    // Of what sees both ways the configuration counts both sides.
    window: slides && !causal ? Math.floor(window / 2) : Math.max(0, window - 1),
    scale: 1 / Math.sqrt(c.number("query_pre_attn_scalar", 256, POSITIVE)),
    embeddingScale: Math.fround(Math.sqrt(sizes.hiddenSize)),
    activation: c.oneOf("hidden_activation", ACTIVATION_NAMES, "gelu_pytorch_tanh"),
    gemma: true,
    padTokenId: c.integer("pad_token_id", 0),
  };
}

/** Qwen3 (Yang et al. 2025), of which Qwen3-Embedding (Zhang et al. 2025) is made. */
function readQwen3(c: ConfigReader): DecoderConfig {
  const sizes = readSizes(c, {
    ...{ vocabSize: 151_936, maxPositions: 32_768, hiddenSize: 4096, intermediateSize: 22_016 },
    ...{ heads: 32, headDim: 128 },
  });
  if (c.boolean("use_sliding_window", false)) throw c.error("use_sliding_window", "false");
  const layerTypes = readLayerTypes(c, () => false, layersOf(c, 32));
  if (layerTypes.includes("sliding_attention")) throw c.error("layer_types", "full_attention alone");
  const own = c.number("rope_theta", 10_000, POSITIVE);
  const settings = ["rope_scaling", "rope_parameters"].find((field) => c.has(field));
  const base = settings === undefined ? own : ropeTheta(c.object(settings), own);
  return {
    ...{ ...sizes, layerTypes, causal: true, window: 0 },
    theta: { full_attention: base, sliding_attention: base },
    scale: 1 / Math.sqrt(sizes.headDim),
    embeddingScale: 1,
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "silu"),
    gemma: false,
    padTokenId: c.integer("pad_token_id", 0),
  };
}

const READERS: Readonly<Record<string, (c: ConfigReader) => DecoderConfig>> = {
  gemma3_text: readGemma,
  qwen3: readQwen3,
};

/** `model_type` values. */
export const DECODER_MODEL_TYPES: readonly string[] = Object.keys(READERS);

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readDecoderConfig(config: Readonly<Record<string, unknown>>): DecoderConfig {
  const c = createConfigReader(config);
  return READERS[c.oneOf("model_type", DECODER_MODEL_TYPES)](c);
}
