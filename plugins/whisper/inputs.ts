/** What callers give, checked and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, finiteFloats, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { normal } from "../../runtime/core/random.ts";
import type { WhisperConfig } from "./config.ts";
import { FRAMES_PER_TOKEN } from "./graphs.ts";

/** Frames of a second, as the processor's hop of 160 samples at 16 kHz makes them. */
const FRAMES_PER_SECOND = 100;

/** Qwen2-Audio's mask of the frames that are sound, as its model calls it. */
export const MASK_NAME = "feature_attention_mask";

/** Chunks of each recording, which Voxtral's processor tells and its tower does not take. */
export const COUNT_NAME = "num_chunks";

/** Names of the tensors that a tower takes. */
export function inputNames({ family }: WhisperConfig): readonly string[] {
  return family === "qwen2_audio" ? ["input_features", MASK_NAME] : ["input_features"];
}

/** @throws FoveaError `invalid_input` */
function checkFeatures(features: Tensor, { melBins, positions }: WhisperConfig, later: CheckLater | undefined): void {
  const frames = FRAMES_PER_TOKEN * positions;
  const [batch, bins, found] = features.shape;
  if (features.shape.length !== 3 || batch < 1 || bins !== melBins || found !== frames) {
    refuseInput(
      `The input "input_features" has shape ${sizesText(features.shape)}, expected ${sizesText(["batch", melBins, frames])}; ` +
        `this model takes ${frames / FRAMES_PER_SECOND} seconds: pad or cut the audio to that before the features are made.`,
    );
  }
  finiteFloats("input_features", features, later);
}

/** Frames with sound, row by row. @throws FoveaError `invalid_input` */
function soundFrames(mask: Tensor, shape: readonly number[]): readonly number[] {
  const [batch, , frames] = shape;
  if (mask.shape.length !== 2 || mask.shape[0] !== batch || mask.shape[1] !== frames) {
    refuseInput(`The input "${MASK_NAME}" has shape ${sizesText(mask.shape)}, expected ${sizesText([batch, frames])}.`);
  }
  checkInputLength(MASK_NAME, mask);
  // 64-bit masks are taken from callers who read them from files.
  const values = Array.from(mask.data as ArrayLike<number | bigint>, Number);
  const odd = values.findIndex((v) => v !== 0 && v !== 1);
  if (odd >= 0) {
    refuseInput(
      `The input "${MASK_NAME}" holds ${values[odd]} at element ${odd}; expected 1 for sound, 0 for padding.`,
    );
  }
  return Array.from({ length: batch }, (_, row) => {
    const own = values.slice(row * frames, (row + 1) * frames);
    const count = own.reduce((sum, v) => sum + v, 0);
    if (count === 0)
      refuseInput(`The input "${MASK_NAME}" hides all frames of audio ${row}; expected at least one of sound.`);
    if (own.lastIndexOf(1) !== count - 1) {
      refuseInput(
        `The input "${MASK_NAME}" has padding before sound in audio ${row}; expected ones first, then zeros.`,
      );
    }
    return count;
  });
}

/**
 * `input_features` f32 [batch, mel bins, frames] and, for Qwen2-Audio, optionally `feature_attention_mask` [batch, frames]
 * of 0 and 1 -> the same features and, for Qwen2-Audio, `key_mask` f32 [batch, tokens].
 * @throws FoveaError `invalid_input`
 */
export function prepareAudio(inputs: Tensors, config: WhisperConfig, later?: CheckLater): Tensors {
  const known = inputNames(config);
  for (const name of Object.keys(inputs)) {
    if (!known.includes(name)) refuseInput(`There is no input "${name}"; this tower takes ${known.join(" and ")}.`);
  }
  const features = inputs.input_features;
  if (features === undefined) refuseInput('The input "input_features" is missing; this tower cannot run without it.');
  checkFeatures(features, config, later);
  if (config.family !== "qwen2_audio") return { input_features: features };
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
    refuseInput(`This model takes up to ${longest} seconds of audio, found ${seconds}; give fewer or leave them out.`);
  }
  const sound = Math.max(1, Math.round(seconds * FRAMES_PER_SECOND));
  const shape = [batch, config.melBins, frames];
  const data = Float32Array.from({ length: batch * config.melBins * frames }, (_, i) =>
    i % frames < sound ? normal(seed, i) / 2 : -1,
  );
  const features: Tensor = { dtype: "f32", shape, data };
  if (config.family !== "qwen2_audio") return { input_features: features };
  const mask = Int32Array.from({ length: batch * frames }, (_, i) => (i % frames < sound ? 1 : 0));
  return { input_features: features, [MASK_NAME]: { dtype: "i32", shape: [batch, frames], data: mask } };
}
