/** MP3 files: the encoder's own count, where there is one, is checked here, libmpg123 does the rest. */
import { type AudioLimits, ascii, checkShape, tagLength, truncated } from "./audio_header.ts";
import type { AudioClip } from "./clip.ts";
import { runStreamDecoder, type StreamCodec } from "./stream_decoder.ts";

const CODEC: StreamCodec = {
  format: "MP3",
  package: "mpg123-decoder",
  open: async () => new (await import("mpg123-decoder")).MPEGDecoder(),
};

const RATES = [44100, 48000, 32000];

export interface Mp3Header {
  readonly sampleRate: number;
  readonly channels: 1 | 2;
  /** Byte of the file where the first frame begins. */
  readonly from: number;
  /** Samples of one channel that the encoder's "Xing" or "Info" tag counts, silence around the sound included. */
  readonly frames?: number;
}

/** Samples at both ends that such a tag may mark as silence: 12 bits each, and what the decoder itself adds. */
const MOST_SILENCE = 2 * 4095 + 2 * 1152;

/** Reads the first frame; it must be one, see `isMpegFrame`. @throws FoveaError `audio.truncated`, `audio.too_long` */
export function readMp3Header(bytes: Uint8Array, limits: AudioLimits): Mp3Header {
  const from = tagLength(bytes);
  if (bytes.length < from + 4) {
    throw truncated(limits, "MP3", `it has ${bytes.length} bytes and ends inside its first frame`);
  }
  const version = (bytes[from + 1] >> 3) & 3;
  // Version 3 is MPEG-1, 2 is MPEG-2 at half the rates, 0 is MPEG-2.5 at a quarter.
  const sampleRate = RATES[(bytes[from + 2] >> 2) & 3] / (version === 3 ? 1 : version === 2 ? 2 : 4);
  const channels = bytes[from + 3] >> 6 === 3 ? 1 : 2;
  const side = version === 3 ? (channels === 1 ? 17 : 32) : channels === 1 ? 9 : 17;
  const tag = from + 4 + side;
  const known = bytes.length >= tag + 16 && ["Xing", "Info"].includes(ascii(bytes, tag, 4));
  if (!known) return { sampleRate, channels, from };
  const view = new DataView(bytes.buffer, bytes.byteOffset + tag, 16);
  const flags = view.getUint32(4);
  const frames = (flags & 1) === 0 ? undefined : view.getUint32(8) * (version === 3 ? 1152 : 576);
  const counted = (flags & 2) === 0 ? 0 : view.getUint32(frames === undefined ? 8 : 12);
  checkShape(limits, "MP3", sampleRate, channels, frames ?? 0);
  if (from + counted > bytes.length) {
    throw truncated(limits, "MP3", `its header promises ${from + counted} bytes, the file has ${bytes.length}`);
  }
  return { sampleRate, channels, from, ...(frames === undefined ? {} : { frames }) };
}

/** @throws FoveaError as {@link readMp3Header} and {@link runStreamDecoder} */
export async function decodeMp3(bytes: Uint8Array, limits: AudioLimits): Promise<AudioClip> {
  const { from, channels, frames = 0 } = readMp3Header(bytes, limits);
  const clip = await runStreamDecoder(CODEC, bytes.subarray(from), limits, Math.max(0, frames - MOST_SILENCE));
  // The decoder repeats the one channel of mono files.
  return channels === 1 ? { ...clip, channels: clip.channels.slice(0, 1) } : clip;
}
