/**
 * A block of rows of A times several panels of B. A tile's rows are spread for a few steps of K: each number stands four times
 * side by side in scratch, so that all panels read factors as plain vectors from one pointer.
 */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, f32, f32x4, get, i32, type Local, set, v128 } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";
import { widenPairs } from "./half.ts";
import { advance, countDown, inFours, wordBytes } from "./loops.ts";
import { clearSums } from "./matmul_block.ts";
import { forPanels } from "./panels_abreast.ts";
import { gcd, inBlocks, type Size, type SizeValue } from "./size.ts";
import { clearTile, loadTile, multiplyTile, placeRows, storeTile, type TileShape, tileRegisters } from "./tile.ts";
import { type BlockHeights, forTiles, spreadInOrder } from "./tile_rows.ts";

/** Bytes of a tile's spread numbers: with a panel of as many steps they stay in the first-level cache. */
const SPREAD_BYTES = 18432;

/** Spreading a tile costs about what its product with one panel does, so that a few panels would spread for themselves. */
const LEAST_COLUMNS = 96;
const MOST_COLUMNS = 256;

/** Items of a product for threads to share, where panels suffice. */
const ITEMS = 16;

/** Most operations of an item: some milliseconds on slow machines. Items of the least columns may have more rows. */
const ITEM_FLOPS = { usual: 5e7, leastColumns: 1.6e8 };

/** Steps of K that are spread at once. */
const spreadSteps = ({ rows }: Pick<TileShape, "rows">): number => Math.floor(SPREAD_BYTES / (16 * rows));

/** What the panels of a grid item follow from. */
export interface SpreadSizes {
  readonly columns: number;
  readonly n: Size;
  readonly k: Size;
  /** Rows of a block at most. */
  readonly blockRows: number;
  /** Blocks of rows, where they are known, else 1. */
  readonly blocks: number;
}

/** Columns of a grid item at least, in whole panels. */
export const leastColumnsOfSpread = (columns: number): number => Math.ceil(LEAST_COLUMNS / columns) * columns;

/** Rows of a block at most. */
export const mostRowsOfSpread = (columns: number, k: number): number =>
  Math.floor(ITEM_FLOPS.leastColumns / (2 * k * leastColumnsOfSpread(columns)));

/** Panels of a grid item. */
export function panelsOfSpread({ columns, n, k, blockRows, blocks }: SpreadSizes): number {
  const least = leastColumnsOfSpread(columns) / columns;
  if (n === "argument" || k === "argument") return least;
  const panels = Math.ceil(n / columns);
  const most = Math.min(
    MOST_COLUMNS / columns,
    ITEM_FLOPS.usual / (2 * k * blockRows * columns),
    (panels * blocks) / ITEMS,
  );
  const groups = Math.ceil(panels / Math.max(least, Math.floor(most)));
  return Math.ceil(panels / groups);
}

/** Bytes of the steps of a panel that are widened at once. */
export const widenedBytes = (tile: Pick<TileShape, "rows" | "columns">, k: number): number =>
  4 * tile.columns * Math.min(k, spreadSteps(tile));

/** Bytes of the numbers of one tile. */
export const spreadBytes = (tile: Pick<TileShape, "rows">): number => 16 * tile.rows * spreadSteps(tile);

export interface SpreadBlock {
  readonly tile: TileShape;
  /** First element of the block's rows of A. Moves. */
  readonly a: Local;
  /** Elements between rows of A. */
  readonly aRow: SizeValue;
  /** The first panel; panels lie one behind the other. Moves. */
  readonly b: Local;
  /** Panels of the block, at least one. */
  readonly panels: Local;
  /** Bytes between the sums of two panels. */
  readonly sumBytes: number;
  /** Where spread numbers go. */
  readonly spread: Code;
  /** Panels are kept as pairs, and steps of all of them are widened before rows pass; `columns` is then a multiple of 8. */
  readonly half?: PairedPanels;
  readonly k: Size;
  readonly kSteps: SizeValue;
  /** Rows of the block. */
  readonly height: Local;
  readonly heights: BlockHeights;
}

export interface PairedPanels {
  readonly dtype: HalfDType;
  /** Bytes between panels as they are kept. */
  readonly panelBytes: number;
  /** Where {@link widenedBytes} of each panel go. */
  readonly at: Code;
  /** Bytes between them there. */
  readonly widened: number;
}

/** Widens `steps` steps of every panel from `b` on. */
function widenPanels(
  frame: KernelFrame,
  { dtype, panelBytes, at, widened }: PairedPanels,
  { b, panels, tile }: Pick<SpreadBlock, "b" | "panels" | "tile">,
  steps: Local,
): Code {
  const [from, to, source, target, end, left] = frame.locals("i32", 6);
  return [
    set(from, get(b)),
    set(to, at),
    set(left, get(panels)),
    countDown(left, [
      set(source, get(from)),
      set(target, get(to)),
      set(end, i32.add(get(to), i32.mul(get(steps), i32.of(4 * tile.columns)))),
      widenPairs(frame, dtype, source, target, end),
      advance(from, i32.of(panelBytes)),
      advance(to, i32.of(widened)),
    ]),
  ];
}

/** Spreads `left` steps of the rows at `pointers`, which move, as `to` does. */
export function spreadRows(pointers: readonly Local[], to: Local, counter: Local, left: Code): Code {
  const steps = (count: number): Code => [
    pointers.map((pointer, r) =>
      Array.from({ length: count }, (_, s) =>
        v128.store(get(to), f32x4.splat(f32.load(get(pointer), 4 * s)), 16 * (s * pointers.length + r)),
      ),
    ),
    pointers.map((pointer) => advance(pointer, i32.of(4 * count))),
    advance(to, i32.of(16 * pointers.length * count)),
  ];
  return inFours(counter, left, steps(4), steps(1));
}

/** Leaves the sums of every panel in scratch, one panel's behind the other's. Every sum is one chain in ascending K. */
export function multiplySpread(frame: KernelFrame, block: SpreadBlock): Code {
  const { tile, a, aRow, b, panels, sumBytes, k, kSteps, height, heights, half } = block;
  const { rows, columns } = tile;
  const most = spreadSteps(tile);
  const atOnce = k !== "argument" && k <= most;
  const multipleOf = k === "argument" ? 1 : atOnce ? k : gcd(k, most);
  const registers = tileRegisters(frame, tile);
  const [steps, aTile, left, tileSums] = frame.locals("i32", 4);
  const [to, counter, panel, panelsLeft, sums] = frame.locals("i32", 5);
  const [factors, at, end] = frame.locals("i32", 3);
  const pointers = frame.locals("i32", rows);

  /** Between panels, where it is known. */
  const panelBytes = half?.widened ?? (k === "argument" ? undefined : 4 * columns * k);
  const abreast = panelBytes === undefined ? 1 : Number.POSITIVE_INFINITY;
  const widen = half === undefined ? [] : widenPanels(frame, half, block, steps);
  const multiply = (count: number): Code => [
    placeRows(pointers.slice(0, count), get(aTile), aRow.times(4)),
    set(to, get(factors)),
    spreadRows(pointers.slice(0, count), to, counter, get(steps)),
    set(panel, half?.at ?? get(b)),
    set(sums, get(tileSums)),
    set(panelsLeft, get(panels)),
    forPanels(frame, registers, { rows: count, left: panelsLeft, most: abreast }, (own, together) => [
      set(at, get(panel)),
      set(to, get(factors)),
      set(end, i32.add(get(panel), i32.mul(get(steps), i32.of(4 * columns)))),
      atOnce ? clearTile(own, count) : loadTile(own, count, sums, 4 * columns, sumBytes),
      multiplyTile(own, { a: [to], spreadRows: count, b: at, end, multipleOf, panelBytes }),
      storeTile(own, count, sums, 4 * columns, sumBytes),
      advance(panel, panelBytes === undefined ? kSteps.times(4 * columns) : i32.of(together * panelBytes)),
      advance(sums, i32.of(together * sumBytes)),
    ]),
  ];
  const allRows = [
    set(aTile, get(a)),
    set(tileSums, get(frame.scratch)),
    forTiles(
      frame,
      tile,
      { height, left, heights, ...(abreast > 1 ? { order: spreadInOrder(tile) } : {}) },
      (count) => [
        multiply(count),
        advance(aTile, aRow.times(4 * count)),
        advance(tileSums, i32.of(4 * columns * count)),
      ],
    ),
  ];
  const begin = set(factors, block.spread);
  if (atOnce) return [begin, set(steps, kSteps.read), widen, allRows];
  return [
    begin,
    set(sums, get(frame.scratch)),
    set(panelsLeft, get(panels)),
    countDown(panelsLeft, [clearSums(registers, at, left, get(sums), get(height)), advance(sums, i32.of(sumBytes))]),
    inBlocks(frame, { steps, total: kSteps.read, most }, [
      widen,
      allRows,
      advance(a, wordBytes(get(steps))),
      advance(b, i32.mul(get(steps), i32.of((half === undefined ? 4 : 2) * columns))),
    ]),
  ];
}
