/** Scores of attention into weights: the softmax that goes on from block to block of keys. */

import { type Code, f32, f32x4, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { whileLoop } from "../asm/control_flow.ts";
import { constantsInMemory, type Hoisted, hoistConstants } from "../asm/hoist.ts";
import type { KernelFrame } from "../asm/module.ts";
import { type AttentionBlock, SPREAD_CONSTANTS } from "./attention_layout.ts";
import { advance, repeatWhile, wordBytes } from "./loops.ts";
import { expWeight } from "./math.ts";
import { maxOfLanes, sumOfLanes } from "./rows.ts";
import { smaller } from "./size.ts";

/** No score of f32 lies below, and e^(-Infinity + FAR) is 0. */
const FAR = 3.4028234663852886e38;

/** Vectors of a row that are weighed at once where weights are spread. */
const SPREAD_VECTORS = 2;

/** The first steps of all, then the second ones. */
const sideBySide = (chains: readonly (readonly Code[])[]): Code =>
  chains[0].map((_, step) => chains.map((chain) => chain[step]));

/** Rows of queries that are weighed. */
export interface WeighedRows {
  /** The first, and the end. */
  readonly first: Code;
  readonly end: Code;
  /** Addresses of their scores and sums. */
  readonly scores: Code;
  readonly sums: Code;
}

/**
 * Turns rows of scores into weights e^(score - largest so far), and brings their earlier sums to the same largest.
 * `setup` must run before, once for each block of queries.
 */
export function weighRows(frame: KernelFrame, block: AttentionBlock, rows: WeighedRows): Hoisted {
  const { layout, count } = block;
  const [row, at, scores, seen, end, sums, sumsEnd] = frame.locals("i32", 7);
  const [x, most, weights, scale] = frame.locals("v128", 4);
  const [before, largest] = frame.locals("f32", 2);
  const begin = block.windowed ? frame.local("i32") : undefined;
  const statistic = i32.add(get(frame.scratch), wordBytes(get(row)));

  const exponential = (value: Code, to: Local): readonly Code[] => {
    const steps: Code[] = [];
    const keep = (v: Code): Local => {
      const local = frame.local("v128");
      steps.push(set(local, v));
      return local;
    };
    const result = expWeight({ madd: layout.tile.madd, keep }, value);
    return [...steps, set(to, result)];
  };
  // Each exponential is a long chain of dependent instructions, and a core finds the next one's only nearby.
  const together = layout.spread === undefined ? 1 : SPREAD_VECTORS;
  const several = [x, ...frame.locals("v128", together - 1)];
  const walk = (body: Code): Code => [
    set(at, begin === undefined ? get(scores) : i32.add(get(scores), get(begin))),
    repeatWhile(i32.ltU(i32.sub(get(at), get(scores)), get(end)), [body, advance(at, i32.of(16 * together))]),
  ];
  const wholeTurns = i32.of(-4 * together);
  const toWholeTurns = (n: Code): Code => i32.and(i32.add(n, i32.of(4 * together - 1)), wholeTurns);
  // A tile of queries reads weights as far as its last query sees, at most `rows - 1` keys further than its first.
  const further = i32.of(layout.tile.rows - 1);
  const reach = block.ragged ? smaller(i32.add(get(seen), further), get(count)) : get(count);
  const hideTo = (stop: Code): Code =>
    whileLoop(i32.ltU(get(at), stop), [
      f32.store(i32.add(get(scores), get(at)), f32.of(-Infinity)),
      advance(at, i32.of(4)),
    ]);
  // It also reads them from where its first query begins, at most as many keys before this one does.
  const unseen = i32.load(statistic, layout.unseen);
  const hideUnseen = (from: Local): Code => [
    set(from, wordBytes(i32.and(i32.sub(unseen, smaller(unseen, further)), wholeTurns))),
    set(at, get(from)),
    hideTo(wordBytes(unseen)),
  ];
  const body = [
    set(seen, block.ragged ? i32.load(statistic, layout.seen) : get(count)),
    set(end, wordBytes(toWholeTurns(reach))),
    set(at, wordBytes(get(seen))),
    hideTo(get(end)),
    begin === undefined ? [] : hideUnseen(begin),
    set(before, f32.load(statistic, layout.largest)),
    // A NaN is not the largest, but its own exponential brings it into the sums.
    set(most, f32x4.splat(get(before))),
    walk(several.map((_, i) => set(most, f32x4.pmax(get(most), v128.load(get(at), 16 * i))))),
    set(largest, maxOfLanes(most)),
    f32.store(statistic, get(largest), layout.largest),
    // Where nothing was seen yet, 0 keeps -Infinity - -Infinity away.
    set(most, f32x4.splat(f32.max(get(largest), f32.of(-FAR)))),
    exponential(f32x4.sub(f32x4.splat(get(before)), get(most)), scale),
    set(weights, f32x4.of(0)),
    walk([
      sideBySide(several.map((to, i) => exponential(f32x4.sub(v128.load(get(at), 16 * i), get(most)), to))),
      several.map((value, i) => [
        v128.store(get(at), get(value), 16 * i),
        set(weights, f32x4.add(get(weights), get(value))),
      ]),
    ]),
    f32.store(
      statistic,
      f32.add(f32.mul(f32.load(statistic, layout.total), f32x4.extract(get(scale), 0)), sumOfLanes(weights)),
      layout.total,
    ),
    set(sumsEnd, i32.add(get(sums), i32.of(layout.sumsRow))),
    repeatWhile(i32.ne(get(sums), get(sumsEnd)), [
      v128.store(get(sums), f32x4.mul(v128.load(get(sums)), get(scale))),
      advance(sums, i32.of(16)),
    ]),
  ];
  const { setup, code } =
    layout.spread === undefined
      ? hoistConstants(frame, body)
      : constantsInMemory(body, frame.scratch, layout.spread.constants, SPREAD_CONSTANTS);
  const all = [
    set(scores, rows.scores),
    set(sums, rows.sums),
    set(row, rows.first),
    repeatWhile(i32.ltU(get(row), rows.end), [
      code,
      advance(scores, i32.of(layout.scoresRow)),
      advance(row, i32.of(1)),
    ]),
  ];
  return { setup, code: all };
}
