/** Whisper's feature extractor, as `preprocessor_config.json` states it: mono, 16 kHz, padded and cut, log-mel. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { AudioClip, Tensors } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { mixToMono } from "../../runtime/media/audio/clip.ts";
import { createLogMel, type LogMel } from "../../runtime/media/audio/log_mel.ts";
import { neededSamples, resample } from "../../runtime/media/audio/resample.ts";

export interface FeatureExtractorConfig {
  readonly melBins: number;
  /** Samples per second that the features are made of. */
  readonly sampleRate: number;
  readonly hop: number;
  readonly fftSize: number;
  /** Seconds that every recording is padded or cut to. */
  readonly chunkLength: number;
  readonly paddingValue: number;
  readonly attentionMask: boolean;
}

const FILE = "preprocessor_config.json";
/** Longest window, so that a wrong config cannot ask for gigabytes. */
const MAX_SAMPLES = 1 << 24;

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
  c.oneOf("feature_extractor_type", ["WhisperFeatureExtractor"], "WhisperFeatureExtractor");
  const sampleRate = c.integer("sampling_rate", 16000, { min: 1000, max: 384000 });
  const fftSize = c.integer("n_fft", 400, { min: 2, max: 8192 });
  const chunkLength = c.integer("chunk_length", 30, { min: 1, max: Math.floor(MAX_SAMPLES / sampleRate) });
  const hop = c.integer("hop_length", 160, { min: 1, max: sampleRate });
  const dither = c.number("dither", 0);
  if (dither !== 0) throw c.error("dither", "0, since random noise would make features differ from run to run");
  if (c.boolean("do_normalize", false)) throw c.error("do_normalize", "false, which every Whisper has");
  return {
    sampleRate,
    fftSize,
    hop,
    chunkLength,
    melBins: c.integer("feature_size", 80, { min: 1, max: 1024 }),
    paddingValue: c.number("padding_value", 0),
    attentionMask: c.boolean("return_attention_mask", false),
  };
}

/** Mono samples at the wanted rate, `most` of them. @throws FoveaError `audio.*` */
function samplesOf(clip: AudioClip, name: string, config: FeatureExtractorConfig, most: number): Float32Array {
  const { sampleRate, fftSize } = config;
  const mono = mixToMono(clip, name, neededSamples(clip.sampleRate, sampleRate, most));
  const samples = resample(mono, clip.sampleRate, sampleRate, most);
  if (samples.length < fftSize) {
    const ms = (count: number): string => `${Math.round((count / sampleRate) * 10000) / 10} ms`;
    throw new FoveaError(
      "audio.too_short",
      `${name} has ${samples.length} samples at ${sampleRate} Hz (${ms(samples.length)}); expected at least one frame of ` +
        `${fftSize} (${ms(fftSize)}). Give a longer recording.`,
    );
  }
  return samples;
}

/** How errors call a recording. */
const nameOf = (clips: readonly AudioClip[], at: number): string =>
  clips.length === 1 ? "The recording" : `Audio ${at}`;

function checkCount(clips: readonly AudioClip[]): void {
  if (clips.length === 0) {
    throw new FoveaError("invalid_input", "No audio was given to preprocess; expected at least one recording.");
  }
}

/**
 * Recordings to `input_features` f32 [clips, mel bins, frames], with `maskName` also that tensor, i32 [clips, frames]: 1
 * where a frame begins inside of the recording.
 * @throws FoveaError `invalid_input` for no clip; `audio.too_short`, `audio.not_finite`, `audio.shape` that
 * name the clip by its position
 */
export function extractFeatures(
  clips: readonly AudioClip[],
  config: FeatureExtractorConfig,
  logMel: LogMel,
  maskName?: string,
): Tensors {
  checkCount(clips);
  const { melBins, hop, sampleRate, chunkLength, paddingValue } = config;
  const window = new Float32Array(sampleRate * chunkLength);
  const frames = logMel.frames(window.length);
  const data = new Float32Array(clips.length * melBins * frames);
  const mask = new Int32Array(clips.length * frames);
  clips.forEach((clip, i) => {
    const samples = samplesOf(clip, nameOf(clips, i), config, window.length);
    window.fill(paddingValue, samples.length);
    window.set(samples);
    logMel.compute(window, data, i * melBins * frames);
    mask.fill(1, i * frames, i * frames + Math.min(frames, Math.ceil(samples.length / hop)));
  });
  return {
    input_features: { dtype: "f32", shape: [clips.length, melBins, frames], data },
    ...(maskName === undefined ? {} : { [maskName]: { dtype: "i32", shape: [clips.length, frames], data: mask } }),
  };
}

/**
 * Recordings of any length, each padded to whole chunks, as Voxtral's processor does it: features are those of the padded
 * recording, whose loudest value is the same for all of its chunks, and then cut.
 * @returns `input_features` f32 [chunks of all recordings, mel bins, frames], and by `countName` i32 [clips], the chunks of each
 * @throws FoveaError as {@link extractFeatures}
 */
export function extractChunks(
  clips: readonly AudioClip[],
  config: FeatureExtractorConfig,
  logMel: LogMel,
  countName: string,
): Tensors {
  checkCount(clips);
  const { melBins, sampleRate, chunkLength, paddingValue } = config;
  const size = sampleRate * chunkLength;
  const frames = logMel.frames(size);
  const recordings = clips.map((clip, i) => samplesOf(clip, nameOf(clips, i), config, Infinity));
  const counts = Int32Array.from(recordings, ({ length }) => Math.ceil(length / size));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const data = new Float32Array(total * melBins * frames);
  let at = 0;
  recordings.forEach((samples, i) => {
    const padded = new Float32Array(counts[i] * size).fill(paddingValue, samples.length);
    padded.set(samples);
    const all = logMel.frames(padded.length);
    const whole = new Float32Array(melBins * all);
    logMel.compute(padded, whole, 0);
    for (let chunk = 0; chunk < counts[i]; chunk++) {
      for (let mel = 0; mel < melBins; mel++, at += frames) {
        const from = mel * all + chunk * frames;
        data.set(whole.subarray(from, from + frames), at);
      }
    }
  });
  return {
    input_features: { dtype: "f32", shape: [total, melBins, frames], data },
    [countName]: { dtype: "i32", shape: [clips.length], data: counts },
  };
}

export interface WhisperProcessorOptions {
  /** `num_mel_bins` of the model that the features are for. */
  readonly melBins?: number;
  /** Name of the mask tensor; none is made unless given. */
  readonly maskName?: string;
  /** Name of the tensor that counts chunks; recordings are cut off behind one chunk unless given. */
  readonly countName?: string;
}

/**
 * The audio processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link parseFeatureExtractor}, and `invalid_config` for chunks of no whole frames; the function it
 * returns as {@link extractFeatures}
 */
export function whisperAudioProcessor(
  json: unknown,
  options: WhisperProcessorOptions = {},
  file: string = FILE,
): (clips: readonly AudioClip[]) => Tensors {
  const config = parseFeatureExtractor(json, file);
  if (options.melBins !== undefined && options.melBins !== config.melBins) {
    throw extractorReader(json, file).error("feature_size", `${options.melBins}, the model's num_mel_bins`);
  }
  const logMel = createLogMel(config);
  const { countName } = options;
  if (countName !== undefined) {
    const { sampleRate, chunkLength, hop } = config;
    if ((sampleRate * chunkLength) % hop !== 0) {
      throw extractorReader(json, file).error(
        "hop_length",
        `a divisor of a chunk's ${sampleRate * chunkLength} samples`,
      );
    }
    return (clips) => extractChunks(clips, config, logMel, countName);
  }
  return (clips) => extractFeatures(clips, config, logMel, options.maskName);
}

/** The processor of a folder without a model: with the mask that the feature extractor itself returns, where it does. */
export function featureExtractor(json: unknown): (clips: readonly AudioClip[]) => Tensors {
  return whisperAudioProcessor(json, parseFeatureExtractor(json).attentionMask ? { maskName: "attention_mask" } : {});
}
