/** What callers give, checked and turned into what the components take. */
import type { ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { normal } from "../../runtime/core/random.ts";
import type { WhisperConfig } from "./config.ts";
import { FRAMES_PER_TOKEN } from "./graphs.ts";

/** Frames of a second, as the processor's hop of 160 samples at 16 kHz makes them. */
const FRAMES_PER_SECOND = 100;

/** Qwen2-Audio's mask of the frames that are sound, as its model calls it. */
export const MASK_NAME = "feature_attention_mask";

/** Names of the tensors that a tower takes. */
export function inputNames({ family }: WhisperConfig): readonly string[] {
  return family === "whisper" ? ["input_features"] : ["input_features", MASK_NAME];
}

function refuse(sentence: string): never {
  throw new FoveaError("invalid_input", sentence);
}

function shapeText(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

function checkLength(name: string, t: Tensor): void {
  const count = t.shape.reduce((a, d) => a * d, 1);
  if (t.data.length !== count) {
    refuse(
      `The input "${name}" holds ${t.data.length} values, but its shape ${shapeText(t.shape)} needs ${count}; give data that fits the shape.`,
    );
  }
}

/** @throws FoveaError `invalid_input` */
function checkFeatures(features: Tensor, { melBins, positions }: WhisperConfig): void {
  const frames = FRAMES_PER_TOKEN * positions;
  const [batch, bins, found] = features.shape;
  if (features.shape.length !== 3 || batch < 1 || bins !== melBins || found !== frames) {
    refuse(
      `The input "input_features" has shape ${shapeText(features.shape)}, expected ${shapeText(["batch", melBins, frames])}; ` +
        `this model takes ${frames / FRAMES_PER_SECOND} seconds: pad or cut the audio to that before the features are made.`,
    );
  }
  if (features.dtype !== "f32" || !(features.data instanceof Float32Array)) {
    refuse(`The input "input_features" has type ${features.dtype}, expected f32 in a Float32Array; convert it first.`);
  }
  checkLength("input_features", features);
  // One pass without branches: any NaN or infinity makes the sum of differences NaN.
  let poisoned = 0;
  for (const v of features.data) poisoned += v - v;
  if (poisoned !== 0) {
    const at = features.data.findIndex((v) => !Number.isFinite(v));
    refuse(`The input "input_features" holds ${features.data[at]} at element ${at}; expected finite numbers.`);
  }
}

/** Frames with sound, row by row. @throws FoveaError `invalid_input` */
function soundFrames(mask: Tensor, shape: readonly number[]): readonly number[] {
  const [batch, , frames] = shape;
  if (mask.shape.length !== 2 || mask.shape[0] !== batch || mask.shape[1] !== frames) {
    refuse(`The input "${MASK_NAME}" has shape ${shapeText(mask.shape)}, expected ${shapeText([batch, frames])}.`);
  }
  checkLength(MASK_NAME, mask);
  // 64-bit masks are taken from callers who read them from files.
  const values = Array.from(mask.data as ArrayLike<number | bigint>, Number);
  const odd = values.findIndex((v) => v !== 0 && v !== 1);
  if (odd >= 0) {
    refuse(`The input "${MASK_NAME}" holds ${values[odd]} at element ${odd}; expected 1 for sound, 0 for padding.`);
  }
  return Array.from({ length: batch }, (_, row) => {
    const own = values.slice(row * frames, (row + 1) * frames);
    const count = own.reduce((sum, v) => sum + v, 0);
    if (count === 0)
      refuse(`The input "${MASK_NAME}" hides all frames of audio ${row}; expected at least one of sound.`);
    if (own.lastIndexOf(1) !== count - 1) {
      refuse(`The input "${MASK_NAME}" has padding before sound in audio ${row}; expected ones first, then zeros.`);
    }
    return count;
  });
}

/**
 * `input_features` f32 [batch, mel bins, frames] and, for Qwen2-Audio, optionally `feature_attention_mask` [batch, frames]
 * of 0 and 1 -> the same features and, for Qwen2-Audio, `key_mask` f32 [batch, tokens].
 * @throws FoveaError `invalid_input`
 */
export function prepareAudio(inputs: Tensors, config: WhisperConfig): Tensors {
  const known = inputNames(config);
  for (const name of Object.keys(inputs)) {
    if (!known.includes(name)) refuse(`There is no input "${name}"; this tower takes ${known.join(" and ")}.`);
  }
  const features = inputs.input_features;
  if (features === undefined) refuse('The input "input_features" is missing; this tower cannot run without it.');
  checkFeatures(features, config);
  if (config.family === "whisper") return { input_features: features };
  const [batch] = features.shape;
  const { positions } = config;
  const keyMask = new Float32Array(batch * positions).fill(1);
  const mask = inputs[MASK_NAME];
  if (mask !== undefined) {
    soundFrames(mask, features.shape).forEach((frames, row) => {
      // A token sees at least one frame of sound or is padding.
      const tokens = Math.ceil(frames / FRAMES_PER_TOKEN);
      keyMask.fill(0, row * positions + tokens, (row + 1) * positions);
    });
  }
  return { input_features: features, key_mask: { dtype: "f32", shape: [batch, positions], data: keyMask } };
}

/**
 * Seeded features; frames after `seconds` are silence, which costs as much as sound.
 * @throws FoveaError `invalid_input` for more seconds than the model takes
 */
export function exampleAudio(options: ExampleOptions, config: WhisperConfig): Tensors {
  const { batch, seed } = options;
  const frames = FRAMES_PER_TOKEN * config.positions;
  const longest = frames / FRAMES_PER_SECOND;
  const seconds = options.seconds ?? longest;
  if (!(seconds > 0 && seconds <= longest)) {
    refuse(`This model takes up to ${longest} seconds of audio, found ${seconds}; give fewer or leave them out.`);
  }
  const sound = Math.max(1, Math.round(seconds * FRAMES_PER_SECOND));
  const shape = [batch, config.melBins, frames];
  const data = Float32Array.from({ length: batch * config.melBins * frames }, (_, i) =>
    i % frames < sound ? normal(seed, i) / 2 : -1,
  );
  const features: Tensor = { dtype: "f32", shape, data };
  if (config.family === "whisper") return { input_features: features };
  const mask = Int32Array.from({ length: batch * frames }, (_, i) => (i % frames < sound ? 1 : 0));
  return { input_features: features, [MASK_NAME]: { dtype: "i32", shape: [batch, frames], data: mask } };
}
