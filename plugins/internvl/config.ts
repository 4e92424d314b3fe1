/** `config.json` of InternVL, of which the vision half is read, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

export interface InternVLProjectorConfig {
  /** Patches along each side of the square that becomes one token. */
  readonly shuffle: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  /** Width of the language model's tokens. */
  readonly size: number;
}

/** Sizes in elements. */
export interface InternVLConfig {
  /** Where the vision tower's tensors lie in a checkpoint: a prefix with its dot, or nothing. */
  readonly prefix: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly norm: "layer_norm" | "rms_norm";
  readonly eps: number;
  /** True where queries, keys and values have a bias. */
  readonly qkvBias: boolean;
  /** True where queries and keys are normalised over their whole width. */
  readonly qkNorm: boolean;
  /** Pixels of the square image that the model was trained with; others are taken too. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** False where tokens have no position of their own. */
  readonly positions: boolean;
  /** True where a norm follows the last layer. */
  readonly finalNorm: boolean;
  /** Absent where the checkpoint is the vision tower alone. */
  readonly projector?: InternVLProjectorConfig;
}

type Json = Readonly<Record<string, unknown>>;

/** `model_type` values: the whole model, the vision tower alone. */
export const INTERNVL_MODEL_TYPES: readonly string[] = ["internvl", "internvl_vision"];

const SIZE = { min: 1, max: 1 << 20 };

/** A side of a square, as a number or as two equal ones. */
function readSquare(c: ConfigReader, json: Json, field: string, fallback: number): number {
  if (!Array.isArray(json[field])) return c.integer(field, fallback, SIZE);
  const sides = c.integers(field, undefined, SIZE);
  if (sides.length !== 2 || sides[0] !== sides[1]) throw c.error(field, "a whole number, or two equal ones");
  return sides[0];
}

function readVision(c: ConfigReader, json: Json): Omit<InternVLConfig, "prefix" | "projector"> {
  const hiddenSize = c.integer("hidden_size", 1024, SIZE);
  const heads = c.integer("num_attention_heads", 16, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  const imageSize = readSquare(c, json, "image_size", 448);
  const patchSize = readSquare(c, json, "patch_size", 14);
  if (imageSize < patchSize) throw c.error("image_size", `at least patch_size ${patchSize}`);
  return {
    hiddenSize,
    heads,
    imageSize,
    patchSize,
    intermediateSize: c.integer("intermediate_size", 4096, SIZE),
    layers: c.integer("num_hidden_layers", 24, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    norm: c.oneOf("norm_type", ["layer_norm", "rms_norm"], "layer_norm") as InternVLConfig["norm"],
    eps: c.number("layer_norm_eps", 1e-6, { min: 0 }),
    qkvBias: c.boolean("attention_bias", false),
    qkNorm: c.boolean("use_qk_norm", false),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
    positions: c.boolean("use_absolute_position_embeddings", true),
    finalNorm: !c.boolean("use_mean_pooling", true),
  };
}

function readProjector(c: ConfigReader): InternVLProjectorConfig {
  // Other layers or the class token would make other tokens than this projector was trained on.
  if (c.integer("vision_feature_layer", -1) !== -1) throw c.error("vision_feature_layer", "-1, the last layer");
  c.oneOf("vision_feature_select_strategy", ["default"], "default");
  const shuffle = 1 / c.number("downsample_ratio", 0.5, { min: 2 ** -10, max: 1 });
  if (!Number.isInteger(shuffle)) throw c.error("downsample_ratio", "1 over a whole number");
  return {
    shuffle,
    activation: c.oneOf("projector_hidden_act", ACTIVATION_NAMES, "gelu"),
    size: c.object("text_config").integer("hidden_size", 4096, SIZE),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readInternVLConfig(config: Json): InternVLConfig {
  const whole = createConfigReader(config);
  if (whole.oneOf("model_type", INTERNVL_MODEL_TYPES) === "internvl_vision") {
    return { ...readVision(whole, config), prefix: "" };
  }
  const vision = readVision(whole.object("vision_config"), config.vision_config as Json);
  return { ...vision, prefix: "vision_tower.", projector: readProjector(whole) };
}
