/**
 * Rotary positions of patches on grids: some pairs of a head turn by the patch's row, the others by its column; Su et al.
 * 2021 along two axes.
 */
import { cos, pow, sin } from "../core/math.ts";
import type { RotaryTable } from "./rotary_table.ts";

/** Patches of an image: rows from the top, columns from the left. */
export interface PatchGrid {
  /** Patches from top to bottom. */
  readonly rows: number;
  /** Patches from left to right. */
  readonly columns: number;
}

/** Pairs that turn by one axis. */
export interface GridAxis {
  /** Whether the pairs turn by the patch's row or by its column. */
  readonly axis: "row" | "column";
  /** Radians for each step along the axis, one per pair, f32. */
  readonly frequencies: Float32Array;
}

/** theta^-e for every exponent e, rounded to f32 where published implementations round. */
export function rotaryFrequencies(theta: number, exponents: readonly number[]): Float32Array {
  return Float32Array.from(exponents, (e) => 1 / Math.fround(pow(theta, Math.fround(e))));
}

/** cos and sin of (origin + place) * frequency for places 0..places - 1, [places, pairs]. */
function axisTable(places: number, frequencies: Float32Array, origin: number): RotaryTable {
  const pairs = frequencies.length;
  const table = { cos: new Float32Array(places * pairs), sin: new Float32Array(places * pairs) };
  for (let place = 0, at = 0; place < places; place++) {
    for (let i = 0; i < pairs; i++, at++) {
      const angle = Math.fround((origin + place) * frequencies[i]);
      table.cos[at] = cos(angle);
      table.sin[at] = sin(angle);
    }
  }
  return table;
}

/**
 * [patches, pairs] of the rotary op for the patches of all grids, grid by grid and row by row.
 * @param axes the pairs of a patch, in their order
 * @param origin place of the first row and column, 0 unless given
 */
export function gridRotary(grids: readonly PatchGrid[], axes: readonly GridAxis[], origin = 0): RotaryTable {
  const longest = {
    row: Math.max(0, ...grids.map((g) => g.rows)),
    column: Math.max(0, ...grids.map((g) => g.columns)),
  };
  const parts = axes.map(({ axis, frequencies }) => ({
    axis,
    pairs: frequencies.length,
    table: axisTable(longest[axis], frequencies, origin),
  }));
  const pairs = parts.reduce((n, p) => n + p.pairs, 0);
  const patches = grids.reduce((n, g) => n + g.rows * g.columns, 0);
  const out = { cos: new Float32Array(patches * pairs), sin: new Float32Array(patches * pairs) };
  let to = 0;
  for (const { rows, columns } of grids) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (const part of parts) {
          const from = (part.axis === "row" ? row : column) * part.pairs;
          out.cos.set(part.table.cos.subarray(from, from + part.pairs), to);
          out.sin.set(part.table.sin.subarray(from, from + part.pairs), to);
          to += part.pairs;
        }
      }
    }
  }
  return out;
}
