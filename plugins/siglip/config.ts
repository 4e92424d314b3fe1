/** SigLIP's and SigLIP 2's `config.json`, with the defaults that Hugging Face transformers gives to absent fields. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** What all towers have. Sizes in elements. */
export interface SiglipTransformerConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
}

interface SiglipVisionBase extends SiglipTransformerConfig {
  readonly patchSize: number;
  readonly channels: number;
  /** False for checkpoints without the attention-pool head. */
  readonly pools: boolean;
}

/** Square images of one size. */
export interface SiglipFixedVisionConfig extends SiglipVisionBase {
  readonly kind: "fixed";
  /** Pixels of the square image; what exceeds a multiple of the patch is not looked at. */
  readonly imageSize: number;
}

/** NaFlex: any grid of patches, with position embeddings resized to it. */
export interface SiglipNaflexVisionConfig extends SiglipVisionBase {
  readonly kind: "naflex";
  /** Rows and columns of the square table of position embeddings. */
  readonly positionSide: number;
}

export type SiglipVisionConfig = SiglipFixedVisionConfig | SiglipNaflexVisionConfig;

export interface SiglipTextConfig extends SiglipTransformerConfig {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly padTokenId: number;
  /** Width of the embedding space. */
  readonly projectionSize: number;
}

export interface SiglipConfig {
  readonly vision?: SiglipVisionConfig;
  readonly text?: SiglipTextConfig;
}

const VISION_TYPES: readonly string[] = ["siglip_vision_model", "siglip2_vision_model"];
const TEXT_TYPES: readonly string[] = ["siglip_text_model", "siglip2_text_model"];

/** `model_type` values: both towers, the vision tower alone, the text tower alone. */
export const SIGLIP_MODEL_TYPES: readonly string[] = ["siglip", "siglip2", ...VISION_TYPES, ...TEXT_TYPES];

const SIZE = { min: 1, max: 1 << 20 };

function readTransformer(c: ConfigReader): SiglipTransformerConfig {
  const hiddenSize = c.integer("hidden_size", 768, SIZE);
  const heads = c.integer("num_attention_heads", 12, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  return {
    hiddenSize,
    heads,
    intermediateSize: c.integer("intermediate_size", 3072, SIZE),
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu_pytorch_tanh"),
    eps: c.number("layer_norm_eps", 1e-6, { min: 0 }),
  };
}

function readVision(c: ConfigReader, naflex: boolean): SiglipVisionConfig {
  const base = {
    ...readTransformer(c),
    patchSize: c.integer("patch_size", 16, SIZE),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
    pools: c.boolean("vision_use_head", true),
  };
  if (naflex) {
    const positions = c.integer("num_patches", 256, SIZE);
    const positionSide = Math.floor(Math.sqrt(positions));
    if (positionSide * positionSide !== positions) throw c.error("num_patches", "a square number");
    return { ...base, kind: "naflex", positionSide };
  }
  const imageSize = c.integer("image_size", 224, SIZE);
  if (imageSize < base.patchSize) throw c.error("image_size", `at least patch_size ${base.patchSize}`);
  return { ...base, kind: "fixed", imageSize };
}

function readText(c: ConfigReader): SiglipTextConfig {
  const transformer = readTransformer(c);
  return {
    ...transformer,
    vocabSize: c.integer("vocab_size", 32000, { min: 1 }),
    maxPositions: c.integer("max_position_embeddings", 64, SIZE),
    padTokenId: c.integer("pad_token_id", 1, { min: 0 }),
    projectionSize: c.integer("projection_size", transformer.hiddenSize, SIZE),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readSiglipConfig(config: Readonly<Record<string, unknown>>): SiglipConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", SIGLIP_MODEL_TYPES);
  const naflex = type.startsWith("siglip2");
  if (VISION_TYPES.includes(type)) return { vision: readVision(whole, naflex) };
  if (TEXT_TYPES.includes(type)) return { text: readText(whole) };
  // A tower without a configuration has the defaults throughout.
  const tower = (name: string): ConfigReader => (whole.has(name) ? whole.object(name) : createConfigReader({}, name));
  return { vision: readVision(tower("vision_config"), naflex), text: readText(tower("text_config")) };
}
