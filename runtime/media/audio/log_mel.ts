/** Log-mel features as Whisper's processor computes them (Radford et al. 2022, section 2.2, and its published code). */
import { FoveaError } from "../../core/diagnostics.ts";
import { cos, log, logAll } from "../../core/math.ts";
import { createPowerSpectrum } from "./fft.ts";
import { type MelFilter, melFilters } from "./mel.ts";

/** Sizes of the features that a model was trained with. */
export interface LogMelOptions {
  /** Samples per second. */
  readonly sampleRate: number;
  /** Samples of a frame; even, with prime factors up to 5. */
  readonly fftSize: number;
  /** Samples from frame to frame. */
  readonly hop: number;
  /** Number of mel filters: rows of the features. */
  readonly melBins: number;
}

/** Makes features; its buffers are its own, so calls do not overlap. */
export interface LogMel {
  /** Frames of `samples` samples: one per whole hop. */
  readonly frames: (samples: number) => number;
  /** Writes [melBins, frames] to `out` from `at` on. @throws FoveaError `audio.too_short` */
  readonly compute: (samples: Float32Array, out: Float32Array, at: number) => void;
}

/** Hertz; Whisper's filters end here whatever the sample rate. */
const HIGHEST = 8000;
/** Least power that a logarithm is taken of. */
const FLOOR = 1e-10;
/** Decades below the loudest value that are kept. */
const RANGE = 8;
/** Frames that are written together. */
const BLOCK = 16;

/** Hann window of period `size`: its next value would be the first again. */
function hann(size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * cos((2 * Math.PI * i) / size));
}

/** Half a frame of mirror image at both ends, so that frame i is centred on sample i * hop; the end samples are not doubled. */
function mirrored(samples: Float32Array, margin: number): Float32Array {
  const out = new Float32Array(samples.length + 2 * margin);
  out.set(samples, margin);
  for (let i = 1; i <= margin; i++) {
    out[margin - i] = samples[i];
    out[margin + samples.length - 1 + i] = samples[samples.length - 1 - i];
  }
  return out;
}

function isSilent(samples: Float32Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (samples[i] !== 0) return false;
  return true;
}

/** Sums of the power under each triangle, at least FLOOR. */
function filterPower(filters: readonly MelFilter[], power: Float64Array, mels: Float64Array): void {
  for (let mel = 0; mel < mels.length; mel++) {
    const { first, weights } = filters[mel];
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * power[first + i];
    mels[mel] = sum > FLOOR ? sum : FLOOR;
  }
}

/**
 * Periodic Hann window, reflected ends, |FFT|^2, Slaney mel filters from 0 to 8 kHz, log10 with a floor of 1e-10, at most 8
 * decades below the loudest value, then (x + 4) / 4. The frame that begins at the very end is left out.
 * @throws FoveaError `invalid_config` for an `fftSize` that cannot be transformed
 */
export function createLogMel(options: LogMelOptions): LogMel {
  const { fftSize, hop, melBins, sampleRate } = options;
  const spectrum = createPowerSpectrum(hann(fftSize));
  const filters = melFilters({ filters: melBins, bins: spectrum.bins, sampleRate, lowest: 0, highest: HIGHEST });
  const power = new Float64Array(spectrum.bins);
  const block = Array.from({ length: BLOCK }, () => new Float64Array(melBins));
  const scale = 1 / Math.LN10;
  const floor = log(FLOOR) * scale;
  const margin = fftSize / 2;
  const frames = (samples: number): number => Math.floor(samples / hop);
  return {
    frames,
    compute: (samples, out, at) => {
      if (samples.length <= margin) {
        throw new FoveaError(
          "audio.too_short",
          `Features need more than ${margin} samples, half a frame, to reflect at the ends; found ${samples.length}.`,
        );
      }
      const padded = mirrored(samples, margin);
      const count = frames(samples.length);
      let loudest = floor;
      // A row of the result is a bin's: frames are written in blocks, so that each reaches memory by whole cache lines.
      for (let first = 0; first < count; first += BLOCK) {
        const frames = Math.min(BLOCK, count - first);
        for (let frame = 0; frame < frames; frame++) {
          const start = (first + frame) * hop;
          const mels = block[frame];
          // The padding of a short clip costs nothing.
          if (isSilent(padded, start, start + fftSize)) {
            mels.fill(floor);
            continue;
          }
          spectrum.run(padded, start, power);
          filterPower(filters, power, mels);
          logAll(mels);
          for (let mel = 0; mel < melBins; mel++) {
            const value = mels[mel] * scale;
            if (value > loudest) loudest = value;
            mels[mel] = value;
          }
        }
        for (let mel = 0, to = at + first; mel < melBins; mel++, to += count) {
          for (let frame = 0; frame < frames; frame++) out[to + frame] = block[frame][mel];
        }
      }
      const least = loudest - RANGE;
      for (let i = at; i < at + melBins * count; i++) out[i] = (Math.max(out[i], least) + 4) / 4;
    },
  };
}
