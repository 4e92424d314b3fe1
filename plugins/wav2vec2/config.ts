/** `config.json` of wav2vec 2.0 and HuBERT, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** A convolution of the feature encoder: no padding. */
export interface Convolution {
  readonly channels: number;
  readonly size: number;
  readonly stride: number;
}

export interface Wav2Vec2Config {
  readonly convolutions: readonly Convolution[];
  readonly convolutionBias: boolean;
  /**
   * `group`: each channel of the first convolution is normalised over the whole recording; `layer`: each step of every
   * convolution over its channels.
   */
  readonly featureNorm: "group" | "layer";
  /** Behind convolutions, by its Hugging Face name. */
  readonly featureActivation: string;
  /** Features are normalised before they are projected. */
  readonly projectionNorm: boolean;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediateSize: number;
  /** Of the perceptrons. */
  readonly activation: string;
  readonly eps: number;
  /** Norms stand before attention and perceptron, and one behind the last layer; else behind both. */
  readonly preNorm: boolean;
  /** Frames that the positional convolution sees. */
  readonly positionSize: number;
  /** Parts of the channels that the positional convolution keeps apart. */
  readonly positionGroups: number;
}

/** `model_type` values. */
export const WAV2VEC2_MODEL_TYPES: readonly string[] = ["wav2vec2", "hubert"];

const SIZE = { min: 1, max: 1 << 16 };
/** Largest kernel, and most samples that one frame may see. */
const MOST_SEEN = 1 << 16;
/** What one operation can join. */
const MOST_GROUPS = 64;

const CHANNELS = [512, 512, 512, 512, 512, 512, 512];
const KERNELS = [10, 3, 3, 3, 3, 2, 2];
const STRIDES = [5, 2, 2, 2, 2, 2, 2];

/** Samples from the start of one frame to that of the next. */
export function hopOf({ convolutions }: Pick<Wav2Vec2Config, "convolutions">): number {
  return convolutions.reduce((hop, { stride }) => hop * stride, 1);
}

/** Samples that `frames` frames see. */
export function samplesOf({ convolutions }: Pick<Wav2Vec2Config, "convolutions">, frames: number): number {
  return convolutions.reduceRight((steps, { size, stride }) => (steps - 1) * stride + size, frames);
}

/** Frames of a recording; 0 or less where it is too short for one. */
export function framesOf({ convolutions }: Pick<Wav2Vec2Config, "convolutions">, samples: number): number {
  return convolutions.reduce((steps, { size, stride }) => Math.floor((steps - size) / stride) + 1, samples);
}

function readConvolutions(c: ConfigReader): readonly Convolution[] {
  const channels = c.integers("conv_dim", CHANNELS, SIZE);
  const list = (field: string, fallback: readonly number[]): readonly number[] => {
    const values = c.integers(field, fallback, SIZE);
    if (values.length === channels.length) return values;
    throw c.error(field, `${channels.length} numbers, one for each of conv_dim`);
  };
  if (channels.length === 0) throw c.error("conv_dim", "at least one convolution");
  const [sizes, strides] = [list("conv_kernel", KERNELS), list("conv_stride", STRIDES)];
  const convolutions = channels.map((own, i) => ({ channels: own, size: sizes[i], stride: strides[i] }));
  if (samplesOf({ convolutions }, 1) > MOST_SEEN || hopOf({ convolutions }) > MOST_SEEN) {
    throw c.error("conv_kernel", `kernels and strides by which a frame sees at most ${MOST_SEEN} samples`);
  }
  return convolutions;
}

/** What the reference has beside the encoder itself and this plugin does not. */
function refuseOthers(c: ConfigReader): void {
  if (c.boolean("add_adapter", false)) {
    throw c.error(
      "add_adapter",
      "false, since adapters behind the encoder are not supported: use the model without one",
    );
  }
  if (c.has("adapter_attn_dim")) {
    throw c.error("adapter_attn_dim", "null, since adapters of languages, as MMS has them, are not supported");
  }
  if (c.boolean("conv_pos_batch_norm", false)) {
    throw c.error(
      "conv_pos_batch_norm",
      "false, since batch norms before the positional convolution are not supported",
    );
  }
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readWav2Vec2Config(config: Readonly<Record<string, unknown>>): Wav2Vec2Config {
  const c = createConfigReader(config);
  const type = c.oneOf("model_type", WAV2VEC2_MODEL_TYPES);
  refuseOthers(c);
  const hiddenSize = c.integer("hidden_size", 768, SIZE);
  const divisor = (field: string, fallback: number, max: number): number => {
    const value = c.integer(field, fallback, { min: 1, max });
    if (hiddenSize % value === 0) return value;
    throw c.error(field, `a divisor of hidden_size ${hiddenSize}`);
  };
  return {
    hiddenSize,
    convolutions: readConvolutions(c),
    convolutionBias: c.boolean("conv_bias", false),
    featureNorm: c.oneOf("feat_extract_norm", ["group", "layer"], "group") as Wav2Vec2Config["featureNorm"],
    featureActivation: c.oneOf("feat_extract_activation", ACTIVATION_NAMES, "gelu"),
    projectionNorm: type === "wav2vec2" || c.boolean("feat_proj_layer_norm", true),
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    heads: divisor("num_attention_heads", 12, SIZE.max),
    intermediateSize: c.integer("intermediate_size", 3072, SIZE),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    eps: c.number("layer_norm_eps", 1e-5, { min: 0 }),
    preNorm: c.boolean("do_stable_layer_norm", false),
    positionSize: c.integer("num_conv_pos_embeddings", 128, { min: 1, max: 4096 }),
    positionGroups: divisor("num_conv_pos_embedding_groups", 16, MOST_GROUPS),
  };
}
