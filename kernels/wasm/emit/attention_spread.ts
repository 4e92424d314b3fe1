/**
 * Attention over one block of queries and one block of keys, a tile of queries after the other, whose numbers are spread: each
 * stands four times side by side in scratch, so that both products read factors as plain vectors from one pointer.
 */

import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { when, whileLoop } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";
import { type AttentionBlock, inScratch, keysOf, type ScratchLayout, type SpreadPlaces } from "./attention_layout.ts";
import { weighRows } from "./attention_weights.ts";
import { advance, repeatWhile } from "./loops.ts";
import { smaller } from "./size.ts";
import { spreadRows } from "./spread_block.ts";
import {
  clearTile,
  loadTile,
  multiplyTile,
  multiplyTileMasked,
  placeRows,
  storeTile,
  type TileRegisters,
  tileRegisters,
} from "./tile.ts";

/** Spreads the block's scaled queries, in whole tiles. */
function spreadQueries(frame: KernelFrame, layout: ScratchLayout, places: SpreadPlaces, rows: Local): Code {
  const [row, query, to, counter] = frame.locals("i32", 4);
  const pointers = frame.locals("i32", layout.tile.rows);
  return [
    set(row, i32.of(0)),
    set(query, inScratch(frame, layout.query)),
    set(to, inScratch(frame, places.query)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      placeRows(pointers, get(query), i32.of(layout.queryRow)),
      spreadRows(pointers, to, counter, i32.of(layout.headDim)),
      advance(query, i32.of(layout.tile.rows * layout.queryRow)),
      advance(row, i32.of(layout.tile.rows)),
    ]),
  ];
}

/** The tile under work. */
interface SpreadTile {
  readonly registers: TileRegisters;
  /** Its first query. */
  readonly row: Local;
  /** Address of its spread queries. */
  readonly query: Local;
  /** Address of its sums. */
  readonly sums: Local;
  /** Keys of the block up to the last one that a query of the tile sees. */
  readonly seen: Local;
}

/** scores = query key^T, in whole panels of the keys that the tile sees. */
function scoreKeys(frame: KernelFrame, block: AttentionBlock, { registers, query, seen }: SpreadTile): Code {
  const { layout } = block;
  const { rows, columns } = layout.tile;
  const [column, end, factors, b, scores] = frame.locals("i32", 5);
  return [
    set(column, i32.of(0)),
    set(b, inScratch(frame, layout.key)),
    set(scores, inScratch(frame, layout.scores)),
    whileLoop(i32.ltU(get(column), get(seen)), [
      clearTile(registers, rows),
      set(factors, get(query)),
      set(end, i32.add(get(b), i32.of(layout.keyPanel))),
      multiplyTile(registers, { a: [factors], spreadRows: rows, b, end, multipleOf: layout.headDim }),
      storeTile(registers, rows, scores, layout.scoresRow),
      advance(scores, i32.of(4 * columns)),
      advance(column, i32.of(columns)),
    ]),
  ];
}

/** sums += weights value, for the keys that the tile sees. */
function addValues(
  frame: KernelFrame,
  block: AttentionBlock,
  places: SpreadPlaces,
  { registers, row, sums, seen }: SpreadTile,
): Code {
  const { layout } = block;
  const { rows, columns } = layout.tile;
  const [to, counter, factors, b] = frame.locals("i32", 4);
  const [panel, panelsEnd, end, at] = frame.locals("i32", 4);
  const pointers = frame.locals("i32", rows);
  const operands = { a: [factors], spreadRows: rows, b, end };
  const setEnd = (keys: Code): Code => set(end, i32.add(get(panel), i32.mul(keys, i32.of(4 * columns))));
  /** Keys up to the one whose number is given for a query of the tile. */
  const upTo = (ahead: number, multiply: typeof multiplyTile): Code => [
    setEnd(keysOf(frame, layout.seen, row, ahead)),
    when(i32.ltU(get(b), get(end)), multiply(registers, operands)),
  ];
  const weights = inScratch(frame, places.weights);
  const add = [
    placeRows(pointers, inScratch(frame, layout.scores), i32.of(layout.scoresRow)),
    set(to, weights),
    spreadRows(pointers, to, counter, get(seen)),
    set(panel, inScratch(frame, layout.value)),
    set(panelsEnd, i32.add(get(panel), i32.of((layout.sumsRow / (4 * columns)) * layout.valuePanel))),
    set(at, get(sums)),
    repeatWhile(i32.ne(get(panel), get(panelsEnd)), [
      loadTile(registers, rows, at, layout.sumsRow),
      set(factors, weights),
      set(b, get(panel)),
      // Keys that only some queries of the tile see: what the others hold there must not matter, NaN included.
      block.ragged
        ? [upTo(0, multiplyTile), upTo(rows - 1, multiplyTileMasked)]
        : [setEnd(get(seen)), multiplyTile(registers, operands)],
      storeTile(registers, rows, at, layout.sumsRow),
      advance(at, i32.of(4 * columns)),
      advance(panel, i32.of(layout.valuePanel)),
    ]),
  ];
  return block.ragged ? when(get(seen), add) : add;
}

/** What is done with a block of queries. */
export interface SpreadAttention {
  /** Once, when its queries were scaled. */
  readonly start: Code;
  /** For every packed block of keys: scores, weights, weighted values of every tile. */
  readonly attend: Code;
}

export function spreadAttention(frame: KernelFrame, block: AttentionBlock, places: SpreadPlaces): SpreadAttention {
  const { layout, rows } = block;
  const registers = tileRegisters(frame, layout.tile);
  const [row, query, sums, end] = frame.locals("i32", 4);
  const seen = block.ragged ? frame.local("i32") : block.count;
  const tile = { registers, row, query, sums, seen };
  const weights = weighRows(frame, block, {
    first: get(row),
    end: get(end),
    scores: inScratch(frame, layout.scores),
    sums: get(sums),
  });
  const attend = [
    set(row, i32.of(0)),
    set(query, inScratch(frame, places.query)),
    set(sums, inScratch(frame, layout.sums)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      set(end, smaller(i32.add(get(row), i32.of(layout.tile.rows)), get(rows))),
      block.ragged ? set(seen, keysOf(frame, layout.seen, row, layout.tile.rows - 1)) : [],
      scoreKeys(frame, block, tile),
      weights.code,
      addValues(frame, block, places, tile),
      advance(query, i32.of(places.queryTile)),
      advance(sums, i32.of(layout.tile.rows * layout.sumsRow)),
      advance(row, i32.of(layout.tile.rows)),
    ]),
  ];
  return { start: [spreadQueries(frame, layout, places, rows), weights.setup], attend };
}
