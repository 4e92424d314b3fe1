/** Steps of attention over one block of queries and one block of keys, all in private scratch. */
import { type Code, f32, f32x4, get, i32, type Local, set, v128, when, whileLoop } from "../asm/code.ts";
import { hoistConstants } from "../asm/hoist.ts";
import type { KernelFrame } from "../asm/module.ts";
import { advance, repeatWhile, wordBytes } from "./loops.ts";
import { expNonPositive } from "./math.ts";
import { packRuns, packTransposed } from "./panel.ts";
import { maxOfLanes, sumOfLanes } from "./rows.ts";
import { smaller } from "./size.ts";
import {
  clearTile,
  loadTile,
  multiplyTile,
  multiplyTileMasked,
  placeRows,
  storeTile,
  type TileRegisters,
  type TileShape,
  tileRegisters,
} from "./tile.ts";

/** Queries of a block at most; a multiple of every tile's rows. */
const QUERIES = 72;
/** Keys of a block at most. */
const KEYS = 128;

const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** Byte offsets in scratch, and bytes between rows. */
export interface ScratchLayout {
  readonly tile: TileShape;
  readonly headDim: number;
  /** Most queries of a block. */
  readonly queries: number;
  /** Most keys of a block. */
  readonly keys: number;
  /** Scaled queries, [queries, head_dim]. */
  readonly query: number;
  readonly queryRow: number;
  /** Sums of weighted values, [queries, head_dim]. */
  readonly sums: number;
  readonly sumsRow: number;
  /** Scores, then weights, [queries, keys]. */
  readonly scores: number;
  readonly scoresRow: number;
  /** Panels of transposed keys. */
  readonly key: number;
  readonly keyPanel: number;
  /** Panels of values. */
  readonly value: number;
  readonly valuePanel: number;
  /** By query: largest score and sum of weights so far. */
  readonly largest: number;
  readonly total: number;
  /** By query: of the block's keys it sees those from `unseen` to before `seen`. */
  readonly seen: number;
  readonly unseen: number;
  /** Positions of the block's keys. */
  readonly positions: number;
  /** Key at which the next part goes on. */
  readonly resume: number;
  readonly bytes: number;
}

/** What the layout of scratch follows from. */
export interface ScratchOptions {
  readonly headDim: number;
  readonly madd: boolean;
  /** Steps of a product in one turn of its inner loop; 1 unless given. */
  readonly turn?: number;
  /** Makes room for `unseen`. */
  readonly windowed: boolean;
  /** Makes room for `resume`. */
  readonly parted: boolean;
  /** No head has more queries, or keys that see each other; nothing where that is not known. */
  readonly mostQueries?: number;
  readonly mostKeys?: number;
}

/** Where everything lies. */
export function scratchLayout(options: ScratchOptions): ScratchLayout {
  const { headDim, madd, turn, windowed, parted, mostQueries = QUERIES, mostKeys = KEYS } = options;
  const tile = { rows: madd ? 6 : 4, columns: 8, madd, ...(turn === undefined ? {} : { turn }) };
  const queries = Math.min(QUERIES, roundUp(mostQueries, tile.rows));
  const keys = Math.min(KEYS, roundUp(mostKeys, tile.columns));
  let bytes = 0;
  const take = (size: number): number => {
    const at = bytes;
    bytes += roundUp(size, 16);
    return at;
  };
  const queryRow = 4 * roundUp(headDim, 4);
  const sumsRow = 4 * roundUp(headDim, tile.columns);
  const scoresRow = 4 * keys;
  const keyPanel = 4 * tile.columns * headDim;
  const valuePanel = 4 * tile.columns * keys;
  return {
    ...{ tile, headDim, queries, keys, queryRow, sumsRow, scoresRow, keyPanel, valuePanel },
    query: take(queries * queryRow),
    sums: take(queries * sumsRow),
    scores: take(queries * scoresRow),
    key: take((keys / tile.columns) * keyPanel),
    value: take((sumsRow / (4 * tile.columns)) * valuePanel),
    largest: take(4 * queries),
    total: take(4 * queries),
    seen: take(4 * (queries + tile.rows)),
    positions: take(4 * (keys + 1)),
    unseen: take(windowed ? 4 * (queries + tile.rows) : 0),
    resume: take(parted ? 4 : 0),
    bytes,
  };
}

/** The block under work. */
export interface AttentionBlock {
  readonly layout: ScratchLayout;
  /** Queries of the block. */
  readonly rows: Local;
  /** Keys of the block. */
  readonly count: Local;
  /** Queries see different numbers of the block's keys, written at `layout.seen` for whole tiles of queries. */
  readonly ragged: boolean;
  /** They also begin at different keys, written at `layout.unseen`; implies `ragged`. */
  readonly windowed: boolean;
}

export const inScratch = (frame: KernelFrame, offset: number): Code => i32.add(get(frame.scratch), i32.of(offset));

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

/** A number of keys by query, such as `layout.seen`, for query `row` + `ahead`. */
const keysOf = (frame: KernelFrame, numbers: number, row: Local, ahead: number): Code =>
  i32.load(i32.add(get(frame.scratch), wordBytes(get(row))), numbers + 4 * ahead);

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

/** No score of f32 lies below, and e^(-Infinity + FAR) is 0. */
const FAR = 3.4028234663852886e38;

/** Turns a row of scores into weights e^(score - largest so far), and brings its earlier sums to the same largest. */
function weighRows(frame: KernelFrame, block: AttentionBlock): Code {
  const { layout, rows, count } = block;
  const [row, at, scores, seen, end, sums, sumsEnd] = frame.locals("i32", 7);
  const [x, most, weights, scale] = frame.locals("v128", 4);
  const [before, largest] = frame.locals("f32", 2);
  const begin = block.windowed ? frame.local("i32") : undefined;
  const statistic = i32.add(get(frame.scratch), wordBytes(get(row)));

  const exponential = (value: Code, to: Local): Code => {
    const steps: Code[] = [];
    const keep = (v: Code): Local => {
      const local = frame.local("v128");
      steps.push(set(local, v));
      return local;
    };
    const result = expNonPositive({ madd: layout.tile.madd, keep }, value, 0);
    return [steps, set(to, result)];
  };
  const walk = (body: Code): Code => [
    set(at, begin === undefined ? get(scores) : i32.add(get(scores), get(begin))),
    repeatWhile(i32.ltU(i32.sub(get(at), get(scores)), get(end)), [body, advance(at, i32.of(16))]),
  ];
  const upToFour = (n: Code): Code => i32.and(i32.add(n, i32.of(3)), i32.of(-4));
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
    set(from, wordBytes(i32.and(i32.sub(unseen, smaller(unseen, further)), i32.of(-4)))),
    set(at, get(from)),
    hideTo(wordBytes(unseen)),
  ];
  const body = [
    set(seen, block.ragged ? i32.load(statistic, layout.seen) : get(count)),
    set(end, wordBytes(upToFour(reach))),
    set(at, wordBytes(get(seen))),
    hideTo(get(end)),
    begin === undefined ? [] : hideUnseen(begin),
    set(before, f32.load(statistic, layout.largest)),
    // A NaN is not the largest, but its own exponential brings it into the sums.
    set(most, f32x4.splat(get(before))),
    walk(set(most, f32x4.pmax(get(most), v128.load(get(at))))),
    set(largest, maxOfLanes(most)),
    f32.store(statistic, get(largest), layout.largest),
    // Where nothing was seen yet, 0 keeps -Infinity - -Infinity away.
    set(most, f32x4.splat(f32.max(get(largest), f32.of(-FAR)))),
    exponential(f32x4.sub(f32x4.splat(get(before)), get(most)), scale),
    set(weights, f32x4.of(0)),
    walk([
      exponential(f32x4.sub(v128.load(get(at)), get(most)), x),
      v128.store(get(at), get(x)),
      set(weights, f32x4.add(get(weights), get(x))),
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
  const hoisted = hoistConstants(frame, body);
  return [
    hoisted.setup,
    set(scores, inScratch(frame, layout.scores)),
    set(sums, inScratch(frame, layout.sums)),
    set(row, i32.of(0)),
    repeatWhile(i32.ltU(get(row), get(rows)), [
      hoisted.code,
      advance(scores, i32.of(layout.scoresRow)),
      advance(row, i32.of(1)),
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
  const walk = tileWalk(frame, block, tileRegisters(frame, block.layout.tile));
  return [multiplyKeys(frame, block, walk), weighRows(frame, block), multiplyValues(frame, block, walk)];
}
