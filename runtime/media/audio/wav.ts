/** WAV files: the container is checked here, the package `@audio/decode-wav` converts the samples. */
import { decoder } from "@audio/decode-wav";
import { type AudioLimits, ascii, checkShape, damaged, truncated, unsupported } from "./audio_header.ts";
import type { AudioClip } from "./clip.ts";
import { evenScale } from "./even_scale.ts";

/** What a WAV file declares, and where its samples are. */
export interface WavHeader {
  readonly encoding: "pcm" | "float" | "alaw" | "ulaw";
  readonly channels: number;
  readonly sampleRate: number;
  readonly bits: number;
  /** Bytes of the file that hold samples: `[from, to)`. */
  readonly from: number;
  readonly to: number;
}

const ENCODINGS: Readonly<Record<number, WavHeader["encoding"]>> = { 1: "pcm", 3: "float", 6: "alaw", 7: "ulaw" };
const TAGS: Readonly<Record<WavHeader["encoding"], number>> = { pcm: 1, float: 3, alaw: 6, ulaw: 7 };
const BITS: Readonly<Record<WavHeader["encoding"], readonly number[]>> = {
  pcm: [8, 16, 24, 32],
  float: [32, 64],
  alaw: [8],
  ulaw: [8],
};

/** WAVE_FORMAT_EXTENSIBLE: the encoding is the first field of a GUID. */
const EXTENSIBLE = 0xfffe;
/** The rest of that GUID, bytes 2 to 15. */
const GUID_REST = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";
/** Sizes that programs write which do not know the end yet. */
const OPEN_END = 0xffffffff;

type Format = Omit<WavHeader, "from" | "to">;

/** Reads the body of a `fmt ` chunk. @throws FoveaError `audio.damaged`, `audio.unsupported` */
function readFormat(body: Uint8Array, limits: AudioLimits): Format {
  if (body.length < 16) throw damaged(limits, "WAV", `its format chunk has ${body.length} bytes; expected 16 or more`);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let tag = view.getUint16(0, true);
  if (tag === EXTENSIBLE) {
    if (body.length < 40) {
      throw damaged(limits, "WAV", `its extensible format chunk has ${body.length} bytes; expected 40`);
    }
    if (ascii(body, 26, 14) !== GUID_REST) throw unsupported(limits, "a WAV file with an encoding of its maker's own");
    tag = view.getUint16(24, true);
  }
  const encoding = ENCODINGS[tag];
  const channels = view.getUint16(2, true);
  const sampleRate = view.getUint32(4, true);
  const block = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  if (encoding === undefined) {
    throw unsupported(limits, `a WAV file with the encoding 0x${tag.toString(16).padStart(4, "0")}`);
  }
  if (!BITS[encoding].includes(bits)) throw unsupported(limits, `a WAV file with ${bits}-bit ${encoding} samples`);
  checkShape(limits, "WAV", sampleRate, channels, 0);
  if (block !== (channels * bits) / 8) {
    const expected = (channels * bits) / 8;
    throw damaged(
      limits,
      "WAV",
      `it declares ${block} bytes for a sample of all channels; ${channels} x ${bits} bits need ${expected}`,
    );
  }
  return { encoding, channels, sampleRate, bits };
}

/**
 * Walks the chunks up to the samples.
 * @throws FoveaError `audio.truncated`, `audio.damaged`, `audio.unsupported`, `audio.too_long`
 */
export function readWavHeader(bytes: Uint8Array, limits: AudioLimits): WavHeader {
  if (bytes.length < 12) throw truncated(limits, "WAV", `it has ${bytes.length} bytes and ends inside its header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const riff = view.getUint32(4, true);
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const type = ascii(bytes, at, 4);
    const size = view.getUint32(at + 4, true);
    const from = at + 8;
    if (type === "data") {
      if (format === undefined) throw damaged(limits, "WAV", "its samples come before its format");
      const open = size === OPEN_END || (size === 0 && (riff === 0 || riff === OPEN_END));
      const block = (format.channels * format.bits) / 8;
      const length = open ? Math.floor((bytes.length - from) / block) * block : size;
      if (from + length > bytes.length) {
        throw truncated(
          limits,
          "WAV",
          `its header promises ${length} bytes of samples, the file has ${bytes.length - from}`,
        );
      }
      if (length % block !== 0) {
        throw damaged(limits, "WAV", `its ${length} bytes of samples are no multiple of the ${block} that one takes`);
      }
      checkShape(limits, "WAV", format.sampleRate, format.channels, length / block);
      return { ...format, from, to: from + length };
    }
    if (from + size > bytes.length) {
      throw truncated(
        limits,
        "WAV",
        `the chunk at byte ${at} needs ${from + size} bytes, the file has ${bytes.length}`,
      );
    }
    if (type === "fmt ") format = readFormat(bytes.subarray(from, from + size), limits);
    // Chunks begin at even offsets.
    at = from + size + (size & 1);
  }
  throw truncated(limits, "WAV", `it has ${bytes.length} bytes and ends before its samples`);
}

/** The plainest header with this format: the package then sees nothing that was not checked. */
function plainHeader({ encoding, channels, sampleRate, bits, from, to }: WavHeader): Uint8Array {
  const header = new Uint8Array(44);
  header.set(new TextEncoder().encode("RIFF\0\0\0\0WAVEfmt "), 0);
  header.set(new TextEncoder().encode("data"), 36);
  const view = new DataView(header.buffer);
  view.setUint32(4, 36 + to - from, true);
  view.setUint32(16, 16, true);
  view.setUint16(20, TAGS[encoding], true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, (sampleRate * channels * bits) / 8, true);
  view.setUint16(32, (channels * bits) / 8, true);
  view.setUint16(34, bits, true);
  view.setUint32(40, to - from, true);
  return header;
}

/**
 * Decodes a WAV file: PCM of 8, 16, 24 or 32 bits, float of 32 or 64 bits, A-law and mu-law.
 * @throws FoveaError as {@link readWavHeader}
 */
export function decodeWav(bytes: Uint8Array, limits: AudioLimits): AudioClip {
  const header = readWavHeader(bytes, limits);
  const { channels, sampleRate, bits, from, to } = header;
  if (from === to) return { sampleRate, channels: Array.from({ length: channels }, () => new Float32Array(0)) };
  const stream = decoder();
  stream.decode(plainHeader(header));
  // A part of Node's Buffer is a Buffer too, whose `slice` gives a view where the package wants a copy that is aligned.
  const { channelData } = stream.decode(new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from));
  stream.free();
  if (header.encoding === "pcm") for (const samples of channelData) evenScale(samples, bits, "positive");
  return { sampleRate, channels: channelData };
}
