/** FLAC files (RFC 9639): the stream's own description is checked here, libFLAC does the rest. */
import { type AudioLimits, ascii, checkShape, damaged, tagLength, truncated } from "./audio_header.ts";
import type { AudioClip } from "./clip.ts";
import { evenScale } from "./even_scale.ts";
import { runStreamDecoder, type StreamCodec } from "./stream_decoder.ts";

const CODEC: StreamCodec = {
  format: "FLAC",
  package: "@wasm-audio-decoders/flac",
  open: async () => new (await import("@wasm-audio-decoders/flac")).FLACDecoder(),
};

/** `fLaC`, a block header of 4 bytes and STREAMINFO's 34. */
const HEADER = 42;

export interface FlacHeader {
  readonly sampleRate: number;
  readonly channels: number;
  /** Bits of a sample. */
  readonly bits: number;
  /** Samples of one channel; 0 where the encoder did not know. */
  readonly frames: number;
  /** Byte of the file where the stream begins. */
  readonly from: number;
}

/** @throws FoveaError `audio.truncated`, `audio.damaged`, `audio.too_long` */
export function readFlacHeader(bytes: Uint8Array, limits: AudioLimits): FlacHeader {
  const from = tagLength(bytes);
  if (bytes.length < from + HEADER) {
    throw truncated(limits, "FLAC", `it has ${bytes.length} bytes and ends inside its header`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, HEADER);
  if (ascii(bytes, from, 4) !== "fLaC" || (view.getUint8(4) & 0x7f) !== 0) {
    throw damaged(limits, "FLAC", "it does not begin with a description of its stream");
  }
  // 20 bits of rate, 3 of channels - 1, 5 of sample size - 1, 36 of length.
  const sampleRate = view.getUint32(18) >>> 12;
  const channels = ((view.getUint8(20) >> 1) & 7) + 1;
  const bits = (((view.getUint8(20) & 1) << 4) | (view.getUint8(21) >> 4)) + 1;
  const frames = (view.getUint8(21) & 15) * 2 ** 32 + view.getUint32(22);
  checkShape(limits, "FLAC", sampleRate, channels, frames);
  return { sampleRate, channels, bits, frames, from };
}

/** Bytes of an ID3v1 tag at the end, 0 where there is none. */
const endTagLength = (bytes: Uint8Array): number => (ascii(bytes, bytes.length - 128, 3) === "TAG" ? 128 : 0);

/** More than any but the largest frames have. */
const FRAME_BYTES = 1 << 18;

/** Places that look like a frame's begin; samples make one in 32 KiB by chance. */
const MOST_BEGINS = 16;

/** Whether the last bytes are a whole frame: then nothing was cut off. The checksum of a frame with its own is 0. */
function endsWithFrame(bytes: Uint8Array): boolean {
  const first = Math.max(0, bytes.length - FRAME_BYTES);
  for (let from = bytes.length - 2, begins = 0; from >= first && begins < MOST_BEGINS; from--) {
    if (bytes[from] !== 0xff || (bytes[from + 1] & 0xfe) !== 0xf8) continue;
    begins++;
    let crc = 0;
    for (let at = from; at < bytes.length; at++) {
      crc ^= bytes[at] << 8;
      for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x8005)) & 0xffff;
    }
    if (crc === 0) return true;
  }
  return false;
}

/** @throws FoveaError as {@link readFlacHeader} and {@link runStreamDecoder} */
export async function decodeFlac(bytes: Uint8Array, limits: AudioLimits): Promise<AudioClip> {
  const header = readFlacHeader(bytes, limits);
  const stream = bytes.subarray(header.from, bytes.length - endTagLength(bytes));
  // What lacks in the midst of a file fails its checksum.
  const lacking: typeof truncated = (...about) => (endsWithFrame(stream) ? damaged : truncated)(...about);
  const clip = await runStreamDecoder(CODEC, stream, limits, header.frames, lacking);
  const found = clip.channels[0].length;
  if (header.frames !== 0 && found > header.frames) {
    throw damaged(limits, "FLAC", `its header promises ${header.frames} samples a channel, it holds ${found}`);
  }
  for (const samples of clip.channels) evenScale(samples, header.bits, "both");
  return clip;
}
