/** Integer samples at the scale of the references (libsndfile, FFmpeg): divided by the power of two that no value reaches. */

/**
 * The decoders divide by the largest positive integer instead. For positive samples alone, that distorts 8-bit sound.
 * Corrects `samples` in place.
 * @param bits of the integers that they were
 * @param signs whose samples were divided so
 */
export function evenScale(samples: Float32Array, bits: number, signs: "both" | "positive"): void {
  const largest = 2 ** (bits - 1);
  const factor = (largest - 1) / largest;
  const least = signs === "both" ? Number.NEGATIVE_INFINITY : 0;
  for (let i = 0; i < samples.length; i++) if (samples[i] > least) samples[i] *= factor;
}
