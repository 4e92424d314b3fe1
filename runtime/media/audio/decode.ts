/** Audio files to samples. The format is told by the first bytes; its decoder is loaded when first needed. */
import { FoveaError } from "../../core/diagnostics.ts";
import { type AudioLimits, sniffAudio, subject } from "./audio_header.ts";
import type { AudioClip } from "./clip.ts";

/** Most samples that a file may hold unless `maxSamples` says otherwise: 512 MiB, 46 minutes of 48 kHz mono. */
export const DEFAULT_MAX_SAMPLES: number = 1 << 27;

export interface DecodeAudioOptions {
  /** Most samples, of all channels together, that a file may hold; checked before they are allocated. */
  readonly maxSamples?: number;
  /** What error messages call the audio, such as its file name. */
  readonly name?: string;
}

/**
 * Decodes a WAV, FLAC, MP3 or Ogg Vorbis file. WAV needs nothing; the others need `@wasm-audio-decoders/flac`,
 * `mpg123-decoder` and `@wasm-audio-decoders/ogg-vorbis`, which users install.
 * @throws FoveaError `audio.empty`, `audio.unknown`, `audio.unsupported`, `audio.truncated`, `audio.damaged`,
 * `audio.too_long`, `audio.no_codec`
 */
export async function decodeAudio(bytes: Uint8Array, options: DecodeAudioOptions = {}): Promise<AudioClip> {
  const limits: AudioLimits = {
    name: options.name ?? "the audio",
    maxSamples: options.maxSamples ?? DEFAULT_MAX_SAMPLES,
  };
  const clip = await decodeFormat(bytes, limits);
  if (clip.channels[0].length > 0) return clip;
  throw new FoveaError(
    "audio.empty",
    `${subject(limits)} holds no samples (0 seconds at ${clip.sampleRate} Hz); expected a recording.`,
  );
}

async function decodeFormat(bytes: Uint8Array, limits: AudioLimits): Promise<AudioClip> {
  switch (sniffAudio(bytes, limits)) {
    case "wav":
      return (await import("./wav.ts")).decodeWav(bytes, limits);
    case "flac":
      return (await import("./flac.ts")).decodeFlac(bytes, limits);
    case "mp3":
      return (await import("./mp3.ts")).decodeMp3(bytes, limits);
    case "ogg":
      return (await import("./ogg.ts")).decodeOgg(bytes, limits);
  }
}
