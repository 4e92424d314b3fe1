/** Steps of attention over one block of queries and one block of keys, all in private scratch. */

import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";
import { type AttentionBlock, inScratch, keysOf } from "./attention_layout.ts";
import { weighRows } from "./attention_weights.ts";
import { advance, repeatWhile, wordBytes } from "./loops.ts";
import { packRuns, packTransposed } from "./panel.ts";
import { smaller } from "./size.ts";
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

/** Copies the block's keys and values into panels; `keyRow` and `valueRow` are addresses by number within the block. */
export function packBlock(
  frame: KernelFrame,
  { layout, count }: AttentionBlock,
  keyRow: (index: Code) => Code,
  valueRow: (index: Code) => Code,
): Code {
  const { headDim, tile, keyPanel, valuePanel } = layout;
  const [first, output, base, column] = frame.locals("i32", 4);
  const columns = i32.of(tile.columns);
  return [
    set(first, i32.of(0)),
    set(base, inScratch(frame, layout.key)),
    repeatWhile(i32.ltU(get(first), get(count)), [
      packTransposed(frame, {
        columns: tile.columns,
        width: smaller(columns, i32.sub(get(count), get(first))),
        k: i32.of(headDim),
        kInFours: headDim % 4 === 0,
        sourceRow: (index) => keyRow(i32.add(get(first), index)),
        output: base,
      }),
      advance(base, i32.of(keyPanel)),
      advance(first, columns),
    ]),
    set(column, i32.of(0)),
    set(base, inScratch(frame, layout.value)),
    repeatWhile(i32.ltU(get(column), i32.of(headDim)), [
      set(output, get(base)),
      packRuns(frame, {
        columns: tile.columns,
        width: headDim % tile.columns === 0 ? undefined : smaller(columns, i32.sub(i32.of(headDim), get(column))),
        k: get(count),
        sourceRow: (index) => i32.add(valueRow(index), wordBytes(get(column))),
        output,
      }),
      advance(base, i32.of(valuePanel)),
      advance(column, columns),
    ]),
  ];
}

/** A walk over the block's tiles of queries. */
interface TileWalk {
  readonly registers: TileRegisters;
  /** First query of the tile. */
  readonly row: Local;
  readonly each: (body: Code) => Code;
}

function tileWalk(frame: KernelFrame, { layout, rows }: AttentionBlock, registers: TileRegisters): TileWalk {
  const row = frame.local("i32");
  return {
    registers,
    row,
    each: (body) => [
      set(row, i32.of(0)),
      repeatWhile(i32.ltU(get(row), get(rows)), [body, advance(row, i32.of(layout.tile.rows))]),
    ],
  };
}

/** scores = query key^T, in whole panels of keys. */
function multiplyKeys(frame: KernelFrame, block: AttentionBlock, { registers, row, each }: TileWalk): Code {
  const { layout } = block;
  const { rows, columns } = layout.tile;
  const [column, panel, end, query, b, scores] = frame.locals("i32", 6);
  const a = frame.locals("i32", rows);
  const product = [
    clearTile(registers, rows),
    placeRows(a, get(query), i32.of(layout.queryRow)),
    set(b, get(panel)),
    multiplyTile(registers, { a, b, end, multipleOf: layout.headDim }),
    storeTile(registers, rows, scores, layout.scoresRow),
  ];
  const begun = i32.ltS(get(column), keysOf(frame, layout.seen, row, rows - 1));
  const notPassed = i32.ltS(keysOf(frame, layout.unseen, row, 0), i32.add(get(column), i32.of(columns)));
  return [
    set(column, i32.of(0)),
    set(panel, inScratch(frame, layout.key)),
    repeatWhile(i32.ltU(get(column), get(block.count)), [
      set(end, i32.add(get(panel), i32.of(layout.keyPanel))),
      set(query, inScratch(frame, layout.query)),
      set(scores, i32.add(inScratch(frame, layout.scores), wordBytes(get(column)))),
      each([
        block.ragged ? when(block.windowed ? i32.and(begun, notPassed) : begun, product) : product,
        advance(query, i32.of(rows * layout.queryRow)),
        advance(scores, i32.of(rows * layout.scoresRow)),
      ]),
      set(panel, get(end)),
      advance(column, i32.of(columns)),
    ]),
  ];
}

/** sums += weights value. */
function multiplyValues(frame: KernelFrame, block: AttentionBlock, { registers, row, each }: TileWalk): Code {
  const { layout } = block;
  const { rows, columns } = layout.tile;
  const [offset, panel, end, weights, b, sums] = frame.locals("i32", 6);
  const a = frame.locals("i32", rows);
  const atKey = (key: Code): Code => i32.add(get(panel), i32.mul(key, i32.of(4 * columns)));
  const operands = { a, b, end };
  /** Keys up to the one whose number is given for a query of the tile. */
  const upTo = (numbers: number, ahead: number, multiply: typeof multiplyTile): Code => [
    set(end, atKey(keysOf(frame, numbers, row, ahead))),
    // In windows smaller than a tile the last query's first key lies behind the first one's last.
    when(i32.ltU(get(b), get(end)), multiply(registers, operands)),
  ];
  return [
    set(offset, i32.of(0)),
    set(panel, inScratch(frame, layout.value)),
    repeatWhile(i32.ltU(get(offset), i32.of(layout.sumsRow)), [
      set(weights, inScratch(frame, layout.scores)),
      set(sums, i32.add(inScratch(frame, layout.sums), get(offset))),
      block.ragged ? [] : set(end, atKey(get(block.count))),
      each([
        loadTile(registers, rows, sums, layout.sumsRow),
        placeRows(
          a,
          block.windowed ? i32.add(get(weights), wordBytes(keysOf(frame, layout.unseen, row, 0))) : get(weights),
          i32.of(layout.scoresRow),
        ),
        set(b, block.windowed ? atKey(keysOf(frame, layout.unseen, row, 0)) : get(panel)),
        // Keys that only some queries of the tile see: what the others hold there must not matter, NaN included.
        block.windowed ? [upTo(layout.unseen, rows - 1, multiplyTileMasked)] : [],
        block.ragged ? upTo(layout.seen, 0, multiplyTile) : multiplyTile(registers, operands),
        block.ragged ? upTo(layout.seen, rows - 1, multiplyTileMasked) : [],
        storeTile(registers, rows, sums, layout.sumsRow),
        advance(weights, i32.of(rows * layout.scoresRow)),
        advance(sums, i32.of(rows * layout.sumsRow)),
      ]),
      advance(panel, i32.of(layout.valuePanel)),
      advance(offset, i32.of(4 * columns)),
    ]),
  ];
}

/** Attends to the packed block: scores, weights, weighted values. */
export function attendBlock(frame: KernelFrame, block: AttentionBlock): Code {
  const { layout } = block;
  const walk = tileWalk(frame, block, tileRegisters(frame, layout.tile));
  const all = {
    first: i32.of(0),
    end: get(block.rows),
    scores: inScratch(frame, layout.scores),
    sums: inScratch(frame, layout.sums),
  };
  const scores = multiplyKeys(frame, block, walk);
  const weights = weighRows(frame, block, all);
  return [scores, weights.setup, weights.code, multiplyValues(frame, block, walk)];
}
