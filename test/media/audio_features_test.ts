import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { hash32, normal } from "../../runtime/core/random.ts";
import { decodeAudio } from "../../runtime/media/audio/decode.ts";
import { createPowerSpectrum } from "../../runtime/media/audio/fft.ts";
import { createLogMel } from "../../runtime/media/audio/log_mel.ts";
import { hertzToMel, melFilters, melToHertz } from "../../runtime/media/audio/mel.ts";
import { hasCode } from "../kit/assertions.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";
import { bytesOf } from "../kit/wav_writer.ts";
import { fnv } from "./media_kit.ts";

const WHISPER = { sampleRate: 16000, fftSize: 400, hop: 160 };
const THIRTY_SECONDS = 480000;

/** |X|^2 by the definition. */
function naivePower(samples: Float32Array, window: Float64Array): Float64Array {
  const n = window.length;
  return Float64Array.from({ length: n / 2 + 1 }, (_, k) => {
    let [re, im] = [0, 0];
    for (let i = 0; i < n; i++) {
      const angle = (2 * Math.PI * ((i * k) % n)) / n;
      re += samples[i] * window[i] * Math.cos(angle);
      im -= samples[i] * window[i] * Math.sin(angle);
    }
    return re * re + im * im;
  });
}

test("fft: power spectra of all radices are those of the definition", () => {
  for (const size of [2, 4, 6, 8, 10, 12, 16, 20, 30, 36, 50, 90, 120, 400, 480, 512]) {
    const window = Float64Array.from({ length: size }, (_, i) => normal(size, i));
    const samples = Float32Array.from({ length: size + 3 }, (_, i) => normal(7, i));
    const spectrum = createPowerSpectrum(window);
    assert.deepEqual([spectrum.size, spectrum.bins], [size, size / 2 + 1]);
    const found = new Float64Array(spectrum.bins);
    spectrum.run(samples, 3, found);
    naivePower(samples.subarray(3), window).forEach((want, k) => {
      assert.ok(Math.abs(found[k] - want) <= 1e-11 * size, `bin ${k} of ${size}: ${found[k]} for ${want}`);
    });
  }
  for (const size of [0, 1, 3, 14, 401, 2 * 7 * 11]) {
    const make = (): unknown => createPowerSpectrum(new Float64Array(size));
    assert.throws(make, hasCode("invalid_config", new RegExp(`Spectra of ${size} samples cannot`)));
  }
});

test("mel: Slaney's scale, and filters of area 1 that share their feet", () => {
  assert.equal(hertzToMel(1000), 15);
  assert.ok(Math.abs(hertzToMel(6400) - 42) < 1e-12);
  for (const hertz of [0, 200, 999, 1000, 1001, 4000, 8000]) {
    assert.ok(Math.abs(melToHertz(hertzToMel(hertz)) - hertz) < 1e-9);
  }
  for (const filters of [80, 128]) {
    const bank = melFilters({ filters, bins: 4001, sampleRate: 16000, lowest: 0, highest: 8000 });
    assert.equal(bank.length, filters);
    for (const { weights } of bank) {
      // Bins are 2 Hz apart here.
      const area = weights.reduce((sum, w) => sum + 2 * w, 0);
      assert.ok(Math.abs(area - 1) < 0.03, `${area}`);
    }
    for (const [i, { first }] of bank.slice(1).entries()) assert.ok(first > bank[i].first);
  }
});

for (const melBins of [80, 128]) {
  test(`log-mel: ${melBins} bins of a recording are those of Hugging Face's WhisperFeatureExtractor`, async () => {
    const file = await readFile(join(FIXTURES, "preprocess/chirp.wav"));
    const { channels } = await decodeAudio(new Uint8Array(file));
    const samples = new Float32Array(THIRTY_SECONDS);
    samples.set(channels[0]);
    const found = new Float32Array(melBins * 3000);
    createLogMel({ ...WHISPER, melBins }).compute(samples, found, 0);
    const folder = join(FIXTURES, `preprocess/whisper-${melBins}`);
    const want = readSafetensors(join(folder, "chirp.safetensors.br")).get("input_features");
    assert.ok(want !== undefined);
    assert.deepEqual(want.shape, [1, melBins, 3000]);
    let worst = 0;
    want.data.forEach((v, i) => {
      worst = Math.max(worst, Math.abs(v - found[i]));
    });
    // The reference is stored as float16: half of its last place near 1 is all that is left.
    assert.ok(worst <= 2 ** -11 + 1e-6, `worst ${worst}`);
  });
}

const noise = (length: number): Float32Array =>
  Float32Array.from(
    { length },
    (_, i) => (hash32(5, i) / 2 ** 32 - 0.5) * (0.2 + Math.abs(((i % 9000) - 4500) / 9000)),
  );

test("log-mel: the same bits on every runtime", () => {
  const out = new Float32Array(80 * 50);
  createLogMel({ ...WHISPER, melBins: 80 }).compute(noise(8000), out, 0);
  assert.equal(fnv(bytesOf(out)), 0x5ed5be8d);
});

test("log-mel: frames are centred on their samples and silence is the floor", () => {
  const logMel = createLogMel({ ...WHISPER, melBins: 80 });
  const click = new Float32Array(16000);
  click[8000] = 1;
  const out = new Float32Array(1 + 80 * 100);
  logMel.compute(click, out, 1);
  assert.equal(out[0], 0);
  const row = [...out.subarray(1, 101)];
  assert.equal(row.indexOf(Math.max(...row)), 50);
  assert.ok(row.every((v, i) => v === row[0] || Math.abs(i - 50) <= 1));
  assert.equal(Math.max(...out) - Math.min(...out.subarray(1)), 2);
  const silent = new Float32Array(80 * 100);
  logMel.compute(new Float32Array(16000), silent, 0);
  assert.ok(silent.every((v) => v === -1.5));
  assert.throws(() => logMel.compute(new Float32Array(200), silent, 0), hasCode("audio.too_short", /found 200/));
});
