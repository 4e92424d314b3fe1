/** Four rows of four words as four columns. */
import { type Code, get, type Local, set, v128 } from "../asm/code.ts";

const wordLanes = (...words: readonly number[]): readonly number[] =>
  words.flatMap((w) => [0, 1, 2, 3].map((byte) => 4 * w + byte));

const LOW = wordLanes(0, 4, 1, 5);
const HIGH = wordLanes(2, 6, 3, 7);
const LOW_PAIRS = wordLanes(0, 1, 4, 5);
const HIGH_PAIRS = wordLanes(2, 3, 6, 7);

/** Transposes `rows` into `columns`; the two may not share locals. */
export function transposeWords(rows: readonly Local[], columns: readonly Local[]): Code {
  const [r0, r1, r2, r3] = rows.map(get);
  const [c0, c1, c2, c3] = columns;
  const pair = (to: Local, a: Code, b: Code, lanes: readonly number[]): Code => set(to, v128.shuffle(a, b, lanes));
  return [
    ...[pair(c0, r0, r1, LOW), pair(c1, r0, r1, HIGH), pair(c2, r2, r3, LOW), pair(c3, r2, r3, HIGH)],
    ...[pair(rows[0], get(c0), get(c2), LOW_PAIRS), pair(rows[1], get(c0), get(c2), HIGH_PAIRS)],
    ...[pair(rows[2], get(c1), get(c3), LOW_PAIRS), pair(rows[3], get(c1), get(c3), HIGH_PAIRS)],
    columns.map((c, i) => set(c, get(rows[i]))),
  ];
}
