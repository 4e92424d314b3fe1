/** `config.json` of CLIP, MetaCLIP 2, LLaVA and LLaVA-NeXT, with the defaults that Hugging Face transformers gives to absent fields. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { type FeatureProjector, readFeatureProjector } from "../../runtime/abi/feature_projector.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";
import { readResolutions, type TileGeometry } from "./tile_geometry.ts";

/** What both towers have. Sizes in elements. */
export interface ClipTransformerConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  /** Width of the embedding space; absent for checkpoints without a projection. */
  readonly projectionDim?: number;
}

export interface ClipVisionConfig extends ClipTransformerConfig {
  /** Pixels of the square image; what fills no patch is left out. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
}

export interface ClipTextConfig extends ClipTransformerConfig {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly eosTokenId: number;
  /** The text is pooled at its largest id in place of its first end token. */
  readonly poolsAtLargest: boolean;
  readonly padTokenId: number;
}

export interface ClipConfig {
  readonly vision?: ClipVisionConfig;
  /** Of LLaVA, whose language part is left out. */
  readonly projector?: FeatureProjector;
  /** Of LLaVA-NeXT, whose pictures are cut into tiles. */
  readonly tiles?: TileGeometry;
  readonly text?: ClipTextConfig;
  /** Natural logarithm of the scale of image-text logits, where a checkpoint has none. */
  readonly logitScale: number;
}

/** CLIP, and MetaCLIP 2 (Chuang et al. 2025), which differs from it in where it pools its texts. */
const FAMILIES = ["clip", "metaclip_2"];

/** LLaVA (Liu et al. 2023), of which this is the part that sees; plugins of other towers serve it with those. */
const LLAVA = "llava";
/** LLaVA-NeXT (Liu et al. 2024), of which this is the part that sees. */
const LLAVA_NEXT = "llava_next";

/** `model_type` values: both towers, the vision tower alone, the text tower alone, what looks through one. */
export const CLIP_MODEL_TYPES: readonly string[] = [
  ...FAMILIES.flatMap((family) => [family, `${family}_vision_model`, `${family}_text_model`]),
  LLAVA,
  LLAVA_NEXT,
];

/** LLaVA's tower where its configuration has none: that of CLIP ViT-L/14 at 336 pixels. */
const LLAVA_VISION = {
  ...{ hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, num_attention_heads: 16 },
  ...{ image_size: 336, patch_size: 14 },
};

/** Published configs of CLIP with this id were converted wrongly: their models pool at the largest id. MetaCLIP 2's end token has it. */
const LEGACY_EOS = 2;

/** ln(1 / 0.07), as in the paper: Radford et al. 2021. */
const LOGIT_SCALE = 2.6592;
const PROJECTION_DIM = 512;

const SIZE = { min: 1, max: 1 << 20 };

function readTransformer(
  c: ConfigReader,
  defaults: { readonly hiddenSize: number; readonly intermediateSize: number; readonly heads: number },
): Omit<ClipTransformerConfig, "projectionDim"> {
  const hiddenSize = c.integer("hidden_size", defaults.hiddenSize, SIZE);
  const heads = c.integer("num_attention_heads", defaults.heads, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  return {
    hiddenSize,
    heads,
    intermediateSize: c.integer("intermediate_size", defaults.intermediateSize, SIZE),
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "quick_gelu"),
    eps: c.number("layer_norm_eps", 1e-5, { min: 0 }),
  };
}

function readVision(c: ConfigReader): ClipVisionConfig {
  const transformer = readTransformer(c, { hiddenSize: 768, intermediateSize: 3072, heads: 12 });
  const imageSize = c.integer("image_size", 224, SIZE);
  const patchSize = c.integer("patch_size", 32, SIZE);
  if (imageSize < patchSize) throw c.error("image_size", `at least patch_size ${patchSize}`);
  return { ...transformer, imageSize, patchSize, channels: c.integer("num_channels", 3, { min: 1, max: 64 }) };
}

function readText(c: ConfigReader, type: string): ClipTextConfig {
  const transformer = readTransformer(c, { hiddenSize: 512, intermediateSize: 2048, heads: 8 });
  const vocabSize = c.integer("vocab_size", 49408, { min: 1 });
  const eosTokenId = c.integer("eos_token_id", 49407);
  return {
    ...transformer,
    vocabSize,
    maxPositions: c.integer("max_position_embeddings", 77, SIZE),
    eosTokenId,
    poolsAtLargest: type.startsWith("clip") && eosTokenId === LEGACY_EOS,
    padTokenId: c.integer("pad_token_id", 1),
  };
}

/** A tower of a whole CLIP, with the defaults throughout where it is absent; `<name>_dict` is an older spelling that wins where both exist, as in transformers. */
function towerConfig(config: Readonly<Record<string, unknown>>, name: string): ConfigReader {
  const whole = createConfigReader(config);
  const old = `${name}_dict`;
  if (!whole.has(old)) return whole.has(name) ? whole.object(name) : createConfigReader({}, name);
  whole.object(old);
  if (whole.has(name)) whole.object(name);
  return createConfigReader({ ...(config[name] as object), ...(config[old] as object) }, name);
}

/** A tower that was saved alone has a projection when its architecture says so. */
function ownProjection(c: ConfigReader): { readonly projectionDim?: number } {
  const projects = c.strings("architectures", []).some((name) => name.endsWith("WithProjection"));
  return projects ? { projectionDim: c.integer("projection_dim", PROJECTION_DIM, SIZE) } : {};
}

/** How LLaVA-NeXT lays tiles out. @throws FoveaError `invalid_config` */
function readTiles(
  config: Readonly<Record<string, unknown>>,
  whole: ConfigReader,
  { imageSize, patchSize }: ClipVisionConfig,
): TileGeometry {
  // A class token among patches would have no place in a picture.
  whole.oneOf("vision_feature_select_strategy", ["default"], "default");
  const side = Math.floor(imageSize / patchSize);
  return { resolutions: readResolutions(config, whole, imageSize), tile: imageSize, side };
}

/** A tower with what hands its hidden states to a language model. */
function readSeeing(config: Readonly<Record<string, unknown>>, type: string): Omit<ClipConfig, "logitScale"> {
  const whole = createConfigReader(config);
  const tower = whole.has("vision_config")
    ? whole.object("vision_config")
    : createConfigReader(LLAVA_VISION, "vision_config");
  const own = "clip_vision_model";
  if (type === LLAVA_NEXT) tower.oneOf("model_type", [own], own);
  if (tower.string("model_type", own) !== own) {
    throw tower.error(
      "model_type",
      `${own}, or pixtral or siglip_vision_model, which the plugins of those towers serve`,
    );
  }
  const vision = readVision(tower);
  const projector = readFeatureProjector(config, vision.layers, ACTIVATION_NAMES);
  return { vision, projector, ...(type === LLAVA_NEXT ? { tiles: readTiles(config, whole, vision) } : {}) };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readClipConfig(config: Readonly<Record<string, unknown>>): ClipConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", CLIP_MODEL_TYPES);
  const logitScale = whole.number("logit_scale_init_value", LOGIT_SCALE);
  if (type === LLAVA || type === LLAVA_NEXT) return { ...readSeeing(config, type), logitScale };
  if (type.endsWith("_vision_model")) return { vision: { ...readVision(whole), ...ownProjection(whole) }, logitScale };
  if (type.endsWith("_text_model")) return { text: { ...readText(whole, type), ...ownProjection(whole) }, logitScale };
  const projectionDim = whole.integer("projection_dim", PROJECTION_DIM, SIZE);
  return {
    vision: { ...readVision(towerConfig(config, "vision_config")), projectionDim },
    text: { ...readText(towerConfig(config, "text_config"), type), projectionDim },
    logitScale,
  };
}
