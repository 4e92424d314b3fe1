/** Mel filter banks as librosa's and Hugging Face's `slaney` settings define them (Slaney 1998, Auditory Toolbox). */
import { exp, log } from "../../core/math.ts";

/** The scale is linear up to here, in hertz, and logarithmic above. */
const BREAK_HZ = 1000;
/** Mel of the break: 3 for every 200 Hz. */
const BREAK_MEL = 15;
/** 27 steps span a factor of 6.4. */
const STEPS = 27;
const SPAN = 6.4;

export function hertzToMel(hertz: number): number {
  return hertz < BREAK_HZ ? (3 * hertz) / 200 : BREAK_MEL + (log(hertz / BREAK_HZ) * STEPS) / log(SPAN);
}

export function melToHertz(mel: number): number {
  return mel < BREAK_MEL ? (200 * mel) / 3 : BREAK_HZ * exp((log(SPAN) / STEPS) * (mel - BREAK_MEL));
}

/** One triangle: weights of the spectrum's bins from `first` on. */
export interface MelFilter {
  readonly first: number;
  readonly weights: Float64Array;
}

export interface MelOptions {
  readonly filters: number;
  /** Bins of the spectrum, from 0 to half the sample rate. */
  readonly bins: number;
  readonly sampleRate: number;
  /** Hertz. */
  readonly lowest: number;
  readonly highest: number;
}

/** Triangles between neighbouring mel points, each of area 1 over the frequencies. */
export function melFilters(options: MelOptions): readonly MelFilter[] {
  const { filters, bins, sampleRate } = options;
  const [from, to] = [hertzToMel(options.lowest), hertzToMel(options.highest)];
  const points = Array.from({ length: filters + 2 }, (_, i) => melToHertz(from + ((to - from) * i) / (filters + 1)));
  return Array.from({ length: filters }, (_, i) => {
    const [left, peak, right] = points.slice(i, i + 3);
    const all = Array.from({ length: bins }, (_, bin) => {
      const hertz = (bin * sampleRate) / 2 / (bins - 1);
      const height = Math.min((hertz - left) / (peak - left), (right - hertz) / (right - peak));
      return (Math.max(0, height) * 2) / (right - left);
    });
    const first = Math.max(
      0,
      all.findIndex((w) => w > 0),
    );
    const last = all.findLastIndex((w) => w > 0);
    return { first, weights: Float64Array.from(all.slice(first, last + 1)) };
  });
}
