/** `config.json` of Pixtral towers and of models built on them, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** From the tower's tokens to the language model's. */
export interface PixtralProjectorConfig {
  /** Squares of `size` x `size` patches become one token; absent where every patch stays one. */
  readonly merge?: { readonly size: number; readonly eps: number };
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly bias: boolean;
  /** Width of the language model's tokens. */
  readonly size: number;
}

/** Sizes in elements. */
export interface PixtralConfig {
  /** Where the vision tower's tensors lie in a checkpoint: a prefix with its dot, or nothing. */
  readonly prefix: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  /** Pixels of the longest side that the processor makes; longer ones are taken too. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Base of the rotary frequencies. */
  readonly theta: number;
  /** Absent where the checkpoint is the vision tower alone. */
  readonly projector?: PixtralProjectorConfig;
}

/** `model_type` values: the tower alone, Mistral Small 3.1 and its relatives, Pixtral 12B. */
export const PIXTRAL_MODEL_TYPES: readonly string[] = ["pixtral", "mistral3", "llava/pixtral"];

const SIZE = { min: 1, max: 1 << 20 };
const DEFAULT_THETA = 10_000;

/** New configurations nest it, old ones do not. */
function readTheta(c: ConfigReader): number {
  const bounds = { min: 1 };
  const own = c.number("rope_theta", DEFAULT_THETA, bounds);
  if (!c.has("rope_parameters")) return own;
  const rope = c.object("rope_parameters");
  rope.oneOf("rope_type", ["axial", "default"], "axial");
  return rope.number("rope_theta", own, bounds);
}

function readVision(c: ConfigReader): Omit<PixtralConfig, "prefix" | "projector"> {
  const hiddenSize = c.integer("hidden_size", 1024, SIZE);
  const heads = c.integer("num_attention_heads", 16, SIZE);
  const headDim = hiddenSize / heads;
  if (headDim % 4 !== 0) {
    throw c.error("num_attention_heads", `heads of a width that 4 divides, out of hidden_size ${hiddenSize}`);
  }
  if (c.integer("head_dim", headDim, SIZE) !== headDim) {
    throw c.error("head_dim", `${headDim}, hidden_size over num_attention_heads`);
  }
  const imageSize = c.integer("image_size", 1024, SIZE);
  const patchSize = c.integer("patch_size", 16, SIZE);
  if (imageSize < patchSize) throw c.error("image_size", `at least patch_size ${patchSize}`);
  return {
    hiddenSize,
    heads,
    imageSize,
    patchSize,
    intermediateSize: c.integer("intermediate_size", 4096, SIZE),
    layers: c.integer("num_hidden_layers", 24, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
    theta: readTheta(c),
  };
}

function readProjector(c: ConfigReader, merges: boolean): PixtralProjectorConfig {
  const text = c.object("text_config");
  // Other layers would make other tokens than this projector was trained on.
  if (c.integer("vision_feature_layer", merges ? -1 : -2) !== -1) {
    throw c.error("vision_feature_layer", "-1, the last layer");
  }
  if (!merges) c.oneOf("vision_feature_select_strategy", ["full"], "default");
  return {
    activation: c.oneOf("projector_hidden_act", ACTIVATION_NAMES, "gelu"),
    bias: c.boolean("multimodal_projector_bias", !merges),
    size: text.integer("hidden_size", 4096, SIZE),
    ...(merges
      ? {
          merge: {
            size: c.integer("spatial_merge_size", 2, { min: 1, max: 64 }),
            eps: text.number("rms_norm_eps", 1e-6, { min: 0 }),
          },
        }
      : {}),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readPixtralConfig(config: Readonly<Record<string, unknown>>): PixtralConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", ["pixtral", "mistral3", "llava"]);
  if (type === "pixtral") return { ...readVision(whole), prefix: "" };
  const c = whole.object("vision_config");
  const merges = type === "mistral3";
  // LLaVA with other towers has other plugins.
  c.oneOf("model_type", ["pixtral"], merges ? "pixtral" : undefined);
  return { ...readVision(c), prefix: "vision_tower.", projector: readProjector(whole, merges) };
}
