/** Ogg files with Vorbis inside (RFC 3533): the pages are checked here, the Vorbis decoder does the rest. */
import { type AudioLimits, ascii, checkShape, damaged, truncated, unsupported } from "./audio_header.ts";
import type { AudioClip } from "./clip.ts";
import { runStreamDecoder, type StreamCodec } from "./stream_decoder.ts";

const CODEC: StreamCodec = {
  format: "Ogg Vorbis",
  package: "@wasm-audio-decoders/ogg-vorbis",
  open: async () => new (await import("@wasm-audio-decoders/ogg-vorbis")).OggVorbisDecoder(),
};

const PAGE_HEADER = 27;
const LAST_PAGE = 4;
const CHECKSUM = 22;
/** Positions above this are no length of anything. */
const MAX_FRAMES = 2 ** 48;

/** What else comes in Ogg, by the first bytes of the first packet. */
const OTHERS: readonly (readonly [string, string])[] = [
  ["OpusHead", "an Ogg file with Opus sound"],
  ["\x7fFLAC", "an Ogg file with FLAC sound"],
  ["Speex", "an Ogg file with Speex sound"],
  ["\x80theora", "an Ogg film"],
];

export interface OggHeader {
  readonly sampleRate: number;
  readonly channels: number;
  /** Samples of one channel, as the last page says. */
  readonly frames: number;
}

/** CRC-32 of Ogg: polynomial 0x04c11db7, highest bit first, from 0. */
const CRC_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

/** Whether a page has the checksum that it states, which is taken with 0 in its place. */
function isIntact(page: Uint8Array): boolean {
  let crc = 0;
  page.forEach((byte, at) => {
    const own = at >= CHECKSUM && at < CHECKSUM + 4 ? 0 : byte;
    crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ own];
  });
  return crc === new DataView(page.buffer, page.byteOffset).getInt32(CHECKSUM, true);
}

/**
 * Walks all pages.
 * @throws FoveaError `audio.truncated`, `audio.damaged`, `audio.unsupported`, `audio.too_long`
 */
export function readOggHeader(bytes: Uint8Array, limits: AudioLimits): OggHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [at, flags, frames] = [0, 0, 0];
  let broken: number | undefined;
  while (at < bytes.length) {
    if (ascii(bytes, at, 4) !== "OggS") throw damaged(limits, "Ogg", `there is no page at byte ${at}`);
    const body = at + PAGE_HEADER + (bytes[at + 26] ?? 0);
    const sizes = bytes.subarray(at + PAGE_HEADER, body);
    const end = body + sizes.reduce((sum, size) => sum + size, 0);
    if (end > bytes.length || body > bytes.length) {
      throw truncated(limits, "Ogg", `the page at byte ${at} needs ${end} bytes, the file has ${bytes.length}`);
    }
    flags = bytes[at + 5];
    // -1 on pages where no packet ends.
    const position = view.getBigInt64(at + 6, true);
    if (position >= 0n) frames = Number(position);
    if (!isIntact(bytes.subarray(at, end))) broken ??= at;
    at = end;
  }
  if ((flags & LAST_PAGE) === 0) {
    throw truncated(limits, "Ogg", `its last page of ${bytes.length} bytes does not say that it is the last`);
  }
  const packet = PAGE_HEADER + bytes[26];
  for (const [start, what] of OTHERS) {
    if (ascii(bytes, packet, start.length) === start) throw unsupported(limits, what);
  }
  if (ascii(bytes, packet, 7) !== "\x01vorbis" || bytes.length < packet + 16) {
    throw unsupported(limits, "an Ogg file without Vorbis sound");
  }
  const channels = bytes[packet + 11];
  const sampleRate = view.getUint32(packet + 12, true);
  if (frames > MAX_FRAMES) throw damaged(limits, "Ogg", `its last page counts ${frames} samples`);
  if (broken !== undefined) throw damaged(limits, "Ogg", `the page at byte ${broken} fails its checksum`);
  checkShape(limits, "Ogg", sampleRate, channels, frames);
  return { sampleRate, channels, frames };
}

/** @throws FoveaError as {@link readOggHeader} and {@link runStreamDecoder} */
export async function decodeOgg(bytes: Uint8Array, limits: AudioLimits): Promise<AudioClip> {
  readOggHeader(bytes, limits);
  return runStreamDecoder(CODEC, bytes, limits);
}
