/** What callers give, checked and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, checkInputNames, finiteFloats, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { normal } from "../../runtime/core/random.ts";
import { framesOf, hopOf, samplesOf, type Wav2Vec2Config } from "./config.ts";
import { MAX_BATCH, MAX_FRAMES, MOST_PIECES, PIECE_FRAMES, piecesOf } from "./graphs.ts";
import { windowMoments } from "./moments.ts";

/** Samples of a second, as all published models take them. */
export const SAMPLE_RATE = 16_000;
/** Of an example that says nothing of its length. */
const EXAMPLE_SECONDS = 5;

const f32 = (shape: readonly number[], data: Float32Array): Tensor => ({ dtype: "f32", shape, data });

/** Most samples that a run takes: those of the most frames, and what is not enough for one more. */
export function mostSamples(config: Wav2Vec2Config): number {
  return samplesOf(config, MAX_FRAMES + 1) - 1;
}

/** A number for the plan, which sees shapes alone: there are no values. */
const sizeOnly = (size: number): Tensor => f32([size, 0], new Float32Array(0));

/** Frames of each of the recordings. @throws FoveaError `invalid_input` */
function checkedFrames(inputs: Tensors, config: Wav2Vec2Config): number {
  checkInputNames(inputs, ["input_values"], "input_values");
  const { shape } = inputs.input_values;
  const [batch, samples] = shape;
  if (shape.length !== 2 || batch < 1) {
    refuseInput(
      `The input "input_values" has shape ${sizesText(shape)}, expected ${sizesText(["batch", "samples"])}: recordings of one length.`,
    );
  }
  const [least, most] = [samplesOf(config, 1), mostSamples(config)];
  if (samples < least) {
    refuseInput(
      `The input "input_values" has ${samples} samples a recording; the first frame sees ${least}: give longer recordings.`,
    );
  }
  if (samples > most) {
    refuseInput(
      `The input "input_values" has ${samples} samples a recording; at most ${most} are taken (${Math.floor(most / SAMPLE_RATE)} seconds at ${SAMPLE_RATE} Hz): cut recordings into shorter ones.`,
    );
  }
  return framesOf(config, samples);
}

/**
 * Parts of a request with at most `limit` frames each. A longer recording is a part of its own.
 * @throws FoveaError `invalid_input` as {@link prepareWave}
 */
export function splitWave(inputs: Tensors, limit: number, config: Wav2Vec2Config): readonly Tensors[] {
  const frames = checkedFrames(inputs, config);
  const { input_values: given } = inputs;
  const [batch, samples] = given.shape;
  const most = Math.min(MAX_BATCH, Math.max(1, Math.floor(Math.min(limit, MAX_FRAMES) / frames)));
  if (batch <= most) return [inputs];
  checkInputLength("input_values", given);
  return Array.from({ length: Math.ceil(batch / most) }, (_, part) => {
    const [from, to] = [part * most, Math.min(batch, (part + 1) * most)];
    const data = given.data.subarray(from * samples, to * samples);
    return { input_values: { ...given, shape: [to - from, samples], data } };
  });
}

/**
 * `input_values` f32 [batch, samples] -> recordings in overlapping pieces of equal length, with zeros behind their ends: for
 * each call, by its number, `input_values.0` [pieces, samples of a piece] and, where the first convolution is normalised over
 * time, `moments.0` of each piece's whole recording (moments.ts); the sizes `recordings` and `frames`, of all recordings.
 * @throws FoveaError `invalid_input`
 */
export function prepareWave(inputs: Tensors, config: Wav2Vec2Config, later?: CheckLater): Tensors {
  const frames = checkedFrames(inputs, config);
  const { input_values: given } = inputs;
  const values = finiteFloats("input_values", given, later);
  const [batch, samples] = given.shape;
  const pieces = piecesOf(frames);
  const [length, step] = [samplesOf(config, PIECE_FRAMES), PIECE_FRAMES * hopOf(config)];
  const [first] = config.convolutions;
  const cut = new Float32Array(batch * pieces * length);
  const moment = (first.size + 1) * first.size;
  const moments = new Float32Array(config.featureNorm === "group" ? batch * pieces * moment : 0);
  for (let row = 0; row < batch; row++) {
    const own = values.subarray(row * samples, (row + 1) * samples);
    const ofRow = config.featureNorm === "group" ? windowMoments(own, first) : undefined;
    for (let piece = 0; piece < pieces; piece++) {
      const at = row * pieces + piece;
      cut.set(own.subarray(piece * step, piece * step + length), at * length);
      if (ofRow !== undefined) moments.set(ofRow, at * moment);
    }
  }
  const prepared: Record<string, Tensor> = { recordings: sizeOnly(batch), frames: sizeOnly(batch * frames) };
  for (let from = 0, call = 0; from < batch * pieces; from += MOST_PIECES, call++) {
    const to = Math.min(batch * pieces, from + MOST_PIECES);
    prepared[`input_values.${call}`] = f32([to - from, length], cut.subarray(from * length, to * length));
    if (moments.length === 0) continue;
    const own = moments.subarray(from * moment, to * moment);
    prepared[`moments.${call}`] = f32([to - from, first.size + 1, first.size], own);
  }
  return prepared;
}

/** Seeded noise. @throws FoveaError `invalid_input` for more seconds than a run takes, or none */
export function exampleWave(
  { batch, seed, seconds = EXAMPLE_SECONDS }: ExampleOptions,
  config: Wav2Vec2Config,
): Tensors {
  const longest = Math.floor(mostSamples(config) / SAMPLE_RATE);
  if (!(seconds > 0 && seconds <= longest)) {
    refuseInput(`This model takes up to ${longest} seconds of audio, found ${seconds}; give fewer or leave them out.`);
  }
  const samples = Math.max(samplesOf(config, 1), Math.round(seconds * SAMPLE_RATE));
  const data = Float32Array.from({ length: batch * samples }, (_, i) => normal(seed, i));
  return { input_values: f32([batch, samples], data) };
}
