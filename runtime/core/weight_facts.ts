/** What is known of a model's weights before a compile: how large their numbers and rows are. */

export interface WeightFact {
  /** No number's magnitude is larger. */
  readonly largest: number;
  /** No row (last axis) is longer: the root of the sum of its squares. */
  readonly row: number;
}

/**
 * By the tensor's name inside its component, over all instances that share it. A tensor that is absent, or holds what is no finite
 * number, may be of any size.
 */
export type WeightFacts = Readonly<Record<string, WeightFact>>;

/** The next number above with four bits: alike checkpoints have equal facts, and share what is compiled for them. */
export function roundedUp(value: number): number {
  if (!(value > 0)) return 0;
  let step = 1;
  while (step * 16 <= value) step *= 2;
  while (step * 8 > value) step /= 2;
  return Math.ceil(value / step) * step;
}

/** The fact of a tensor; nothing where it holds what is no finite number. */
export function factOf(values: Float32Array, shape: readonly number[]): WeightFact | undefined {
  const width = Math.max(1, shape[shape.length - 1] ?? 1);
  let [largest, row] = [0, 0];
  for (let at = 0; at < values.length; at += width) {
    let squares = 0;
    for (let i = at; i < at + width; i++) {
      const value = values[i];
      squares += value * value;
      const size = value < 0 ? -value : value;
      if (size > largest) largest = size;
    }
    if (!(squares <= row)) row = squares;
    if (Number.isNaN(squares)) return undefined;
  }
  if (!Number.isFinite(row)) return undefined;
  return { largest: roundedUp(largest), row: roundedUp(Math.sqrt(row)) };
}

/** What holds for both. */
export const largerFact = (a: WeightFact, b: WeightFact): WeightFact => ({
  largest: Math.max(a.largest, b.largest),
  row: Math.max(a.row, b.row),
});
