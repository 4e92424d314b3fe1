/** Begin and end of a block of queries: scaled into scratch, and their sums divided into the output. */
import { type Code, f32, f32x4, get, i32, type Local, set, v128 } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";
import { inScratch, type ScratchLayout } from "./attention_layout.ts";
import { advance, repeatWhile, wordBytes } from "./loops.ts";

/** Calls `vector` for whole vectors of a head and `lane` for each element that is left, with `at` bytes into the head. */
function overHead(
  headDim: number,
  at: Local,
  vector: (offset: (row: Local) => Code) => Code,
  rest: (row: (base: Local) => Code, lane: number) => Code,
): Code {
  const address = (row: Local): Code => i32.add(get(row), get(at));
  const left = Array.from({ length: headDim % 4 }, (_, i) => rest(address, i));
  return [
    set(at, i32.of(0)),
    headDim < 4
      ? []
      : repeatWhile(i32.ne(get(at), i32.of(16 * Math.floor(headDim / 4))), [vector(address), advance(at, i32.of(16))]),
    left,
  ];
}

/** Scales the job's queries into scratch and clears their sums. */
export function startQueries(
  frame: KernelFrame,
  layout: ScratchLayout,
  scale: number,
  rows: Local,
  source: Local,
  step: Local,
): Code {
  const [row, from, to, sums, at] = frame.locals("i32", 5);
  const statistic = i32.add(get(frame.scratch), wordBytes(get(row)));
  return [
    set(row, i32.of(0)),
    set(from, get(source)),
    set(to, inScratch(frame, layout.query)),
    set(sums, inScratch(frame, layout.sums)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      overHead(
        layout.headDim,
        at,
        (address) => v128.store(address(to), f32x4.mul(v128.load(address(from)), f32x4.of(scale))),
        (address, lane) => f32.store(address(to), f32.mul(f32.load(address(from), 4 * lane), f32.of(scale)), 4 * lane),
      ),
      Array.from({ length: layout.sumsRow / 16 }, (_, i) => v128.store(get(sums), f32x4.of(0), 16 * i)),
      f32.store(statistic, f32.of(-Infinity), layout.largest),
      f32.store(statistic, f32.of(0), layout.total),
      advance(from, get(step)),
      advance(to, i32.of(layout.queryRow)),
      advance(sums, i32.of(layout.sumsRow)),
      advance(row, i32.of(1)),
    ]),
  ];
}

/** Divides the sums by their totals and stores them; a query that saw no key gives zeros. */
export function finishQueries(
  frame: KernelFrame,
  layout: ScratchLayout,
  rows: Local,
  output: Local,
  step: Local,
): Code {
  const [row, from, to, at] = frame.locals("i32", 4);
  const [total, seen, quotient] = frame.locals("v128", 3);
  const statistic = i32.add(get(frame.scratch), wordBytes(get(row)));
  const divide = (address: Code): Code => v128.and(f32x4.div(v128.load(address), get(total)), get(seen));
  return [
    set(row, i32.of(0)),
    set(to, get(output)),
    set(from, inScratch(frame, layout.sums)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      set(total, v128.load32Splat(statistic, layout.total)),
      set(seen, f32x4.ne(get(total), f32x4.of(0))),
      overHead(
        layout.headDim,
        at,
        (address) => v128.store(address(to), divide(address(from))),
        (address, lane) => [
          lane === 0 ? set(quotient, divide(address(from))) : [],
          v128.store32Lane(address(to), get(quotient), lane, 4 * lane),
        ],
      ),
      advance(from, i32.of(layout.sumsRow)),
      advance(to, get(step)),
      advance(row, i32.of(1)),
    ]),
  ];
}
