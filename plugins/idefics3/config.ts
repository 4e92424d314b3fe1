/** `config.json` of Idefics3 and SmolVLM, of which the vision half is read, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

export interface Idefics3ConnectorConfig {
  /** Patches along each side of the square that becomes one token. */
  readonly shuffle: number;
  /** Width of the language model's tokens. */
  readonly size: number;
}

/** Sizes in elements. */
export interface Idefics3Config {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  /** Pixels of the square picture whose patches have a position each; others are taken too. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Absent where the checkpoint is the vision tower alone. */
  readonly connector?: Idefics3ConnectorConfig;
}

const TOWER_TYPES: readonly string[] = ["idefics3_vision", "smolvlm_vision"];

/** `model_type` values: the whole models, their vision towers alone. */
export const IDEFICS3_MODEL_TYPES: readonly string[] = ["idefics3", "smolvlm", ...TOWER_TYPES];

const SIZE = { min: 1, max: 1 << 20 };

/** Llama's `hidden_size`, the language model where nothing names another. */
const LLAMA_WIDTH = 4096;

function readVision(c: ConfigReader): Omit<Idefics3Config, "connector"> {
  const hiddenSize = c.integer("hidden_size", 1152, SIZE);
  const heads = c.integer("num_attention_heads", 16, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  const imageSize = c.integer("image_size", 224, SIZE);
  const patchSize = c.integer("patch_size", 32, SIZE);
  if (imageSize < patchSize) throw c.error("image_size", `at least patch_size ${patchSize}`);
  return {
    hiddenSize,
    heads,
    imageSize,
    patchSize,
    intermediateSize: c.integer("intermediate_size", 3072, SIZE),
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu_pytorch_tanh"),
    eps: c.number("layer_norm_eps", 1e-6, { min: 0 }),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
  };
}

/** A part of the whole model; all its fields have their defaults where it is absent. */
const partOf = (whole: ConfigReader, name: string): ConfigReader =>
  whole.has(name) ? whole.object(name) : createConfigReader({}, name);

function readConnector(whole: ConfigReader): Idefics3ConnectorConfig {
  const text = partOf(whole, "text_config");
  const isLlama = text.string("model_type", "llama") === "llama";
  return {
    shuffle: whole.integer("scale_factor", 2, { min: 1, max: 256 }),
    size: text.integer("hidden_size", isLlama ? LLAMA_WIDTH : undefined, SIZE),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readIdefics3Config(config: Readonly<Record<string, unknown>>): Idefics3Config {
  const whole = createConfigReader(config);
  if (TOWER_TYPES.includes(whole.oneOf("model_type", IDEFICS3_MODEL_TYPES))) return readVision(whole);
  return { ...readVision(partOf(whole, "vision_config")), connector: readConnector(whole) };
}
