/** Wav2Vec2FeatureExtractor, as `preprocessor_config.json` states it: mono, resampled, normalised, without padding. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { AudioClip, Tensors } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { mixToMono } from "../../runtime/media/audio/clip.ts";
import { resample } from "../../runtime/media/audio/resample.ts";

export interface FeatureExtractorConfig {
  /** Samples per second that the model takes. */
  readonly sampleRate: number;
  /** Recordings are brought to mean 0 and variance 1. */
  readonly normalize: boolean;
}

/** Samples of a recording that a model takes. */
export interface SampleBounds {
  readonly least: number;
  readonly most: number;
}

const FILE = "preprocessor_config.json";

/** Added to variances, as the reference does. */
const EPS = 1e-7;

/** A `processor_config.json` holds it under `feature_extractor`. */
function extractorReader(json: unknown, file: string): ConfigReader {
  const whole = createConfigReader(json, "", file);
  return whole.has("feature_extractor") ? whole.object("feature_extractor") : whole;
}

/**
 * Reads a parsed `preprocessor_config.json`; absent fields take the defaults of transformers.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseFeatureExtractor(json: unknown, file: string = FILE): FeatureExtractorConfig {
  const c = extractorReader(json, file);
  c.oneOf("feature_extractor_type", ["Wav2Vec2FeatureExtractor"], "Wav2Vec2FeatureExtractor");
  if (c.integer("feature_size", 1) !== 1) throw c.error("feature_size", "1, since a model reads the wave itself");
  return {
    sampleRate: c.integer("sampling_rate", 16_000, { min: 1000, max: 384_000 }),
    normalize: c.boolean("do_normalize", true),
  };
}

/** Mean 0 and variance 1, by sums in double precision. */
function normalized(samples: Float32Array): Float32Array {
  let sum = 0;
  for (const v of samples) sum += v;
  const mean = sum / samples.length;
  let squares = 0;
  for (const v of samples) squares += (v - mean) * (v - mean);
  const deviation = Math.sqrt(squares / samples.length + EPS);
  return samples.map((v) => (v - mean) / deviation);
}

/** Mono samples at the model's rate. @throws FoveaError `audio.*` */
function samplesOfClip(
  clip: AudioClip,
  name: string,
  config: FeatureExtractorConfig,
  bounds: SampleBounds,
): Float32Array {
  const { sampleRate } = config;
  const mono = mixToMono(clip, name);
  const seconds = (count: number, rate = sampleRate): number => Math.round((count / rate) * 1000) / 1000;
  // Before resampling, so that hours of sound cost nothing.
  if ((mono.length / clip.sampleRate) * sampleRate > bounds.most) {
    throw new FoveaError(
      "audio.too_long",
      `${name} lasts ${seconds(mono.length, clip.sampleRate)} seconds; this model takes at most ${Math.floor(bounds.most / sampleRate)} at once. Cut it into shorter recordings.`,
    );
  }
  const samples = resample(mono, clip.sampleRate, sampleRate);
  if (samples.length < bounds.least) {
    throw new FoveaError(
      "audio.too_short",
      `${name} has ${samples.length} samples at ${sampleRate} Hz (${seconds(samples.length)} seconds); the model's first frame sees ${bounds.least}. More sound is needed.`,
    );
  }
  return config.normalize ? normalized(samples) : samples;
}

/**
 * The audio processor of a parsed `preprocessor_config.json`: recordings of one length to `input_values` f32 [clips, samples].
 * Nothing is padded: padding would change what the model makes of the sound before it.
 * @throws FoveaError as {@link parseFeatureExtractor}; the function it returns `invalid_input` for no clip or lengths that
 * differ, `audio.too_short`, `audio.too_long`, `audio.not_finite` and `audio.shape` that name the clip by its position
 */
export function wav2vec2AudioProcessor(
  json: unknown,
  bounds: SampleBounds = { least: 1, most: Number.POSITIVE_INFINITY },
  file: string = FILE,
): (clips: readonly AudioClip[]) => Tensors {
  const config = parseFeatureExtractor(json, file);
  return (clips) => {
    const rows = clips.map((clip, i) =>
      samplesOfClip(clip, clips.length === 1 ? "The recording" : `Audio ${i}`, config, bounds),
    );
    if (rows.length === 0) {
      throw new FoveaError("invalid_input", "No audio was given to preprocess; expected at least one recording.");
    }
    const [{ length }] = rows;
    const odd = rows.findIndex((row) => row.length !== length);
    if (odd > 0) {
      throw new FoveaError(
        "invalid_input",
        `Recordings of ${length} and ${rows[odd].length} samples have results of different lengths, and nothing is padded; encode recordings of different lengths in calls of their own.`,
      );
    }
    const data = new Float32Array(rows.length * length);
    rows.forEach((row, i) => {
      data.set(row, i * length);
    });
    return { input_values: { dtype: "f32", shape: [rows.length, length], data } };
  };
}
