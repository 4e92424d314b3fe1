/** Which elements of a value are compared: crossings of some rows and columns. */
import type { Expectation } from "../abi/artifact.ts";
import { type Bindings, type Dim, evaluate } from "../core/dim.ts";
import { hash32 } from "../core/random.ts";

/** The elements of a compared value as rows. */
export interface Rows {
  readonly width: number;
  readonly height: number;
}

/** Elements of a value at these sizes. */
export const elementsOf = (shape: readonly Dim[], dims: Bindings): number =>
  shape.reduce<number>((n, d) => n * evaluate(d, dims), 1);

/** Vectors and register tiles are divisors of this: sizes that it does not divide have tails. */
export const TILE = 16;

/** Rows compared of a value that has as many; columns fill up. */
export const SAMPLED_ROWS = 8;
/** Neighbours that are compared at either end, where tiles end. */
const ROWS_AT_ENDS = 2;
const COLUMNS_AT_ENDS = 8;

/** `count` of `below` positions: some at either end, and runs of neighbours drawn between, since few tiles hold those. */
function draw(count: number, below: number, seed: number, ends: number, run: number): readonly number[] {
  if (below <= count) return [...Array(below).keys()];
  const chosen = new Set<number>();
  for (let i = 0; i < Math.min(ends, count >> 1); i++) chosen.add(i).add(below - 1 - i);
  for (let i = 0; chosen.size < count; i++) {
    const first = hash32(seed, i) % below;
    for (let n = 0; n < run && chosen.size < count; n++) chosen.add((first + n) % below);
  }
  return [...chosen].sort((a, b) => a - b);
}

/**
 * Rows and columns whose crossings are compared, the first and the last among them.
 * @param most rows, where each costs much
 */
export function crossings(
  { width, height }: Rows,
  samples: number,
  seed: number,
  most: number = Number.POSITIVE_INFINITY,
): Pick<Expectation, "rows" | "columns"> {
  // A value with few rows is sampled in more columns, one with few columns in more rows.
  const spread = Math.min(SAMPLED_ROWS, height, most);
  const columns = draw(Math.ceil(samples / spread), width, 2 * seed, COLUMNS_AT_ENDS, TILE);
  const count = Math.min(most, Math.ceil(samples / columns.length));
  return { columns, rows: draw(count, height, 2 * seed + 1, ROWS_AT_ENDS, 1) };
}

/** Positions of all crossings, row by row. Like all that is done for every element, a plain loop: cold engines call slowly. */
export function crossed(rows: readonly number[], columns: readonly number[], width: number): number[] {
  const positions: number[] = [];
  for (const row of rows) for (const column of columns) positions.push(row * width + column);
  return positions;
}
