/** From 8-bit samples to the values that a model was trained with. */

/** `(sample * rescaleFactor - mean) / std`; what is left out is not done. */
export interface ValueSteps {
  /** Multiplies every sample, usually 1/255; undefined leaves 0..255. */
  readonly rescaleFactor?: number;
  /** Subtracted after rescaling, by channel. */
  readonly mean?: readonly number[];
  /** Divides after `mean`, by channel. */
  readonly std?: readonly number[];
}

/** Whether samples become values by the same steps. */
export function sameSteps(a: ValueSteps, b: ValueSteps): boolean {
  const text = ({ rescaleFactor, mean, std }: ValueSteps): string => JSON.stringify([rescaleFactor, mean, std]);
  return text(a) === text(b);
}
