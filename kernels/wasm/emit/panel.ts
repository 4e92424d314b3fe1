/** Panels: a few columns of a matrix side by side for each step of K, as register tiles read them. */

import { type Code, f32, get, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";
import { advance, countDown, repeatWhile, wordBytes } from "./loops.ts";
import { smaller } from "./size.ts";
import { transposeWords } from "./transpose.ts";

export interface Panel {
  /** Columns of the panel, a multiple of 4. */
  readonly columns: number;
  /** Columns that exist, at least one; the others become 0. Nothing when all do. */
  readonly width: Code | undefined;
  /** Steps of K, at least one. */
  readonly k: Code;
  /** K is known to be a multiple of 4. */
  readonly kInFours?: boolean;
  /** Address of the panel's first element in row `index` of the source. */
  readonly sourceRow: (index: Code) => Code;
  /** The panel. Moves. */
  readonly output: Local;
}

/** From a source whose rows are steps of K: rows of the panel are runs of the source. */
export function packRuns(frame: KernelFrame, { columns, width, k, sourceRow, output }: Panel): Code {
  const [step, source, column, existing] = frame.locals("i32", 4);
  const rows = (body: Code): Code => [
    set(step, i32.of(0)),
    repeatWhile(i32.ltU(get(step), k), [
      set(source, sourceRow(get(step))),
      body,
      advance(output, i32.of(4 * columns)),
      advance(step, i32.of(1)),
    ]),
  ];
  const whole = Array.from({ length: columns / 4 }, (_, v) =>
    v128.store(get(output), v128.load(get(source), 16 * v), 16 * v),
  );
  if (width === undefined) return rows(whole);
  const inRow = (row: Local): Code => i32.add(get(row), get(column));
  const partial = [
    set(column, i32.of(0)),
    repeatWhile(i32.ltU(get(column), wordBytes(get(existing))), [
      f32.store(inRow(output), f32.load(inRow(source))),
      advance(column, i32.of(4)),
    ]),
    repeatWhile(i32.ltU(get(column), i32.of(4 * columns)), [
      f32.store(inRow(output), f32.of(0)),
      advance(column, i32.of(4)),
    ]),
  ];
  return [set(existing, width), when(i32.eq(get(existing), i32.of(columns)), rows(whole), rows(partial))];
}

/** From a source whose rows are columns of the panel, four at a time. `output` stays. */
export function packTransposed(frame: KernelFrame, { columns, width, k, kInFours, sourceRow, output }: Panel): Code {
  const [group, at, existing, last, left] = frame.locals("i32", 5);
  const pointers = frame.locals("i32", 4);
  const rows = frame.locals("v128", 4);
  const turned = frame.locals("v128", 4);
  const exists = frame.local("v128");
  const store = (value: Local, step: number): Code =>
    v128.store(get(at), v128.and(get(value), get(exists)), 4 * columns * step);
  const four = [
    rows.map((r, i) => set(r, v128.load(get(pointers[i])))),
    transposeWords(rows, turned),
    turned.map(store),
    pointers.map((p) => advance(p, i32.of(16))),
    advance(at, i32.of(16 * columns)),
  ];
  const [one] = rows;
  const single = [
    set(one, v128.load32Zero(get(pointers[0]))),
    pointers.slice(1).map((p, i) => set(one, v128.load32Lane(get(p), get(one), i + 1))),
    store(one, 0),
    pointers.map((p) => advance(p, i32.of(4))),
    advance(at, i32.of(4 * columns)),
  ];
  // A column that does not exist reads the last one that does; the mask makes it 0.
  const place = pointers.map((p, i) => set(p, sourceRow(smaller(i32.add(get(group), i32.of(i)), get(last)))));
  const lanes = v128.of([0, 1, 2, 3].flatMap((i) => [i, 0, 0, 0]));
  return [
    set(existing, width ?? i32.of(columns)),
    set(last, i32.sub(get(existing), i32.of(1))),
    set(group, i32.of(0)),
    repeatWhile(i32.ltU(get(group), i32.of(columns)), [
      place,
      set(exists, i32x4.gtS(i32x4.splat(i32.sub(get(existing), get(group))), lanes)),
      set(at, i32.add(get(output), wordBytes(get(group)))),
      set(left, i32.shrU(k, i32.of(2))),
      countDown(left, four),
      kInFours === true ? [] : [set(left, i32.and(k, i32.of(3))), countDown(left, single)],
      advance(group, i32.of(4)),
    ]),
  ];
}
