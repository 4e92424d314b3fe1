/** `config.json` of Whisper and of Qwen2-Audio's audio tower, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

export interface WhisperConfig {
  /** Qwen2-Audio hides padding and averages tokens two by two; Whisper does neither. */
  readonly family: "whisper" | "qwen2_audio";
  readonly melBins: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediateSize: number;
  /** Tokens before pooling, two frames each. The encoder takes exactly that many. */
  readonly positions: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
}

/** `model_type` values: Whisper, Qwen2-Audio as a whole, its audio tower alone. */
export const WHISPER_MODEL_TYPES: readonly string[] = ["whisper", "qwen2_audio", "qwen2_audio_encoder"];

type Sizes = Pick<WhisperConfig, "melBins" | "width" | "layers" | "heads" | "intermediateSize">;

/** transformers' defaults: whisper-tiny's sizes. */
const WHISPER: Sizes = { melBins: 80, width: 384, layers: 4, heads: 6, intermediateSize: 1536 };
/** transformers' defaults: those of Qwen2-Audio-7B. */
const QWEN2_AUDIO: Sizes = { melBins: 128, width: 1280, layers: 32, heads: 20, intermediateSize: 5120 };

const SIZE = { min: 1, max: 1 << 16 };

function readEncoder(c: ConfigReader, family: WhisperConfig["family"]): WhisperConfig {
  const defaults = family === "whisper" ? WHISPER : QWEN2_AUDIO;
  const width = c.integer("d_model", defaults.width, SIZE);
  const heads = c.integer("encoder_attention_heads", defaults.heads, SIZE);
  if (width % heads !== 0) throw c.error("encoder_attention_heads", `a divisor of d_model ${width}`);
  const positions = c.integer("max_source_positions", 1500, SIZE);
  if (family === "qwen2_audio" && positions < 2) {
    throw c.error("max_source_positions", "at least 2, since tokens are averaged two by two");
  }
  return {
    family,
    width,
    heads,
    positions,
    melBins: c.integer("num_mel_bins", defaults.melBins, { min: 1, max: 1024 }),
    layers: c.integer("encoder_layers", defaults.layers, { min: 1, max: 1024 }),
    intermediateSize: c.integer("encoder_ffn_dim", defaults.intermediateSize, SIZE),
    activation: c.oneOf("activation_function", ACTIVATION_NAMES, "gelu"),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readWhisperConfig(config: Readonly<Record<string, unknown>>): WhisperConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", WHISPER_MODEL_TYPES);
  if (type !== "qwen2_audio") return readEncoder(whole, type === "whisper" ? "whisper" : "qwen2_audio");
  const tower = whole.has("audio_config") ? whole.object("audio_config") : createConfigReader({}, "audio_config");
  tower.oneOf("model_type", ["qwen2_audio_encoder"], "qwen2_audio_encoder");
  return readEncoder(tower, "qwen2_audio");
}
