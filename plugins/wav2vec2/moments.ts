/**
 * What normalising the first convolution over a whole recording (Wu and He 2018, with a channel to each group) needs to know
 * of it. A convolution is linear, so that mean and variance of w . x over all windows x follow from those of the windows: w . m
 * and w^T C w. With C = R^T R (Cholesky) the variance is |R w|^2, a sum of squares, which loses nothing where C nearly
 * swallows a filter. The convolution's results over minutes of sound, of which that is the norm, need not exist.
 */
import type { Convolution } from "./config.ts";

/** Pivots below this part of the largest are rounding. */
const NOTHING = 1e-14;

/** Rows of R with R^T R = `covariance` [size, size], which is overwritten. */
function cholesky(covariance: Float64Array, size: number): Float64Array {
  const at = (i: number, j: number): number => i * size + j;
  const root = new Float64Array(size * size);
  let largest = 0;
  for (let i = 0; i < size; i++) largest = Math.max(largest, covariance[at(i, i)]);
  for (let k = 0; k < size; k++) {
    const pivot = covariance[at(k, k)];
    if (!(pivot > NOTHING * largest)) continue;
    const scale = 1 / Math.sqrt(pivot);
    for (let j = k; j < size; j++) root[at(k, j)] = covariance[at(k, j)] * scale;
    for (let i = k + 1; i < size; i++)
      for (let j = i; j < size; j++) covariance[at(i, j)] -= root[at(k, i)] * root[at(k, j)];
  }
  return root;
}

/**
 * R [size, size], then the mean [size], of all windows of a recording of at least one.
 * @returns [size + 1, size]
 */
export function windowMoments(
  samples: Float32Array,
  { size, stride }: Pick<Convolution, "size" | "stride">,
): Float32Array {
  const windows = Math.floor((samples.length - size) / stride) + 1;
  const mean = new Float64Array(size);
  const covariance = new Float64Array(size * size);
  const last = (windows - 1) * stride;
  for (let i = 0; i < size; i++) {
    let sum = 0;
    for (let at = i; at <= last + i; at += stride) sum += samples[at];
    mean[i] = sum / windows;
  }
  for (let i = 0; i < size; i++) {
    for (let j = i; j < size; j++) {
      const [a, b, ahead] = [mean[i], mean[j], j - i];
      let sum = 0;
      for (let at = i; at <= last + i; at += stride) sum += (samples[at] - a) * (samples[at + ahead] - b);
      covariance[i * size + j] = sum / windows;
    }
  }
  const moments = new Float32Array((size + 1) * size);
  moments.set(cholesky(covariance, size));
  moments.set(mean, size * size);
  return moments;
}
