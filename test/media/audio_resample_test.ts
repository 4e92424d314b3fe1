import assert from "node:assert/strict";
import { test } from "node:test";
import { mixToMono } from "../../runtime/media/audio/clip.ts";
import { neededSamples, resample } from "../../runtime/media/audio/resample.ts";
import { hasCode } from "../kit/assertions.ts";

const tone = (hertz: number, rate: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate + 0.3));

/** Largest magnitude away from both ends, where the filter sees silence. */
function middlePeak(samples: Float32Array, margin: number, from: (i: number) => number = () => 0): number {
  let peak = 0;
  for (let i = margin; i < samples.length - margin; i++) peak = Math.max(peak, Math.abs(samples[i] - from(i)));
  return peak;
}

const decibels = (amplitude: number): number => 20 * Math.log10(amplitude);

test("resample: tones of the pass band keep their amplitude and phase", () => {
  for (const rate of [8000, 11025, 22050, 32000, 44100, 48000]) {
    const top = 0.91 * Math.min(8000, rate / 2);
    for (const hertz of [50, top / 2, top - 1]) {
      const out = resample(tone(hertz, rate, 6000), rate, 16000);
      const wanted = tone(hertz, 16000, out.length);
      const margin = Math.ceil((70 * 16000) / Math.min(rate, 16000));
      const apart = middlePeak(out, margin, (i) => wanted[i]);
      assert.ok(apart < 1e-4, `${hertz} Hz at ${rate}: ${decibels(apart)} dB`);
    }
  }
});

test("resample: tones that would fold back are at least 95 dB down", () => {
  for (const rate of [22050, 32000, 44100, 48000, 96000]) {
    for (const hertz of [8000, 8200, 9500, rate / 2 - 100]) {
      const left = middlePeak(resample(tone(hertz, rate, 8000), rate, 16000), 70);
      assert.ok(decibels(left) < -95, `${hertz} Hz at ${rate}: ${decibels(left)} dB`);
    }
  }
});

test("resample: no image of the sound appears above the old limit when the rate goes up", () => {
  const out = resample(tone(3000, 8000, 4000), 8000, 16000);
  // The image of 3000 Hz at 8 kHz is 5000 Hz: correlate with it.
  let [c, s] = [0, 0];
  const [from, to] = [1000, 7000];
  for (let i = from; i < to; i++) {
    c += (2 * out[i] * Math.cos((2 * Math.PI * 5000 * i) / 16000)) / (to - from);
    s += (2 * out[i] * Math.sin((2 * Math.PI * 5000 * i) / 16000)) / (to - from);
  }
  assert.ok(decibels(Math.hypot(c, s)) < -95, `${decibels(Math.hypot(c, s))} dB`);
});

test("resample: rates with more phases than the table holds are interpolated as finely", () => {
  const rate = 44101;
  const out = resample(tone(1000, rate, 5000), rate, 16000);
  const wanted = tone(1000, 16000, out.length);
  assert.ok(middlePeak(out, 70, (i) => wanted[i]) < 1e-4);
  assert.ok(decibels(middlePeak(resample(tone(9000, rate, 5000), rate, 16000), 70)) < -95);
});

test("resample: a constant stays, lengths round up, equal rates change nothing", () => {
  const flat = resample(new Float32Array(3000).fill(0.25), 44100, 16000);
  assert.equal(flat.length, Math.ceil((3000 * 160) / 441));
  assert.ok(middlePeak(flat, 70, () => 0.25) < 1e-7);
  const same = tone(100, 16000, 10);
  assert.deepEqual(resample(same, 16000, 16000), same);
  assert.deepEqual(resample(same, 16000, 16000, 4), same.subarray(0, 4));
  assert.equal(resample(new Float32Array(1), 384000, 16000).length, 1);
});

test("resample: a limit gives the beginning of the whole, from as few samples as it says", () => {
  for (const rate of [8000, 44100, 44101, 48000]) {
    const whole = tone(700, rate, rate / 4);
    const wanted = resample(whole, rate, 16000).subarray(0, 500);
    assert.deepEqual(resample(whole, rate, 16000, 500), wanted);
    assert.deepEqual(resample(whole.subarray(0, neededSamples(rate, 16000, 500)), rate, 16000, 500), wanted);
  }
});

test("mono: channels are averaged, and what is no clip is named", () => {
  const [a, b] = [Float32Array.of(1, 0.5, -1), Float32Array.of(0, 0.5, 1)];
  assert.deepEqual(mixToMono({ sampleRate: 16000, channels: [a, b] }, "it"), Float32Array.of(0.5, 0.5, 0));
  assert.deepEqual(mixToMono({ sampleRate: 16000, channels: [a, b] }, "it", 2), Float32Array.of(0.5, 0.5));
  const refused = (sampleRate: number, channels: readonly Float32Array[], code: string, says: RegExp): void =>
    assert.throws(() => mixToMono({ sampleRate, channels }, "Audio 3"), hasCode(code, says));
  refused(16000, [], "audio.shape", /^Audio 3 has 0 channels; expected 1 to 64/);
  refused(
    16000,
    [a, b.subarray(1)],
    "audio.shape",
    /2 samples in channel 1 and 3 in channel 0; expected Float32Arrays of one length/,
  );
  refused(16000, [a, [1, 2, 3] as unknown as Float32Array], "audio.shape", /something else than a Float32Array/);
  for (const rate of [0, 999, 16000.5, 1e9, Number.NaN])
    refused(rate, [a], "audio.shape", /sample rate of .* Hz; expected/);
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    refused(
      16000,
      [a, Float32Array.of(0, odd, 0)],
      "audio.not_finite",
      new RegExp(`holds ${odd} at sample 1 of channel 1`),
    );
  }
});
