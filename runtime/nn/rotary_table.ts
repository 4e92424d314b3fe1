/** Angles of rotary positions: Su et al. 2021. */
import { cos, pow, sin } from "../core/math.ts";

/** [positions, pairs] of the rotary op, row by row. */
export interface RotaryTable {
  /** Cosines. */
  readonly cos: Float32Array;
  /** Sines, of the same angles. */
  readonly sin: Float32Array;
}

/**
 * cos and sin of position / theta^(i / pairs) for positions 0..positions - 1 and pairs 0..pairs - 1. Angles are rounded to
 * f32 where published implementations round them: far positions turn by what their f32 frequencies say.
 */
export function rotaryTable(positions: number, pairs: number, theta: number): RotaryTable {
  const table = { cos: new Float32Array(positions * pairs), sin: new Float32Array(positions * pairs) };
  for (let i = 0; i < pairs; i++) {
    const frequency = Math.fround(1 / Math.fround(pow(theta, Math.fround(i / pairs))));
    for (let position = 0; position < positions; position++) {
      const angle = Math.fround(position * frequency);
      table.cos[position * pairs + i] = cos(angle);
      table.sin[position * pairs + i] = sin(angle);
    }
  }
  return table;
}

/** {@link rotaryTable} for plans: the longest table so far is kept, and shorter ones are its first rows. */
export function rotaryTables(pairs: number, theta: number): (positions: number) => RotaryTable {
  let longest = rotaryTable(0, pairs, theta);
  return (positions) => {
    const elements = positions * pairs;
    // Lengths that grow token by token must not make a new table each.
    if (longest.cos.length < elements) longest = rotaryTable(Math.ceil(positions / 256) * 256, pairs, theta);
    return { cos: longest.cos.subarray(0, elements), sin: longest.sin.subarray(0, elements) };
  };
}
