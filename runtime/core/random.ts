/**
 * Seeded pseudo-random numbers by counter: the value at an index depends on nothing but seed and index, so that
 * tensors can be filled in any order, in slices and on any engine with the same bits. Not for secrets.
 */

/** Bijective mixing of 32 bits: multiply and xor-shift, constants chosen for low bias (C. Wellons, "hash-prospector"). */
function mix(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0xd35a2d97);
  return x ^ (x >>> 15);
}

const high = (n: number): number => Math.floor(n / 4294967296) | 0;

/** Two keys of a stream: one is added before the first mixing and one before the second, so that streams do not overlap. */
function firstKey(seed: number, indexHigh: number): number {
  return mix(mix((seed ^ 0x9e3779b9) + Math.imul(high(seed), 0x85ebca6b)) + Math.imul(indexHigh, 0xc2b2ae35));
}

function secondKey(seed: number, indexHigh: number): number {
  return mix(mix((seed ^ 0x7f4a7c15) + Math.imul(high(seed), 0x27d4eb2f)) + Math.imul(indexHigh, 0x165667b1));
}

/** An integer in 0..2^32-1; `seed` and `index` are whole numbers below 2^53. */
export function hash32(seed: number, index: number): number {
  const top = high(index);
  return mix(mix((index | 0) + firstKey(seed, top)) ^ secondKey(seed, top)) >>> 0;
}

/** `hash32` of one seed, for many indices below 2^32. */
export function hashStream(seed: number): (index: number) => number {
  const before = firstKey(seed, 0);
  const after = secondKey(seed, 0);
  return (index) => mix(mix((index | 0) + before) ^ after) >>> 0;
}

/** Sets `out[i]` to `hash32(seed, i)`. */
export function fillHash(out: Uint32Array, seed: number): void {
  const before = firstKey(seed, 0);
  const after = secondKey(seed, 0);
  for (let i = 0; i < out.length; i++) out[i] = mix(mix(i + before) ^ after);
}

/** A number in (0, 1): the middle of one of 2^32 equal steps. */
export function uniform(seed: number, index: number): number {
  return (hash32(seed, index) + 0.5) / 4294967296;
}

/** Mean and standard deviation of the sum of four independent uniform integers in 0..65535. */
const SUM_MEAN = 131070;
const SUM_STD = Math.sqrt((65536 * 65536 - 1) / 3);

const sumOfFour = (a: number, b: number): number => (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16);

/**
 * An approximately normal number: the scaled sum of four 16-bit uniforms (Irwin-Hall). Mean 0 and variance 1 are exact,
 * kurtosis is 2.7 instead of 3, and no value lies beyond 3.47.
 */
export function normal(seed: number, index: number): number {
  const a = hash32(seed, index);
  return (sumOfFour(a, mix(a + 0x3c6ef372)) - SUM_MEAN) / SUM_STD;
}

/** Sets `out[i]` to `normal(seed, offset + i) * std`, rounded to f32. */
export function fillNormal(out: Float32Array, seed: number, offset: number, std: number): void {
  let at = 0;
  while (at < out.length) {
    const first = offset + at;
    const top = high(first);
    const end = Math.min(out.length, at + (top + 1) * 4294967296 - first);
    const before = firstKey(seed, top);
    const after = secondKey(seed, top);
    for (let low = first | 0; at < end; at++, low = (low + 1) | 0) {
      const a = mix(mix(low + before) ^ after);
      out[at] = ((sumOfFour(a, mix(a + 0x3c6ef372)) - SUM_MEAN) / SUM_STD) * std;
    }
  }
}
