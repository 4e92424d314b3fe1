/** WAV files of a frozen folder. */
import { FoveaError } from "../../core/diagnostics.ts";
import { type AudioLimits, sniffAudio } from "../../media/audio/audio_header.ts";
import { decodeWav } from "../../media/audio/wav.ts";
import type { FrozenFormat } from "../media.ts";

/** 32 MiB of samples: more than a place with 128 MB can hold beside a model. */
const MAX_SAMPLES = 1 << 23;

export const format: FrozenFormat = {
  audio: async (bytes, name) => {
    const limits: AudioLimits = { name, maxSamples: MAX_SAMPLES };
    const found = sniffAudio(bytes, limits);
    if (found !== "wav") {
      throw new FoveaError(
        "no_format",
        `${name} is a file of the format ${found}, and frozen folders read WAV alone; convert it, or give samples.`,
      );
    }
    return decodeWav(bytes, limits);
  },
};
