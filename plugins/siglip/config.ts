/** `config.json` of SigLIP, SigLIP 2 and the models that look through them, with the defaults that Hugging Face transformers gives to absent fields. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { type FeatureProjector, readFeatureProjector } from "../../runtime/abi/feature_projector.ts";
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

/** Whole patches along a side. */
export const patchesPerSide = ({ imageSize, patchSize }: SiglipFixedVisionConfig): number =>
  Math.floor(imageSize / patchSize);

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

/** What makes vectors of a language model out of patches; its width is that model's. */
export type SiglipProjector =
  /** PaliGemma's: a dense layer for each patch. */
  | { readonly kind: "linear"; readonly width: number }
  /** Gemma 3's: means over squares of `square` x `square` patches, a norm, a product. */
  | { readonly kind: "pooled"; readonly width: number; readonly square: number }
  /** LLaVA's: two layers for each patch, of hidden states of any layers. */
  | ({ readonly kind: "features" } & FeatureProjector);

export interface SiglipConfig {
  readonly vision?: SiglipVisionConfig;
  /** Of models whose language part is left out. */
  readonly projector?: SiglipProjector;
  readonly text?: SiglipTextConfig;
}

const VISION_TYPES: readonly string[] = ["siglip_vision_model", "siglip2_vision_model"];
const TEXT_TYPES: readonly string[] = ["siglip_text_model", "siglip2_text_model"];

/** Gemma 3 (Gemma Team 2025), of which this is the part that sees. */
const GEMMA3 = "gemma3";
/** PaliGemma and PaliGemma 2 (Beyer et al. 2024, Steiner et al. 2024), of which this is the part that sees. */
const PALIGEMMA = "paligemma";
/** LLaVA (Liu et al. 2023) with a tower of SigLIP, of which this is the part that sees. */
const LLAVA = "llava";

/** Both towers, the vision tower alone, the text tower alone, what looks through one. */
const TYPES: readonly string[] = ["siglip", "siglip2", ...VISION_TYPES, ...TEXT_TYPES, GEMMA3, PALIGEMMA];

/** Entries of `EncoderSpec.modelTypes`. */
export const SIGLIP_MODEL_TYPES: readonly string[] = [...TYPES, `${LLAVA}/siglip_vision_model`];

/** PaliGemma's tower where its configuration has none. */
const PALIGEMMA_VISION = {
  ...{ hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16 },
  ...{ patch_size: 14, vision_use_head: false },
};

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

const readVisionBase = (c: ConfigReader): SiglipVisionBase => ({
  ...readTransformer(c),
  patchSize: c.integer("patch_size", 16, SIZE),
  channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
  pools: c.boolean("vision_use_head", true),
});

function readNaflexVision(c: ConfigReader): SiglipNaflexVisionConfig {
  const positions = c.integer("num_patches", 256, SIZE);
  const positionSide = Math.floor(Math.sqrt(positions));
  if (positionSide * positionSide !== positions) throw c.error("num_patches", "a square number");
  return { ...readVisionBase(c), kind: "naflex", positionSide };
}

function readFixedVision(c: ConfigReader): SiglipFixedVisionConfig {
  const base = readVisionBase(c);
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

/** A part of a whole model; where it is absent, `absent` stands for it. */
const partOf = (whole: ConfigReader, name: string, absent: object = {}): ConfigReader =>
  whole.has(name) ? whole.object(name) : createConfigReader(absent, name);

/** @throws FoveaError `invalid_config` */
function readPooled(whole: ConfigReader, vision: SiglipFixedVisionConfig): SiglipProjector {
  const side = patchesPerSide(vision);
  const tokens = whole.integer("mm_tokens_per_image", 256, SIZE);
  const square = Math.floor(side / Math.floor(Math.sqrt(tokens)));
  if (square === 0) throw whole.error("mm_tokens_per_image", `at most ${side * side}, the patches of a picture`);
  return { kind: "pooled", width: partOf(whole, "text_config").integer("hidden_size", 2304, SIZE), square };
}

/** A tower with what hands its patches to a language model. */
function readSeeing(config: Readonly<Record<string, unknown>>, type: string): SiglipConfig {
  const whole = createConfigReader(config);
  const tower = partOf(whole, "vision_config", type === PALIGEMMA ? PALIGEMMA_VISION : {});
  tower.oneOf("model_type", ["siglip_vision_model"], "siglip_vision_model");
  const vision = readFixedVision(tower);
  if (type === GEMMA3) return { vision, projector: readPooled(whole, vision) };
  if (type === LLAVA) {
    const projector = readFeatureProjector(config, vision.layers, ACTIVATION_NAMES);
    if (projector.dropsFirst && patchesPerSide(vision) === 1)
      throw whole.error("vision_feature_select_strategy", "full, since a picture has one patch and nothing before it");
    return { vision, projector: { kind: "features", ...projector } };
  }
  return { vision, projector: { kind: "linear", width: whole.integer("projection_dim", 2048, SIZE) } };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readSiglipConfig(config: Readonly<Record<string, unknown>>): SiglipConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", [...TYPES, LLAVA]);
  if ([GEMMA3, PALIGEMMA, LLAVA].includes(type)) return readSeeing(config, type);
  const readVision = type.startsWith("siglip2") ? readNaflexVision : readFixedVision;
  if (VISION_TYPES.includes(type)) return { vision: readVision(whole) };
  if (TEXT_TYPES.includes(type)) return { text: readText(whole) };
  // A tower without a configuration has the defaults throughout.
  return { vision: readVision(partOf(whole, "vision_config")), text: readText(partOf(whole, "text_config")) };
}
