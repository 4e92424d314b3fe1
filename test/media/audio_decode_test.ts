import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { AudioClip } from "../../runtime/media/audio/clip.ts";
import { decodeAudio } from "../../runtime/media/audio/decode.ts";
import { runStreamDecoder, type StreamDecoder } from "../../runtime/media/audio/stream_decoder.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";

const recording = async (name: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(join(FIXTURES, "audio", name)));

/** Largest distance to a sine of this amplitude, and the root of the mean square. */
function distance(
  samples: Float32Array,
  amplitude: number,
  hertz: number,
  rate: number,
): { worst: number; rms: number } {
  let [worst, square] = [0, 0];
  samples.forEach((v, i) => {
    const apart = Math.abs(v - amplitude * Math.sin((2 * Math.PI * hertz * i) / rate));
    worst = Math.max(worst, apart);
    square += (apart * apart) / samples.length;
  });
  return { worst, rms: Math.sqrt(square) };
}

function isStereo(clip: AudioClip, limit: { readonly worst: number; readonly rms: number }): void {
  assert.deepEqual([clip.sampleRate, clip.channels.length, clip.channels[0].length], [22050, 2, 5513]);
  const parts = [distance(clip.channels[0], 0.5, 440, 22050), distance(clip.channels[1], 0.25, 1000, 22050)];
  for (const { worst, rms } of parts) assert.ok(worst <= limit.worst && rms <= limit.rms, `${worst} ${rms}`);
}

test("flac: samples are exactly those of the encoder, at 16 and 24 bits", async () => {
  const stereo = await decodeAudio(await recording("stereo_16.flac"));
  isStereo(stereo, { worst: 2 ** -15, rms: 2 ** -16 });
  for (const channel of stereo.channels) assert.ok(channel.every((v) => Number.isInteger(v * 32768)));
  const mono = await decodeAudio(await recording("mono_24.flac"));
  assert.deepEqual([mono.sampleRate, mono.channels.length, mono.channels[0].length], [16000, 1, 2000]);
  assert.ok(mono.channels[0].every((v) => Number.isInteger(v * 8388608)));
  assert.ok(distance(mono.channels[0], 0.5, 440, 16000).worst <= 2 ** -23);
});

test("mp3 and ogg vorbis: the sound begins where it began and mono stays mono", async () => {
  isStereo(await decodeAudio(await recording("stereo.mp3")), { worst: 0.1, rms: 0.015 });
  isStereo(await decodeAudio(await recording("stereo.ogg")), { worst: 0.1, rms: 0.015 });
  for (const name of ["mono.mp3", "mono.ogg"]) {
    const clip = await decodeAudio(await recording(name));
    assert.deepEqual([clip.sampleRate, clip.channels.length, clip.channels[0].length], [16000, 1, 8000], name);
    const { worst, rms } = distance(clip.channels[0], 0.5, 440, 16000);
    assert.ok(worst < 0.1 && rms < 0.015, `${name}: ${worst} ${rms}`);
  }
});

test("mp3 and flac: a tag in front is skipped", async () => {
  const tag = Uint8Array.from([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 1, 2, ...new Uint8Array(130)]);
  for (const name of ["mono.mp3", "mono_24.flac"]) {
    const plain = await recording(name);
    const tagged = new Uint8Array([...tag, ...plain]);
    assert.deepEqual(await decodeAudio(tagged), await decodeAudio(plain));
    const cut = decodeAudio(tagged.slice(0, 100));
    await assert.rejects(cut, hasCode("audio.truncated", /ID3 tag promises 140 bytes, the file has 100/));
  }
});

test("flac: a tag at the end is skipped, and frames that fail their checksum are damaged, not cut off", async () => {
  const plain = await recording("stereo_16.flac");
  const tag = new Uint8Array(128);
  tag.set([0x54, 0x41, 0x47]);
  assert.deepEqual(await decodeAudio(new Uint8Array([...plain, ...tag])), await decodeAudio(plain));
  plain[1000] ^= 1;
  const lacking = /damaged FLAC file: its header promises 5513 samples a channel, \d+ can be decoded\.$/;
  await assert.rejects(decodeAudio(plain), hasCode("audio.damaged", lacking));
});

test("ogg: a page that fails its checksum is damaged, whichever byte of it is another", async () => {
  const whole = await recording("mono.ogg");
  for (const at of [6, 24, 1000, whole.length - 1]) {
    const bad = whole.slice();
    bad[at] ^= 1;
    await assert.rejects(
      decodeAudio(bad),
      hasCode("audio.damaged", /Ogg file: the page at byte \d+ fails its checksum/),
    );
  }
});

test("compressed files that end early are refused", async () => {
  for (const [name, least] of [
    ["stereo_16.flac", 8],
    ["mono.mp3", 60],
    ["mono.ogg", 8],
  ] as const) {
    const whole = await recording(name);
    for (let i = 0; i < 12; i++) {
      const length = least + (hash32(3, i) % (whole.length - least));
      const cut = decodeAudio(whole.slice(0, length), { name });
      await assert.rejects(
        cut,
        hasCode("audio.truncated", /truncated .* Copy or download/),
        `${name} of ${length} bytes`,
      );
    }
  }
});

test("damaged files give samples or a sentence, and the next good file decodes", async () => {
  for (const name of ["stereo_16.flac", "mono.mp3", "mono.ogg"]) {
    const whole = await recording(name);
    for (let round = 0; round < 12; round++) {
      const bad = whole.slice();
      for (let i = 0; i < 1 + round; i++) {
        bad[hash32(round, 2 * i) % bad.length] = hash32(round, 2 * i + 1) & 255;
      }
      await decodeAudio(bad).catch((error: unknown) => {
        assert.ok(error instanceof FoveaError && error.code.startsWith("audio."), `${name}: ${String(error)}`);
      });
    }
    assert.ok((await decodeAudio(whole)).channels[0].length >= 5000);
  }
});

test("lengths that a header promises are checked before anything is decoded", async () => {
  const flac = await recording("stereo_16.flac");
  flac.set([0xff, 0xff, 0xff, 0xff], 22);
  await assert.rejects(decodeAudio(flac), hasCode("audio.too_long", /holds \d{10} samples or more, above the limit/));
  flac.set([0, 0, 0x15, 0x8a], 22);
  await assert.rejects(decodeAudio(flac), hasCode("audio.damaged", /promises 5514 samples a channel, 5513 can be/));
  const mp3 = decodeAudio(await recording("mono.mp3"), { maxSamples: 5000 });
  await assert.rejects(mp3, hasCode("audio.too_long", /above the limit of 5000; cut it, or raise maxSamples/));
  const ogg = decodeAudio(await recording("mono.ogg"), { maxSamples: 5000 });
  await assert.rejects(ogg, hasCode("audio.too_long", /holds 8000 samples/));
});

test("what is not sound is told from what has no decoder here", async () => {
  const refused = async (bytes: ArrayLike<number>, code: string, says: RegExp): Promise<void> =>
    assert.rejects(decodeAudio(Uint8Array.from(bytes), { name: "a" }), hasCode(code, says));
  const text = (s: string): number[] => [...s].map((c) => c.charCodeAt(0));
  await refused([], "audio.empty", /^a is empty \(0 bytes\)/);
  await refused(
    text("hello, world"),
    "audio.unknown",
    /begins with the bytes 68 65 6c 6c 6f 2c 20 77; expected WAV, FLAC/,
  );
  await refused([0xff], "audio.unknown", /begins with the bytes ff/);
  await refused(text("RF64\xff\xff\xff\xffWAVEds64"), "audio.unsupported", /64-bit kind \(RF64\)/);
  await refused(text("FORM\0\0\0\x10AIFF"), "audio.unsupported", /an AIFF file/);
  await refused(text("\0\0\0\x18ftypM4A "), "audio.unsupported", /MP4 or M4A file, .* convert it to WAV/);
  await refused(text("\x1aE\xdf\xa3\x01\0\0\0"), "audio.unsupported", /WebM or Matroska/);
  await refused([0xff, 0xf1, 0x50, 0x80, 0, 0], "audio.unsupported", /an AAC file/);
  await refused(await recording("opus.ogg"), "audio.unsupported", /an Ogg file with Opus sound/);
  await refused(text("RIFF\x10\0\0\0AVI LIST"), "audio.unknown", /expected WAV/);
});

const LIMITS = { name: "take.xyz", maxSamples: 1000 };

function fakeDecoder(pieces: readonly Partial<Awaited<ReturnType<StreamDecoder["decode"]>>>[]): StreamDecoder {
  let next = 0;
  const none = { channelData: [], samplesDecoded: 0, sampleRate: 0, errors: [] };
  return { ready: Promise.resolve(), decode: () => ({ ...none, ...pieces[next++] }), free: () => undefined };
}

const run = (open: () => Promise<StreamDecoder>): Promise<AudioClip> =>
  runStreamDecoder({ format: "XYZ", package: "xyz-decoder", open }, new Uint8Array(20000), LIMITS);

test("a decoder that is not installed is named with the command that installs it", async () => {
  const missing = run(() => Promise.reject(new Error("Cannot find package 'xyz-decoder'\n  at a.js")));
  const says =
    /take\.xyz holds XYZ sound, .* Cannot find package 'xyz-decoder'\. Install it with `npm install xyz-decoder`, or convert the file to WAV\./;
  await assert.rejects(missing, hasCode("audio.no_codec", says));
});

test("what a decoder gives is bounded, checked and joined", async () => {
  const piece = (length: number, sampleRate = 16000): object => ({
    channelData: [new Float32Array(length).fill(0.5)],
    samplesDecoded: length,
    sampleRate,
  });
  const clip = await run(async () => fakeDecoder([piece(3), {}, piece(4)]));
  assert.deepEqual(clip, { sampleRate: 16000, channels: [new Float32Array(7).fill(0.5)] });
  const fails = (pieces: readonly object[], code: string, says: RegExp): Promise<void> =>
    assert.rejects(
      run(async () => fakeDecoder(pieces)),
      hasCode(code, says),
    );
  await fails([piece(600), piece(600)], "audio.too_long", /holds 1200 samples or more, above the limit of 1000/);
  await fails(
    [piece(3), piece(3, 8000)],
    "audio.damaged",
    /begins with 16000 Hz with 1 channels and goes on with 8000/,
  );
  await fails([{ errors: [{ message: "bad block" }] }], "audio.damaged", /damaged XYZ file: bad block/);
  await fails([], "audio.damaged", /no samples that can be decoded/);
  const throwing = fakeDecoder([]);
  throwing.decode = (): never => {
    throw new RangeError("memory out of bounds");
  };
  await assert.rejects(
    run(async () => throwing),
    hasCode("audio.damaged", /stopped with "memory out of bounds"/),
  );
});
