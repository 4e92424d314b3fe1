import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { wav2vec2Plugin } from "../../plugins/wav2vec2/plugin.ts";
import { parseFeatureExtractor, wav2vec2AudioProcessor } from "../../plugins/wav2vec2/preprocess.ts";
import type { AudioClip } from "../../runtime/abi/encoder.ts";
import { decodeAudio } from "../../runtime/media/audio/decode.ts";
import { resample } from "../../runtime/media/audio/resample.ts";
import { hasCode } from "../kit/assertions.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { FIXTURES, type Json, openModelOf, readJson } from "../kit/tower_fixtures.ts";

const tone = (samples: number, level = 0.2): Float32Array =>
  Float32Array.from({ length: samples }, (_, i) => level + Math.sin(0.1 * i + 1e-6 * i * i) / 2);

const mono = (samples: Float32Array, sampleRate = 16000): AudioClip => ({ sampleRate, channels: [samples] });

const extract = wav2vec2AudioProcessor({});
const data = (clip: AudioClip): Float32Array => extract([clip]).input_values.data as Float32Array;

test("wav2vec2 waves: a recording is preprocessed as by Wav2Vec2FeatureExtractor", async () => {
  const folder = join(FIXTURES, "preprocess/wav2vec2");
  const make = wav2vec2Plugin.encoders?.[0].audioProcessors?.Wav2Vec2FeatureExtractor;
  assert.ok(make !== undefined);
  const clip = decodeAudio(new Uint8Array(await readFile(join(FIXTURES, "preprocess/chirp-start.wav"))));
  const { input_values } = make(readJson(join(folder, "preprocessor_config.json")))([await clip]);
  const want = readSafetensors(join(folder, "chirp-start.safetensors.br")).get("input_values");
  assert.ok(want !== undefined);
  assert.deepEqual(input_values.shape, want.shape);
  want.data.forEach((v, i) => {
    assert.ok(Math.abs(v - input_values.data[i]) <= 5e-7, `${input_values.data[i]} instead of ${v} at ${i}`);
  });
});

test("wav2vec2 waves: mean 0 and variance 1 by recording, unless the configuration leaves them as they are", () => {
  const [a, b] = [tone(800), tone(800, -3)];
  const { input_values } = extract([mono(a), mono(b)]);
  assert.deepEqual(input_values.shape, [2, 800]);
  for (const [row, own] of [a, b].entries()) {
    const found = input_values.data.subarray(800 * row, 800 * (row + 1)) as Float32Array;
    const sum = (of: (v: number) => number): number => found.reduce((all, v) => all + of(v), 0);
    assert.ok(Math.abs(sum((v) => v)) < 1e-3 && Math.abs(sum((v) => v * v) / 800 - 1) < 1e-4);
    assert.deepEqual(found, data(mono(own)));
  }
  const raw = wav2vec2AudioProcessor({ do_normalize: false });
  assert.deepEqual(raw([mono(a)]).input_values.data, a);
  assert.ok(data(mono(new Float32Array(500))).every((v) => v === 0));
});

test("wav2vec2 waves: channels are averaged and other rates resampled first", () => {
  const [a, b] = [tone(8000), tone(8000, 1)];
  const average = a.map((v, i) => (v + b[i]) / 2);
  assert.deepEqual(data({ sampleRate: 16000, channels: [a, b] }), data(mono(average)));
  for (const rate of [8000, 44100]) assert.deepEqual(data(mono(a, rate)), data(mono(resample(a, rate, 16000))));
});

test("wav2vec2 waves: what a model cannot take is refused by its name", () => {
  const model = openModelOf(wav2vec2Plugin, { model_type: "wav2vec2" });
  const { audio } = model.processors({ "preprocessor_config.json": {} });
  const refuses = (clips: readonly AudioClip[], code: string, says: RegExp): void =>
    assert.throws(() => audio?.(clips), hasCode(code, says));
  refuses([], "invalid_input", /No audio was given to preprocess/);
  refuses(
    [mono(tone(399))],
    "audio.too_short",
    /^The recording has 399 samples at 16000 Hz \(0\.025 seconds\); the model's first frame sees 400\. More sound is needed/,
  );
  assert.deepEqual(audio?.([mono(tone(400))]).input_values.shape, [1, 400]);
  refuses(
    [mono(tone(900)), mono(new Float32Array(1000 * 601), 1000)],
    "audio.too_long",
    /^Audio 1 lasts 601 seconds; this model takes at most 600 at once\. Cut it into shorter recordings\./,
  );
  refuses(
    [mono(tone(900)), mono(tone(900)), mono(tone(901))],
    "invalid_input",
    /^Recordings of 900 and 901 samples .* encode recordings of different lengths in calls of their own/,
  );
  refuses([mono(Float32Array.of(0, Number.NaN))], "audio.not_finite", /holds NaN at sample 1/);
});

test("wav2vec2 waves: the configuration's fields are read, also inside of a processor's, and wrong ones named", () => {
  assert.deepEqual(parseFeatureExtractor({}), { sampleRate: 16000, normalize: true });
  const own = { sampling_rate: 8000, do_normalize: false };
  assert.deepEqual(parseFeatureExtractor({ feature_extractor: own }), { sampleRate: 8000, normalize: false });
  const refuses = (json: Json, says: RegExp): void =>
    assert.throws(() => parseFeatureExtractor(json), hasCode("invalid_config", says));
  refuses({ feature_size: 80 }, /`feature_size` holds 80; expected 1, since a model reads the wave itself/);
  refuses({ feature_extractor_type: "WhisperFeatureExtractor" }, /expected one of Wav2Vec2FeatureExtractor/);
  refuses({ sampling_rate: 0 }, /`sampling_rate` holds 0/);
  refuses({ do_normalize: 1 }, /`do_normalize` holds 1; expected true or false/);
  assert.deepEqual(openModelOf(wav2vec2Plugin, { model_type: "hubert" }).processors({}), {});
});
