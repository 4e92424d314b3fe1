/**
 * Power spectra of real frames. A frame of 2n samples is read as n complex numbers, transformed by a mixed-radix FFT (2, 3, 4,
 * 5; Stockham's self-sorting form, decimation in frequency: Van Loan 1992, "Computational Frameworks for the Fast Fourier
 * Transform") and taken apart into the 2n-point spectrum. Only + - * and the library's own sine and cosine decide the bits.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import { cos, sin } from "../../core/math.ts";

/** One pass: `rest` groups of `radix` points, `step` elements apart. */
interface Stage {
  readonly radix: number;
  readonly rest: number;
  readonly step: number;
  /** cos and sin of -2 pi p j / (radix * rest), for p in 0..rest-1 and j in 1..radix-1. */
  readonly twiddles: Float64Array;
}

export interface PowerSpectrum {
  /** Samples of a frame. */
  readonly size: number;
  /** `size / 2 + 1`: frequencies from 0 to half the sample rate. */
  readonly bins: number;
  /** |X|^2 of `samples[at .. at + size)` times the window, into the first `bins` elements of `out`. */
  readonly run: (samples: Float32Array, at: number, out: Float64Array) => void;
}

const RADICES = [5, 4, 3, 2];

/** A whole turn is split before the sine is taken, so that equal angles have equal values. */
function turn(part: number, whole: number): readonly [number, number] {
  const angle = (-2 * Math.PI * (part % whole)) / whole;
  return [cos(angle), sin(angle)];
}

function planStages(n: number): readonly Stage[] | undefined {
  const stages: Stage[] = [];
  let [left, step] = [n, 1];
  while (left > 1) {
    const radix = RADICES.find((r) => left % r === 0);
    if (radix === undefined) return undefined;
    const rest = left / radix;
    const twiddles = new Float64Array(rest * (radix - 1) * 2);
    for (let p = 0, at = 0; p < rest; p++) for (let j = 1; j < radix; j++, at += 2) twiddles.set(turn(p * j, left), at);
    stages.push({ radix, rest, step, twiddles });
    [left, step] = [rest, step * radix];
  }
  return stages;
}

/** Values are named one by one: destructuring costs as much as the arithmetic until an engine has optimised it. */
type Pass = (stage: Stage, xr: Float64Array, xi: Float64Array, yr: Float64Array, yi: Float64Array) => void;

const pass2: Pass = ({ rest, step, twiddles }, xr, xi, yr, yi) => {
  const far = rest * step;
  for (let p = 0; p < rest; p++) {
    const c = twiddles[2 * p];
    const s = twiddles[2 * p + 1];
    for (let q = 0, a = p * step, b = 2 * p * step; q < step; q++, a++, b++) {
      const dr = xr[a] - xr[a + far];
      const di = xi[a] - xi[a + far];
      yr[b] = xr[a] + xr[a + far];
      yi[b] = xi[a] + xi[a + far];
      yr[b + step] = dr * c - di * s;
      yi[b + step] = dr * s + di * c;
    }
  }
};

/** Half the square root of 3. */
const SIN_60 = Math.sqrt(3) / 2;

const pass3: Pass = ({ rest, step, twiddles }, xr, xi, yr, yi) => {
  const far = rest * step;
  for (let p = 0; p < rest; p++) {
    const t = 4 * p;
    const c1 = twiddles[t];
    const s1 = twiddles[t + 1];
    const c2 = twiddles[t + 2];
    const s2 = twiddles[t + 3];
    for (let q = 0, a = p * step, b = 3 * p * step; q < step; q++, a++, b++) {
      const sr = xr[a + far] + xr[a + 2 * far];
      const si = xi[a + far] + xi[a + 2 * far];
      const dr = SIN_60 * (xr[a + far] - xr[a + 2 * far]);
      const di = SIN_60 * (xi[a + far] - xi[a + 2 * far]);
      const mr = xr[a] - 0.5 * sr;
      const mi = xi[a] - 0.5 * si;
      yr[b] = xr[a] + sr;
      yi[b] = xi[a] + si;
      yr[b + step] = (mr + di) * c1 - (mi - dr) * s1;
      yi[b + step] = (mr + di) * s1 + (mi - dr) * c1;
      yr[b + 2 * step] = (mr - di) * c2 - (mi + dr) * s2;
      yi[b + 2 * step] = (mr - di) * s2 + (mi + dr) * c2;
    }
  }
};

const pass4: Pass = ({ rest, step, twiddles }, xr, xi, yr, yi) => {
  const far = rest * step;
  for (let p = 0; p < rest; p++) {
    const t = 6 * p;
    const c1 = twiddles[t];
    const s1 = twiddles[t + 1];
    const c2 = twiddles[t + 2];
    const s2 = twiddles[t + 3];
    const c3 = twiddles[t + 4];
    const s3 = twiddles[t + 5];
    for (let q = 0, a = p * step, b = 4 * p * step; q < step; q++, a++, b++) {
      const ar = xr[a] + xr[a + 2 * far];
      const ai = xi[a] + xi[a + 2 * far];
      const br = xr[a] - xr[a + 2 * far];
      const bi = xi[a] - xi[a + 2 * far];
      const cr = xr[a + far] + xr[a + 3 * far];
      const ci = xi[a + far] + xi[a + 3 * far];
      const dr = xr[a + far] - xr[a + 3 * far];
      const di = xi[a + far] - xi[a + 3 * far];
      yr[b] = ar + cr;
      yi[b] = ai + ci;
      yr[b + step] = (br + di) * c1 - (bi - dr) * s1;
      yi[b + step] = (br + di) * s1 + (bi - dr) * c1;
      yr[b + 2 * step] = (ar - cr) * c2 - (ai - ci) * s2;
      yi[b + 2 * step] = (ar - cr) * s2 + (ai - ci) * c2;
      yr[b + 3 * step] = (br - di) * c3 - (bi + dr) * s3;
      yi[b + 3 * step] = (br - di) * s3 + (bi + dr) * c3;
    }
  }
};

/** cos and sin of a fifth and of two fifths of a turn. */
const COS_72 = (Math.sqrt(5) - 1) / 4;
const COS_144 = -(Math.sqrt(5) + 1) / 4;
const SIN_72 = Math.sqrt(10 + 2 * Math.sqrt(5)) / 4;
const SIN_144 = Math.sqrt(10 - 2 * Math.sqrt(5)) / 4;

const pass5: Pass = ({ rest, step, twiddles }, xr, xi, yr, yi) => {
  const far = rest * step;
  for (let p = 0; p < rest; p++) {
    const t = 8 * p;
    const c1 = twiddles[t];
    const s1 = twiddles[t + 1];
    const c2 = twiddles[t + 2];
    const s2 = twiddles[t + 3];
    const c3 = twiddles[t + 4];
    const s3 = twiddles[t + 5];
    const c4 = twiddles[t + 6];
    const s4 = twiddles[t + 7];
    for (let q = 0, a = p * step, b = 5 * p * step; q < step; q++, a++, b++) {
      const zr = xr[a];
      const zi = xi[a];
      const ar = xr[a + far] + xr[a + 4 * far];
      const ai = xi[a + far] + xi[a + 4 * far];
      const br = xr[a + far] - xr[a + 4 * far];
      const bi = xi[a + far] - xi[a + 4 * far];
      const cr = xr[a + 2 * far] + xr[a + 3 * far];
      const ci = xi[a + 2 * far] + xi[a + 3 * far];
      const dr = xr[a + 2 * far] - xr[a + 3 * far];
      const di = xi[a + 2 * far] - xi[a + 3 * far];
      const er = zr + COS_72 * ar + COS_144 * cr;
      const ei = zi + COS_72 * ai + COS_144 * ci;
      const fr = zr + COS_144 * ar + COS_72 * cr;
      const fi = zi + COS_144 * ai + COS_72 * ci;
      const gr = SIN_72 * br + SIN_144 * dr;
      const gi = SIN_72 * bi + SIN_144 * di;
      const hr = SIN_144 * br - SIN_72 * dr;
      const hi = SIN_144 * bi - SIN_72 * di;
      yr[b] = zr + ar + cr;
      yi[b] = zi + ai + ci;
      yr[b + step] = (er + gi) * c1 - (ei - gr) * s1;
      yi[b + step] = (er + gi) * s1 + (ei - gr) * c1;
      yr[b + 2 * step] = (fr + hi) * c2 - (fi - hr) * s2;
      yi[b + 2 * step] = (fr + hi) * s2 + (fi - hr) * c2;
      yr[b + 3 * step] = (fr - hi) * c3 - (fi + hr) * s3;
      yi[b + 3 * step] = (fr - hi) * s3 + (fi + hr) * c3;
      yr[b + 4 * step] = (er - gi) * c4 - (ei + gr) * s4;
      yi[b + 4 * step] = (er - gi) * s4 + (ei + gr) * c4;
    }
  }
};

const PASSES: Readonly<Record<number, Pass>> = { 2: pass2, 3: pass3, 4: pass4, 5: pass5 };

/**
 * A power spectrum of frames as long as `window`. Its buffers are its own: calls do not overlap.
 * @throws FoveaError `invalid_config` when the length is odd or has prime factors above 5
 */
export function createPowerSpectrum(window: Float64Array): PowerSpectrum {
  const size = window.length;
  const n = size / 2;
  const stages = size >= 2 && Number.isInteger(n) ? planStages(n) : undefined;
  if (stages === undefined) {
    throw new FoveaError(
      "invalid_config",
      `Spectra of ${size} samples cannot be computed; expected an even number without prime factors above 5, such as 400.`,
    );
  }
  const passes = stages.map((stage) => PASSES[stage.radix]);
  const work = Array.from({ length: 4 }, () => new Float64Array(n));
  // cos and sin of -2 pi k / size for the first half of the spectrum, its middle included.
  const turns = Float64Array.from({ length: n + 2 }, (_, i) => turn(i >> 1, size)[i & 1]);
  return {
    size,
    bins: n + 1,
    run: (samples, at, out) => {
      let [xr, xi, yr, yi] = work;
      for (let i = 0, k = 0; i < n; i++, k += 2) {
        xr[i] = samples[at + k] * window[k];
        xi[i] = samples[at + k + 1] * window[k + 1];
      }
      for (let i = 0; i < stages.length; i++) {
        passes[i](stages[i], xr, xi, yr, yi);
        const r = xr;
        const m = xi;
        xr = yr;
        xi = yi;
        yr = r;
        yi = m;
      }
      unpack(n, xr, xi, turns, out);
    },
  };
}

/** The spectrum X of 2n real samples out of Z, that of the n pairs: X[k] = E + w^k O and X[n - k] = conj(E - w^k O). */
function unpack(n: number, zr: Float64Array, zi: Float64Array, turns: Float64Array, out: Float64Array): void {
  out[0] = (zr[0] + zi[0]) * (zr[0] + zi[0]);
  out[n] = (zr[0] - zi[0]) * (zr[0] - zi[0]);
  for (let k = 1; 2 * k <= n; k++) {
    const m = n - k;
    const er = 0.5 * (zr[k] + zr[m]);
    const ei = 0.5 * (zi[k] - zi[m]);
    const or = 0.5 * (zi[k] + zi[m]);
    const oi = 0.5 * (zr[m] - zr[k]);
    const c = turns[2 * k];
    const s = turns[2 * k + 1];
    const tr = or * c - oi * s;
    const ti = or * s + oi * c;
    out[k] = (er + tr) * (er + tr) + (ei + ti) * (ei + ti);
    out[m] = (er - tr) * (er - tr) + (ei - ti) * (ei - ti);
  }
}
