/** What the first bytes of an audio file promise, read before anything is allocated for its samples. */
import { FoveaError } from "../../core/diagnostics.ts";
import { MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE } from "./clip.ts";

export type AudioFormat = "wav" | "flac" | "mp3" | "ogg";

/** Limits and naming that every decoder obeys. */
export interface AudioLimits {
  /** What messages call the input: a file name, or "the audio". */
  readonly name: string;
  /** Most samples, of all channels together, that a file may hold. */
  readonly maxSamples: number;
}

/** `limits.name` as a sentence starts. */
export function subject(limits: AudioLimits): string {
  return limits.name === "the audio" ? "The audio" : limits.name;
}

export function truncated(limits: AudioLimits, format: string, detail: string, cause?: unknown): FoveaError {
  return new FoveaError(
    "audio.truncated",
    `${subject(limits)} is a truncated ${format} file: ${detail}. Copy or download it again.`,
    { cause },
  );
}

export function damaged(limits: AudioLimits, format: string, detail: string, cause?: unknown): FoveaError {
  return new FoveaError("audio.damaged", `${subject(limits)} is a damaged ${format} file: ${detail}.`, { cause });
}

export function unsupported(limits: AudioLimits, detail: string): FoveaError {
  return new FoveaError(
    "audio.unsupported",
    `${subject(limits)} is ${detail}, which is not supported; convert it to WAV, FLAC, MP3 or Ogg Vorbis first.`,
  );
}

export function tooLong(limits: AudioLimits, samples: number): FoveaError {
  return new FoveaError(
    "audio.too_long",
    `${subject(limits)} holds ${samples} samples or more, above the limit of ${limits.maxSamples}; cut it, or raise maxSamples.`,
  );
}

/**
 * Refuses rates and channels that are no audio, and more samples than the limit.
 * @param frames samples of one channel
 * @throws FoveaError `audio.damaged`, `audio.too_long`
 */
export function checkShape(limits: AudioLimits, format: string, rate: number, channels: number, frames: number): void {
  if (!(rate >= MIN_SAMPLE_RATE && rate <= MAX_SAMPLE_RATE)) {
    throw damaged(
      limits,
      format,
      `its header declares ${rate} samples a second; expected ${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE}`,
    );
  }
  if (!(channels >= 1 && channels <= MAX_CHANNELS)) {
    throw damaged(limits, format, `its header declares ${channels} channels; expected 1 to ${MAX_CHANNELS}`);
  }
  if (frames * channels > limits.maxSamples) throw tooLong(limits, frames * channels);
}

export const ascii = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** Bytes of an ID3v2 tag at the start, 0 where there is none. Its length is written in 7 bits a byte. */
export function tagLength(bytes: Uint8Array): number {
  if (bytes.length < 10 || ascii(bytes, 0, 3) !== "ID3") return 0;
  const footer = (bytes[5] & 0x10) === 0 ? 0 : 10;
  return 10 + footer + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
}

/** Other formats that people try, so that the message can name them. */
function foreignFormat(bytes: Uint8Array, at: number): string | undefined {
  const head = ascii(bytes, at, 4);
  if (head === "RF64" || head === "BW64") return "a WAV file of the 64-bit kind (RF64)";
  if (head === "FORM") return "an AIFF file";
  if (head === ".snd") return "an AU file";
  if (head === "caff") return "a CAF file";
  if (head === "\x1aE\xdf\xa3") return "a WebM or Matroska file";
  if (ascii(bytes, at + 4, 4) === "ftyp") return "an MP4 or M4A file";
  if (bytes[at] === 0xff && (bytes[at + 1] & 0xf6) === 0xf0) return "an AAC file";
  return undefined;
}

/** True for the four bytes that begin an MPEG audio frame: sync, version, layer, bit rate and sample rate all valid. */
export function isMpegFrame(bytes: Uint8Array, at: number): boolean {
  const [a, b, c] = [bytes[at], bytes[at + 1], bytes[at + 2]];
  const synchronised = a === 0xff && (b & 0xe0) === 0xe0;
  return synchronised && (b & 0x18) !== 0x08 && (b & 0x06) !== 0 && c >> 4 !== 15 && (c & 0x0c) !== 0x0c;
}

/**
 * Tells the format by the first bytes, those after an ID3 tag if there is one.
 * @throws FoveaError `audio.empty`, `audio.unsupported`, `audio.unknown`, `audio.truncated`
 */
export function sniffAudio(bytes: Uint8Array, limits: AudioLimits): AudioFormat {
  if (bytes.length === 0) {
    throw new FoveaError("audio.empty", `${subject(limits)} is empty (0 bytes); expected a recording.`);
  }
  const at = tagLength(bytes);
  if (at >= bytes.length) {
    throw truncated(limits, "audio", `its ID3 tag promises ${at} bytes, the file has ${bytes.length}`);
  }
  const head = ascii(bytes, at, 4);
  if (at === 0 && head === "RIFF" && (bytes.length < 12 || ascii(bytes, 8, 4) === "WAVE")) return "wav";
  if (head === "fLaC") return "flac";
  if (head === "OggS") return "ogg";
  if (isMpegFrame(bytes, at)) return "mp3";
  const foreign = foreignFormat(bytes, at);
  if (foreign !== undefined) throw unsupported(limits, foreign);
  const start = [...bytes.subarray(at, at + 8)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  throw new FoveaError(
    "audio.unknown",
    `${subject(limits)} is no recording that is known here: it begins with the bytes ${start}; expected WAV, FLAC, MP3 or Ogg Vorbis.`,
  );
}
