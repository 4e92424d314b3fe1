/** Audio samples as decoders leave them, and the checks that come before any arithmetic. */
import { FoveaError } from "../../core/diagnostics.ts";

/** Samples of one recording: one array per channel, all of one length, full scale at -1 and 1. */
export interface AudioClip {
  /** Samples per second and channel. */
  readonly sampleRate: number;
  /** Samples of each channel. */
  readonly channels: readonly Float32Array[];
}

/** Hz, inclusive; rates below are no audio. */
export const MIN_SAMPLE_RATE = 1000;
/** Hz, inclusive; rates above are headers gone wrong, since DXD studio recordings have 352,800. */
export const MAX_SAMPLE_RATE = 384000;

/** Most channels of a clip. Sixteenth-order ambisonics has 289; anything near is no recording to encode. */
export const MAX_CHANNELS = 64;

/**
 * The average of all channels.
 * @param name what messages call the audio
 * @param limit most samples to return
 * @throws FoveaError `audio.shape` for rates and lengths that make no sense, `audio.not_finite` that names the sample
 */
export function mixToMono(clip: AudioClip, name: string, limit: number = Number.POSITIVE_INFINITY): Float32Array {
  checkClip(clip, name);
  const { channels } = clip;
  const length = Math.min(channels[0].length, limit);
  if (channels.length === 1) return channels[0].subarray(0, length);
  const mono = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    mono[i] = sum / channels.length;
  }
  return mono;
}

function checkClip({ sampleRate, channels }: AudioClip, name: string): void {
  if (!(sampleRate >= MIN_SAMPLE_RATE && sampleRate <= MAX_SAMPLE_RATE && Number.isInteger(sampleRate))) {
    throw new FoveaError(
      "audio.shape",
      `${name} has a sample rate of ${sampleRate} Hz; expected a whole number from ${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE}.`,
    );
  }
  if (channels.length < 1 || channels.length > MAX_CHANNELS) {
    throw new FoveaError(
      "audio.shape",
      `${name} has ${channels.length} channels; expected 1 to ${MAX_CHANNELS}, each a Float32Array of samples.`,
    );
  }
  const odd = channels.findIndex((c) => !(c instanceof Float32Array) || c.length !== channels[0].length);
  if (odd >= 0) {
    const found =
      channels[odd] instanceof Float32Array
        ? `${channels[odd].length} samples in channel ${odd} and ${channels[0].length} in channel 0`
        : `something else than a Float32Array as channel ${odd}`;
    throw new FoveaError("audio.shape", `${name} has ${found}; expected Float32Arrays of one length.`);
  }
  channels.forEach((samples, channel) => {
    // One pass without branches: any NaN or infinity makes the sum of differences NaN.
    let poisoned = 0;
    for (let i = 0; i < samples.length; i++) poisoned += samples[i] - samples[i];
    if (poisoned === 0) return;
    const at = samples.findIndex((v) => !Number.isFinite(v));
    throw new FoveaError(
      "audio.not_finite",
      `${name} holds ${samples[at]} at sample ${at} of channel ${channel}; expected finite numbers. Decode or record it again.`,
    );
  });
}
