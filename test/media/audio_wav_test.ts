import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { decodeAudio } from "../../runtime/media/audio/decode.ts";
import { hasCode } from "../kit/assertions.ts";
import { bytesOf, chunk, int24, wavFile } from "../kit/wav_writer.ts";

const samplesOf = async (file: Uint8Array): Promise<number[][]> =>
  (await decodeAudio(file)).channels.map((c) => [...c]);

const refuses = (file: Uint8Array, code: string, says: RegExp): Promise<void> =>
  assert.rejects(decodeAudio(file, { name: "take.wav" }), hasCode(code, says));

const SIXTEEN = bytesOf(Int16Array.of(0, 16384, -32768, 32767));

test("wav: integers of 8, 16, 24 and 32 bits are divided by the same power of two on both sides of 0", async () => {
  const close = (found: number[][], wanted: number[]): void => {
    for (const [i, v] of found[0].entries()) assert.ok(Math.abs(v - wanted[i]) <= 2 ** -24, `${v} for ${wanted[i]}`);
  };
  close(await samplesOf(wavFile(Uint8Array.of(0, 64, 128, 192, 255), { bits: 8 })), [-1, -0.5, 0, 0.5, 127 / 128]);
  close(await samplesOf(wavFile(SIXTEEN)), [0, 0.5, -1, 32767 / 32768]);
  const wide = int24([0, 4194304, -8388608, 8388607, -1]);
  close(await samplesOf(wavFile(wide, { bits: 24 })), [0, 0.5, -1, 1 - 2 ** -23, -(2 ** -23)]);
  const widest = bytesOf(Int32Array.of(0, 2 ** 30, -(2 ** 31), 3));
  close(await samplesOf(wavFile(widest, { bits: 32 })), [0, 0.5, -1, 3 * 2 ** -31]);
});

test("wav: floats of 32 and 64 bits are kept, A-law and mu-law are expanded", async () => {
  const values = [0, 0.25, -0.75, 1.5];
  const options = { encoding: 3, bits: 32 };
  assert.deepEqual(await samplesOf(wavFile(bytesOf(Float32Array.from(values)), options)), [values]);
  const wide = wavFile(bytesOf(Float64Array.from(values)), { encoding: 3, bits: 64 });
  assert.deepEqual(await samplesOf(wide), [values]);
  // ITU-T G.711: the codes of the smallest and the largest values.
  const alaw = await samplesOf(wavFile(Uint8Array.of(0xd5, 0xaa, 0x2a), { encoding: 6, bits: 8 }));
  assert.deepEqual(alaw, [[8 / 32768, 32256 / 32768, -32256 / 32768]]);
  const ulaw = await samplesOf(wavFile(Uint8Array.of(0xff, 0x80, 0x00), { encoding: 7, bits: 8 }));
  assert.deepEqual(ulaw, [[0, 32124 / 32768, -32124 / 32768]]);
});

test("wav: channels are taken apart, extensible headers and chunks of odd sizes are read", async () => {
  const stereo = bytesOf(Int16Array.of(16384, -16384, 8192, -8192));
  const clip = await decodeAudio(wavFile(stereo, { channels: 2, sampleRate: 44100 }));
  assert.equal(clip.sampleRate, 44100);
  const halves = [[...clip.channels[0]], [...clip.channels[1]]];
  for (const [i, v] of halves.flat().entries()) assert.ok(Math.abs(v - [0.5, 0.25, -0.5, -0.25][i]) < 1e-7);
  assert.deepEqual(await samplesOf(wavFile(stereo, { channels: 2, extensible: true })), halves);
  const floats = bytesOf(Float32Array.of(0.5, -0.5));
  const wrapped = wavFile(floats, { encoding: 3, bits: 32, extensible: true });
  assert.deepEqual(await samplesOf(wrapped), [[0.5, -0.5]]);
  const before = Uint8Array.from([...chunk("LIST", [1, 2, 3]), ...chunk("fact", [0, 0, 0, 0])]);
  assert.deepEqual(await samplesOf(wavFile(stereo, { channels: 2, before })), halves);
});

test("wav: bytes after the samples are no sound; a file without a known end is read to its end", async () => {
  const whole = wavFile(SIXTEEN);
  const tail = Uint8Array.from([...whole, ...chunk("LIST", [9, 9, 9, 9])]);
  assert.deepEqual(await samplesOf(tail), await samplesOf(whole));
  const open = wavFile(SIXTEEN, { riffSize: 0xffffffff, dataSize: 0xffffffff });
  assert.deepEqual(await samplesOf(open), await samplesOf(whole));
  assert.deepEqual(await samplesOf(wavFile(SIXTEEN, { riffSize: 0, dataSize: 0 })), await samplesOf(whole));
  // Samples at an address that no 32-bit load could read.
  const floats = wavFile(bytesOf(Float32Array.of(0.5, -0.5)), { encoding: 3, bits: 32 });
  const shifted = new Uint8Array(floats.length + 1);
  shifted.set(floats, 1);
  assert.deepEqual(await samplesOf(shifted.subarray(1)), [[0.5, -0.5]]);
});

test("wav: samples of a Buffer, as files are read on Node, are decoded at every address", async () => {
  const values = [0, 0.25, -0.75, 1.5];
  const sizes = [
    { encoding: 3, bits: 64, samples: bytesOf(Float64Array.from(values)) },
    { encoding: 3, bits: 32, samples: bytesOf(Float32Array.from(values)) },
    { encoding: 1, bits: 32, samples: bytesOf(Int32Array.from(values, (v) => v * 2 ** 30)) },
  ];
  for (const { samples, ...options } of sizes) {
    // A list of an odd number of pairs, as ffmpeg writes its name.
    const file = wavFile(samples, { ...options, before: chunk("LIST", Array<number>(26).fill(65)) });
    const wanted = await samplesOf(file);
    for (let shift = 0; shift < 8; shift++) {
      const buffer = Buffer.alloc(file.length + shift);
      buffer.set(file, shift);
      assert.deepEqual(await samplesOf(buffer.subarray(shift)), wanted, `${options.bits} bits, shifted by ${shift}`);
    }
  }
});

test("wav: a file that ends early is refused wherever it ends", async () => {
  const whole = wavFile(SIXTEEN, { before: chunk("LIST", [1, 2, 3, 4]) });
  for (let length = 4; length < whole.length; length++) {
    await refuses(whole.slice(0, length), "audio.truncated", /^take\.wav is a truncated WAV file: .* has \d+/);
  }
  await refuses(wavFile(SIXTEEN, { dataSize: 4000 }), "audio.truncated", /promises 4000 bytes of samples, .* has 8\./);
});

test("wav: absurd sizes are refused before anything is allocated for them", async () => {
  const file = wavFile(SIXTEEN, { dataSize: 0xfffffff0, riffSize: 0xffffffff });
  await refuses(file, "audio.truncated", /promises 4294967280 bytes of samples, the file has 8/);
  const long = decodeAudio(wavFile(new Uint8Array(4000)), { maxSamples: 1999 });
  await assert.rejects(long, hasCode("audio.too_long", /holds 2000 samples or more, above the limit of 1999/));
  const rate = wavFile(SIXTEEN, { sampleRate: 4294967295 });
  await refuses(rate, "audio.damaged", /declares 4294967295 samples a second; expected 1000 to 384000/);
  await refuses(wavFile(SIXTEEN, { sampleRate: 0 }), "audio.damaged", /declares 0 samples a second/);
  const many = wavFile(new Uint8Array(260), { channels: 65, bits: 16 });
  await refuses(many, "audio.damaged", /declares 65 channels; expected 1 to 64/);
  await refuses(wavFile(SIXTEEN, { channels: 0, blockAlign: 2 }), "audio.damaged", /declares 0 channels/);
});

test("wav: headers that contradict themselves and encodings without a decoder are named", async () => {
  await refuses(wavFile(SIXTEEN, { blockAlign: 3 }), "audio.damaged", /declares 3 bytes .* 1 x 16 bits need 2/);
  await refuses(wavFile(SIXTEEN.slice(0, 7)), "audio.damaged", /7 bytes of samples are no multiple of the 2/);
  await refuses(wavFile(SIXTEEN, { encoding: 0x11, bits: 16 }), "audio.unsupported", /the encoding 0x0011, .*convert/);
  await refuses(wavFile(SIXTEEN, { bits: 12, blockAlign: 2 }), "audio.unsupported", /12-bit pcm samples/);
  const own = wavFile(SIXTEEN, { extensible: true });
  own[60 - 1] ^= 1;
  await refuses(own, "audio.unsupported", /an encoding of its maker's own/);
  const nothing = wavFile(new Uint8Array(0));
  await refuses(nothing, "audio.empty", /^take\.wav holds no samples \(0 seconds at 16000 Hz\)/);
  const reversed = Uint8Array.from([...nothing.slice(0, 12), ...chunk("data", [0, 0]), ...nothing.slice(12)]);
  await refuses(reversed, "audio.damaged", /samples come before its format/);
  const short = Uint8Array.from([...nothing.slice(0, 12), ...chunk("fmt ", [1, 0, 1, 0]), ...chunk("data", [0, 0])]);
  await refuses(short, "audio.damaged", /format chunk has 4 bytes; expected 16/);
});
