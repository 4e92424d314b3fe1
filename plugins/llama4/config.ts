/** `config.json` of Llama 4, of which the vision half is read, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";

/** Sizes in elements. */
export interface Llama4Config {
  /** Where the vision tower's tensors lie in a checkpoint: a prefix with its dot, or nothing. */
  readonly prefix: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Pixels of a square tile. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Base of the rotary frequencies. */
  readonly theta: number;
  /** Patches along each side of the square that becomes one token. */
  readonly shuffle: number;
  /** Width of the tower's tokens. */
  readonly outputSize: number;
  /** Width of the language model's tokens; absent where the checkpoint is the vision tower alone. */
  readonly projectedSize?: number;
}

/** `model_type` values: the whole model, the vision tower alone. */
export const LLAMA4_MODEL_TYPES: readonly string[] = ["llama4", "llama4_vision_model"];

const SIZE = { min: 1, max: 1 << 20 };
const DEFAULT_THETA = 10_000;

/** New configurations nest it, old ones do not. */
function readTheta(c: ConfigReader): number {
  const bounds = { min: 1 };
  const own = c.number("rope_theta", DEFAULT_THETA, bounds);
  if (!c.has("rope_parameters")) return own;
  const rope = c.object("rope_parameters");
  rope.oneOf("rope_type", ["default"], "default");
  return rope.number("rope_theta", own, bounds);
}

function readVision(c: ConfigReader): Omit<Llama4Config, "prefix" | "projectedSize"> {
  const hiddenSize = c.integer("hidden_size", 768, SIZE);
  const heads = c.integer("num_attention_heads", 16, SIZE);
  if (hiddenSize % heads !== 0 || (hiddenSize / heads) % 4 !== 0) {
    throw c.error("num_attention_heads", `heads of a width that 4 divides, out of hidden_size ${hiddenSize}`);
  }
  const imageSize = c.integer("image_size", 448, SIZE);
  const patchSize = c.integer("patch_size", 14, SIZE);
  if (imageSize % patchSize !== 0) throw c.error("image_size", `a multiple of patch_size ${patchSize}`);
  const ratio = c.number("pixel_shuffle_ratio", 0.5, { min: 2 ** -10, max: 1 });
  const shuffle = 1 / ratio;
  if (!Number.isInteger(shuffle) || (imageSize / patchSize) % shuffle !== 0) {
    throw c.error("pixel_shuffle_ratio", `1 over a divisor of the ${imageSize / patchSize} patches along a side`);
  }
  const intermediateSize = c.integer("intermediate_size", 5632, SIZE);
  if (intermediateSize !== hiddenSize * shuffle * shuffle) {
    throw c.error("intermediate_size", `${hiddenSize * shuffle * shuffle}, the width of ${shuffle}x${shuffle} patches`);
  }
  const outputSize = c.integer("projector_output_dim", 4096, SIZE);
  const inputSize = c.integer("projector_input_dim", 4096, SIZE);
  if (inputSize !== outputSize) throw c.error("projector_input_dim", `projector_output_dim ${outputSize}`);
  return {
    hiddenSize,
    heads,
    imageSize,
    patchSize,
    shuffle,
    intermediateSize,
    outputSize,
    layers: c.integer("num_hidden_layers", 34, { min: 1, max: 1024 }),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
    theta: readTheta(c),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readLlama4Config(config: Readonly<Record<string, unknown>>): Llama4Config {
  const whole = createConfigReader(config);
  if (whole.oneOf("model_type", LLAMA4_MODEL_TYPES) === "llama4_vision_model") {
    return { ...readVision(whole), prefix: "" };
  }
  const c = whole.object("vision_config");
  const vision = readVision(c);
  if (c.integer("vision_output_dim", 7680, SIZE) !== vision.outputSize) {
    throw c.error("vision_output_dim", `projector_output_dim ${vision.outputSize}`);
  }
  const text = whole.has("text_config") ? whole.object("text_config") : createConfigReader({});
  return { ...vision, prefix: "vision_model.", projectedSize: text.integer("hidden_size", 5120, SIZE) };
}
