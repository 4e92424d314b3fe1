/**
 * Sample-rate conversion by a windowed sinc in polyphase form (Crochiere and Rabiner 1983; J. O. Smith, "Digital Audio
 * Resampling"). The low-pass belongs to the lower of the two rates and is written in parts of its Nyquist frequency: flat to
 * 0.91, at most -96 dB from 1.0 on, so that nothing folds back. The window is Kaiser's with the beta that his formulas give
 * for 96 dB; 68 zero crossings a side follow from that attenuation and a transition of 0.09.
 */
import { sin } from "../../core/math.ts";

/** Middle of the transition, where the response is one half, in parts of Nyquist. */
const CUTOFF = 0.955;
/** Kaiser 1974: 0.1102 (A - 8.7) for A = 96 dB. */
const BETA = 0.1102 * (96 - 8.7);
/** (A - 7.95) / (2.285 * 0.09 pi) taps at the lower rate, half of them a side. */
const ZERO_CROSSINGS = 68;
/** More phases than these are interpolated between: the error stays below (pi / 1024)^2 / 8, -118 dB. */
const MAX_PHASES = 1024;

/** Modified Bessel function of order 0 by its power series; x up to 20 needs some 40 terms. */
function besselI0(x: number): number {
  const quarter = (x * x) / 4;
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= quarter / (k * k);
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

interface Filter {
  /** Taps of a phase; the first belongs to the input sample `reach - 1` before the position. */
  readonly taps: number;
  readonly reach: number;
  readonly phases: number;
  /** [phases + 1, taps]: the last row is the next sample's first. */
  readonly rows: Float64Array;
}

/** @param ratio output rate over input rate */
function designFilter(ratio: number, phases: number): Filter {
  const bandwidth = CUTOFF * Math.min(1, ratio);
  const half = ZERO_CROSSINGS / Math.min(1, ratio);
  // Even, so that taps come in fours.
  const reach = 2 * Math.ceil(half / 2);
  const taps = 2 * reach;
  const rows = new Float64Array((phases + 1) * taps);
  const peak = besselI0(BETA);
  for (let phase = 0; phase <= phases; phase++) {
    const row = rows.subarray(phase * taps, (phase + 1) * taps);
    let sum = 0;
    for (let i = 0; i < taps; i++) {
      const t = i - reach + 1 - phase / phases;
      const inside = 1 - (t / half) * (t / half);
      if (inside < 0) continue;
      const x = Math.PI * bandwidth * t;
      row[i] = (x === 0 ? 1 : sin(x) / x) * (besselI0(BETA * Math.sqrt(inside)) / peak);
      sum += row[i];
    }
    // A constant stays exactly what it is, in every phase.
    for (let i = 0; i < taps; i++) row[i] /= sum;
  }
  return { taps, reach, phases, rows };
}

/** Weighted sum of `taps` samples from `start` on, in four sums that do not wait for each other. */
function dot(samples: Float32Array, start: number, { rows, taps }: Filter, row: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let k = row * taps, s = start, end = start + taps; s < end; k += 4, s += 4) {
    a += rows[k] * samples[s];
    b += rows[k + 1] * samples[s + 1];
    c += rows[k + 2] * samples[s + 2];
    d += rows[k + 3] * samples[s + 3];
  }
  return a + b + (c + d);
}

/** Silence of `margin` samples at both ends, so that no tap reads outside. */
function padded(samples: Float32Array, margin: number): Float32Array {
  const out = new Float32Array(samples.length + 2 * margin);
  out.set(samples, margin);
  return out;
}

/**
 * `samples` at another rate, ceil(length * to / from) of them or `limit` if that is less; sample 0 stays at time 0.
 * @param from samples per second of the input
 * @param to samples per second of the result
 */
export function resample(
  samples: Float32Array,
  from: number,
  to: number,
  limit: number = Number.POSITIVE_INFINITY,
): Float32Array {
  const divisor = greatestCommonDivisor(from, to);
  const [up, down] = [to / divisor, from / divisor];
  if (up === down) return samples.subarray(0, Math.min(samples.length, limit));
  const length = Math.min(limit, Math.ceil((samples.length * up) / down));
  const filter = designFilter(up / down, Math.min(up, MAX_PHASES));
  const around = padded(samples, filter.reach);
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = i * down;
    const whole = Math.floor(at / up);
    const phase = ((at - whole * up) * filter.phases) / up;
    const row = Math.floor(phase);
    const between = phase - row;
    const value = dot(around, whole + 1, filter, row);
    out[i] = between === 0 ? value : value + between * (dot(around, whole + 1, filter, row + 1) - value);
  }
  return out;
}

/** Input samples that `limit` results depend on at most. */
export function neededSamples(from: number, to: number, limit: number): number {
  if (from === to) return limit;
  return Math.ceil((limit * from) / to) + Math.ceil(ZERO_CROSSINGS * Math.max(1, from / to)) + 2;
}
