/** Log-mel features as Whisper's processor computes them (Radford et al. 2022, section 2.2, and its published code). */
import { FoveaError } from "../../core/diagnostics.ts";
import { cos, log } from "../../core/math.ts";
import { createPowerSpectrum } from "./fft.ts";
import { melFilters } from "./mel.ts";

export interface LogMelOptions {
  /** Samples per second. */
  readonly sampleRate: number;
  /** Samples of a frame; even, with prime factors up to 5. */
  readonly fftSize: number;
  /** Samples from frame to frame. */
  readonly hop: number;
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
      for (let frame = 0; frame < count; frame++) {
        const start = frame * hop;
        // The padding of a short clip costs nothing.
        if (isSilent(padded, start, start + fftSize)) {
          for (let mel = 0, to = at + frame; mel < melBins; mel++, to += count) out[to] = floor;
          continue;
        }
        spectrum.run(padded, start, power);
        for (let mel = 0, to = at + frame; mel < melBins; mel++, to += count) {
          const { first, weights } = filters[mel];
          let sum = 0;
          for (let i = 0; i < weights.length; i++) sum += weights[i] * power[first + i];
          const value = sum > FLOOR ? log(sum) * scale : floor;
          if (value > loudest) loudest = value;
          out[to] = value;
        }
      }
      const least = loudest - RANGE;
      for (let i = at; i < at + melBins * count; i++) out[i] = (Math.max(out[i], least) + 4) / 4;
    },
  };
}
