import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { whisperPlugin } from "../../plugins/whisper/plugin.ts";
import { parseFeatureExtractor, whisperAudioProcessor } from "../../plugins/whisper/preprocess.ts";
import type { AudioClip, Processors, Tensors } from "../../runtime/abi/encoder.ts";
import { decodeAudio } from "../../runtime/media/audio/decode.ts";
import { resample } from "../../runtime/media/audio/resample.ts";
import { hasCode } from "../kit/assertions.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { FIXTURES, type Json, openModelOf, readJson } from "../kit/tower_fixtures.ts";

const chirp = async (): Promise<AudioClip> =>
  decodeAudio(new Uint8Array(await readFile(join(FIXTURES, "preprocess/chirp.wav"))));

const tone = (seconds: number, sampleRate = 16000, amplitude = 0.5): Float32Array =>
  Float32Array.from(
    { length: Math.round(seconds * sampleRate) },
    (_, i) => amplitude * Math.sin(0.1 * i + 1e-6 * i * i),
  );

const mono = (samples: Float32Array, sampleRate = 16000): AudioClip => ({ sampleRate, channels: [samples] });

/** Windows of one second: what is tested does not depend on their length. */
const SHORT = { chunk_length: 1 };
const extract = whisperAudioProcessor(SHORT);
const data = (clip: AudioClip): Float32Array => extract([clip]).input_features.data as Float32Array;

function worst(a: Tensors["x"]["data"], b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

for (const bins of [80, 128]) {
  test(`whisper features: a recording is preprocessed as by WhisperFeatureExtractor with ${bins} bins`, async () => {
    const folder = join(FIXTURES, `preprocess/whisper-${bins}`);
    const make = whisperPlugin.encoders?.[0].audioProcessors?.WhisperFeatureExtractor;
    assert.ok(make !== undefined);
    const found = make(readJson(join(folder, "preprocessor_config.json")))([await chirp()]);
    assert.deepEqual(Object.keys(found), ["input_features"]);
    const want = readSafetensors(join(folder, "chirp.safetensors.br")).get("input_features");
    assert.ok(want !== undefined);
    assert.deepEqual(found.input_features.shape, want.shape);
    assert.ok(worst(found.input_features.data, want.data) <= 1e-3);
  });
}

test("voxtral features: recordings are cut into chunks as by VoxtralProcessor", async () => {
  const folder = join(FIXTURES, "preprocess/voxtral");
  const json = readJson(join(folder, "preprocessor_config.json"));
  const { sampleRate, channels } = await chirp();
  const part = { sampleRate, channels: [channels[0].subarray(0, 20000)] };
  const found = whisperAudioProcessor(json, { countName: "num_chunks" })([await chirp(), part]);
  assert.deepEqual(Object.keys(found), ["input_features", "num_chunks"]);
  assert.deepEqual([...found.num_chunks.data], [2, 1]);
  const want = readSafetensors(join(folder, "chirp.safetensors.br")).get("input_features");
  assert.ok(want !== undefined);
  assert.deepEqual(found.input_features.shape, want.shape);
  assert.ok(worst(found.input_features.data, want.data) <= 1e-3);
});

test("voxtral features: a whole number of chunks is not padded, one sample more is a chunk of its own", () => {
  const cut = whisperAudioProcessor(SHORT, { countName: "num_chunks" });
  const counts = (...seconds: readonly number[]): readonly number[] =>
    Array.from(cut(seconds.map((s) => mono(tone(s)))).num_chunks.data, Number);
  assert.deepEqual(counts(0.1, 1, 16001 / 16000, 3), [1, 1, 2, 3]);
  assert.deepEqual(cut([mono(tone(0.7))]).input_features, extract([mono(tone(0.7))]).input_features);
  assert.throws(
    () => whisperAudioProcessor({ ...SHORT, hop_length: 161 }, { countName: "num_chunks" }),
    hasCode("invalid_config", /`hop_length` holds 161; expected a divisor of a chunk's 16000 samples/),
  );
});

test("whisper features: what is longer than the window is cut, what is shorter is padded with silence", () => {
  const long = tone(1.3);
  assert.deepEqual(data(mono(long)), data(mono(long.subarray(0, 16000))));
  const padded = new Float32Array(16000);
  padded.set(tone(0.4));
  assert.deepEqual(data(mono(tone(0.4))), data(mono(padded)));
});

test("whisper features: channels are averaged and other rates resampled first", () => {
  const [a, b] = [tone(0.5), tone(0.5, 16000, 0.2)];
  const average = a.map((v, i) => (v + b[i]) / 2);
  assert.deepEqual(data({ sampleRate: 16000, channels: [a, b] }), data(mono(average)));
  for (const rate of [8000, 44100, 48000]) {
    const sound = tone(0.5, rate);
    assert.deepEqual(data(mono(sound, rate)), data(mono(resample(sound, rate, 16000))));
    const long = tone(1.2, rate);
    const whole = resample(long, rate, 16000).subarray(0, 16000);
    assert.deepEqual(data(mono(long, rate)), data(mono(whole)));
  }
});

test("whisper features: a batch is its clips one below the other, each with a loudness of its own", () => {
  const clips = [mono(tone(1)), mono(tone(0.2, 16000, 0.001)), mono(tone(0.3, 8000), 8000)];
  const { input_features } = extract(clips);
  assert.deepEqual(input_features.shape, [3, 80, 100]);
  const alone = clips.flatMap((clip) => [...data(clip)]);
  assert.deepEqual([...input_features.data], alone);
});

test("whisper features: masks say where sound is, under the name that the model takes", () => {
  const files = { "preprocessor_config.json": { ...SHORT, feature_size: 20, return_attention_mask: true } };
  const audioOf = (type: string): NonNullable<Processors["audio"]> => {
    const { audio } = openModelOf(whisperPlugin, readJson(join(FIXTURES, type, "config.json"))).processors(files);
    assert.ok(audio !== undefined);
    return audio;
  };
  const clips = [mono(tone(1.5)), mono(tone(0.1)), mono(tone(401 / 16000))];
  const found = audioOf("qwen2_audio")(clips);
  assert.deepEqual(Object.keys(found), ["input_features", "feature_attention_mask"]);
  assert.deepEqual(found.feature_attention_mask.shape, [3, 100]);
  const ones = [...found.feature_attention_mask.data].map(Number);
  const counts = [0, 1, 2].map((row) => ones.slice(row * 100, row * 100 + 100).reduce((a, v) => a + v, 0));
  assert.deepEqual(counts, [100, 10, 3]);
  assert.deepEqual(Object.keys(audioOf("whisper")(clips)), ["input_features"]);
  assert.deepEqual(Object.keys(audioOf("voxtral")(clips)), ["input_features", "num_chunks"]);
  const alone = whisperPlugin.encoders?.[0].audioProcessors?.WhisperFeatureExtractor(files["preprocessor_config.json"]);
  assert.deepEqual(Object.keys(alone?.(clips) ?? {}), ["input_features", "attention_mask"]);
  const model = openModelOf(whisperPlugin, { model_type: "whisper" });
  assert.deepEqual(model.processors({}), {});
  const nested = { "processor_config.json": { feature_extractor: { feature_size: 80 } } };
  assert.ok(model.processors(nested).audio !== undefined);
});

test("whisper features: silence is the floor of every frame, as WhisperFeatureExtractor gives it", () => {
  const silent = new Float32Array(16000);
  const [a, b] = [tone(0.1), tone(0.1).map((v) => -v)];
  const clips: readonly AudioClip[] = [
    mono(silent),
    // Sound that begins behind the window; channels that cancel each other.
    mono(new Float32Array(32000).fill(0.5, 16000)),
    { sampleRate: 16000, channels: [a, b] },
  ];
  for (const clip of clips) assert.deepEqual(new Set(extract([clip]).input_features.data), new Set([-1.5]));
  const beside = extract([mono(silent), mono(tone(1))]).input_features;
  assert.ok(beside.data.every(Number.isFinite));
});

test("whisper features: recordings that cannot be taken are refused by position", () => {
  const refuses = (clip: AudioClip, code: string, says: RegExp): void =>
    assert.throws(() => extract([mono(tone(0.1)), clip]), hasCode(code, says));
  const most = "expected at least one frame of 400 \\(25 ms\\)";
  refuses(
    mono(tone(0.1).subarray(0, 399)),
    "audio.too_short",
    new RegExp(`^Audio 1 has 399 samples .*24.9 ms.*${most}`),
  );
  refuses(mono(new Float32Array(0)), "audio.too_short", /^Audio 1 has 0 samples at 16000 Hz \(0 ms\)/);
  refuses(mono(tone(0.02, 44100), 44100), "audio.too_short", /^Audio 1 has 320 samples at 16000 Hz \(20 ms\)/);
  const odd = tone(0.1);
  odd[5] = Number.NaN;
  refuses(mono(odd), "audio.not_finite", /^Audio 1 holds NaN at sample 5 of channel 0; expected finite numbers/);
  refuses({ sampleRate: 16000, channels: [] }, "audio.shape", /^Audio 1 has 0 channels/);
  refuses(mono(tone(0.1), 12), "audio.shape", /^Audio 1 has a sample rate of 12 Hz; expected/);
  assert.throws(() => extract([]), hasCode("invalid_input", /No audio was given/));
});

test("whisper features: configurations are read with transformers' defaults and errors name the field", () => {
  const published = parseFeatureExtractor(
    readJson(join(FIXTURES, "configs/whisper-large-v3/preprocessor_config.json")),
  );
  assert.deepEqual(published, { ...parseFeatureExtractor({}), melBins: 128 });
  assert.deepEqual(parseFeatureExtractor({}), {
    melBins: 80,
    sampleRate: 16000,
    hop: 160,
    fftSize: 400,
    chunkLength: 30,
    paddingValue: 0,
    attentionMask: false,
  });
  const refuses = (json: unknown, says: RegExp): void =>
    assert.throws(() => whisperAudioProcessor(json, { melBins: 80 }), hasCode("invalid_config", says));
  refuses([], /^preprocessor_config.json must be a JSON object/);
  const field = (json: Json, says: RegExp): void => refuses(json, says);
  field({ feature_extractor_type: "ClapFeatureExtractor" }, /expected one of WhisperFeatureExtractor/);
  field({ feature_size: 128 }, /`feature_size` holds 128; expected 80, the model's num_mel_bins/);
  field({ n_fft: 401 }, /Spectra of 401 samples cannot be computed/);
  field({ hop_length: 0 }, /`hop_length` holds 0/);
  field({ sampling_rate: "16k" }, /`sampling_rate` holds "16k"/);
  field({ chunk_length: 100000 }, /`chunk_length` holds 100000; expected a whole number from 1 to 1048/);
  field({ dither: 0.1 }, /`dither` holds 0.1; expected 0, since random noise/);
  field({ do_normalize: true }, /`do_normalize` holds true; expected false/);
  field({ feature_extractor: { feature_size: "x" } }, /`feature_extractor.feature_size` holds "x"/);
});
