/** `config.json` of Whisper and of the audio towers of Qwen2-Audio and Voxtral, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

export interface WhisperConfig {
  /** Qwen2-Audio hides padding and averages tokens two by two; Whisper and Voxtral do neither. */
  readonly family: "whisper" | "qwen2_audio" | "voxtral";
  readonly melBins: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediateSize: number;
  /** Tokens before pooling, two frames each. The encoder takes exactly that many. */
  readonly positions: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  /** Of Voxtral as a whole. */
  readonly projector?: VoxtralProjector;
}

/** What makes a vector of a language model out of `group` tokens that follow each other. */
export interface VoxtralProjector {
  readonly group: number;
  /** The language model's. */
  readonly width: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
}

/** Models whose audio tower is in `audio_config`, with the name of that tower alone. */
const WHOLE: Readonly<Record<string, string>> = { qwen2_audio: "qwen2_audio_encoder", voxtral: "voxtral_encoder" };

/** `model_type` values: Whisper, Qwen2-Audio and Voxtral as a whole, their audio towers alone. */
export const WHISPER_MODEL_TYPES: readonly string[] = ["whisper", ...Object.entries(WHOLE).flat()];

type Sizes = Pick<WhisperConfig, "melBins" | "width" | "layers" | "heads" | "intermediateSize">;

/** transformers' defaults: whisper-tiny's sizes. */
const WHISPER: Sizes = { melBins: 80, width: 384, layers: 4, heads: 6, intermediateSize: 1536 };
/** transformers' defaults: those of Qwen2-Audio-7B and Voxtral-Mini-3B. */
const LARGE: Sizes = { melBins: 128, width: 1280, layers: 32, heads: 20, intermediateSize: 5120 };

type SizeFields = Readonly<Record<Exclude<keyof Sizes, "melBins">, string>>;

const WHISPER_FIELDS: SizeFields = {
  width: "d_model",
  layers: "encoder_layers",
  heads: "encoder_attention_heads",
  intermediateSize: "encoder_ffn_dim",
};
const VOXTRAL_FIELDS: SizeFields = {
  width: "hidden_size",
  layers: "num_hidden_layers",
  heads: "num_attention_heads",
  intermediateSize: "intermediate_size",
};

const SIZE = { min: 1, max: 1 << 16 };

function readEncoder(c: ConfigReader, family: WhisperConfig["family"]): WhisperConfig {
  const defaults = family === "whisper" ? WHISPER : LARGE;
  const fields = family === "voxtral" ? VOXTRAL_FIELDS : WHISPER_FIELDS;
  const width = c.integer(fields.width, defaults.width, SIZE);
  const heads = c.integer(fields.heads, defaults.heads, SIZE);
  if (width % heads !== 0) throw c.error(fields.heads, `a divisor of ${fields.width} ${width}`);
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
    layers: c.integer(fields.layers, defaults.layers, { min: 1, max: 1024 }),
    intermediateSize: c.integer(fields.intermediateSize, defaults.intermediateSize, SIZE),
    activation: c.oneOf("activation_function", ACTIVATION_NAMES, "gelu"),
  };
}

const partOf = (whole: ConfigReader, name: string): ConfigReader =>
  whole.has(name) ? whole.object(name) : createConfigReader({}, name);

/** The projector takes as many numbers as the tower's perceptrons have between their layers: those of a few tokens. */
function readProjector(whole: ConfigReader, tower: ConfigReader, encoder: WhisperConfig): VoxtralProjector {
  const { width, intermediateSize, positions } = encoder;
  const group = intermediateSize / width;
  if (!Number.isInteger(group)) {
    throw tower.error(
      VOXTRAL_FIELDS.intermediateSize,
      `a multiple of ${VOXTRAL_FIELDS.width} ${width}, as the projector takes whole tokens`,
    );
  }
  if (positions % group !== 0) {
    throw tower.error("max_source_positions", `a multiple of ${group}, the tokens that the projector takes together`);
  }
  return {
    group,
    width: partOf(whole, "text_config").integer("hidden_size", 3072, SIZE),
    activation: whole.oneOf("projector_hidden_act", ACTIVATION_NAMES, "gelu"),
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readWhisperConfig(config: Readonly<Record<string, unknown>>): WhisperConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", WHISPER_MODEL_TYPES);
  const family = type.replace("_encoder", "") as WhisperConfig["family"];
  if (!Object.hasOwn(WHOLE, type)) return readEncoder(whole, family);
  const tower = partOf(whole, "audio_config");
  tower.oneOf("model_type", [WHOLE[type]], WHOLE[type]);
  const encoder = readEncoder(tower, family);
  return family === "voxtral" ? { ...encoder, projector: readProjector(whole, tower, encoder) } : encoder;
}
