/**
 * How the rows of a block are dealt out to tiles. Low tiles come first: while a block's first tile passes, its panel comes from
 * memory, which takes longer than the products, and the fewer instructions a step has, the further ahead a processor reads.
 */
import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { when, whileLoop } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";
import { advance } from "./loops.ts";
import { BUSY_SUMS, panelsAbreast } from "./panels_abreast.ts";
import { gcd, type SizeHint } from "./size.ts";
import type { TileShape } from "./tile.ts";

/** What is known of the heights of blocks. */
export interface BlockHeights {
  /** All of them, where they are known. */
  readonly exact?: readonly number[];
  readonly most?: number;
  /** Divides each; 1 unless given. */
  readonly multipleOf?: number;
}

type Tile = Pick<TileShape, "rows" | "columns">;

/** Heights of blocks of `blockRows` rows at most, whole tiles of `rows` but the last of them. */
export function blockHeights(size: SizeHint, blockRows: number, rows: number): BlockHeights {
  const { exact, most, multipleOf = 1 } = size;
  if (exact === undefined) return { most: Math.min(most ?? blockRows, blockRows), multipleOf: gcd(multipleOf, rows) };
  const blocks = Math.ceil(exact / blockRows);
  if (blocks === 1) return { exact: [exact] };
  const height = Math.ceil(Math.ceil(exact / blocks) / rows) * rows;
  return { exact: [height, ...(exact > height * (blocks - 1) ? [exact - height * (blocks - 1)] : [])] };
}

/** The heights up to `most` among them. */
export function notAbove(heights: BlockHeights, most: number): BlockHeights {
  const { exact } = heights;
  if (exact === undefined) return { ...heights, most: Math.min(most, heights.most ?? most) };
  return { exact: exact.filter((height) => height <= most) };
}

/** Rows of the lowest tile that keeps multiply-adds busy. */
export const busyRows = ({ rows, columns }: Tile): number => Math.min(rows, Math.ceil(BUSY_SUMS / (columns / 4)));

/** Which rows of a block go first. */
export interface TileOrder {
  /** Rows that go first together, where they are what whole tiles leave behind; else one goes by itself. */
  readonly first: number;
  /** Rows of a block up to which none goes ahead of the others. */
  readonly together: number;
}

/** One panel at a time: fewer rows than keep multiply-adds busy. */
const onePanel = (tile: Tile): TileOrder => ({ first: busyRows(tile) - 1, together: tile.rows });

/** Several panels: rows that take them side by side. */
export const panelsInOrder = (tile: Tile): TileOrder => ({ first: rowsAbreast(tile), together: tile.rows });

/** Several panels of numbers that are spread once for all of them: a few rows by themselves go ahead as well. */
export const spreadInOrder = (tile: Tile): TileOrder => ({ first: rowsAbreast(tile), together: rowsAbreast(tile) });

/** Most rows of a tile that take several panels side by side. */
function rowsAbreast(tile: Tile): number {
  let rows = 0;
  while (rows < tile.rows && panelsAbreast(tile, rows + 1) > 1) rows++;
  return rows;
}

/** Rows of the next low tile where `left` rows are left; 0 where whole tiles remain. */
function lowTile(tile: Tile, left: number, { first, together }: TileOrder, isFirst: boolean): number {
  const rest = left % tile.rows;
  // A row by itself goes ahead of what is left behind whole tiles, unless that is low enough, or ahead of the rest of a tile.
  const goesAhead = left > together && (rest === 0 || rest > first);
  return isFirst && busyRows(tile) < tile.rows && goesAhead ? 1 : rest;
}

/** Low tiles that blocks of such heights may have, by their rows. */
export function lowTiles(
  tile: Tile,
  { exact, most = Number.POSITIVE_INFINITY, multipleOf = 1 }: BlockHeights,
  order: TileOrder = onePanel(tile),
): readonly number[] {
  // Beyond, only more whole tiles follow.
  const several = Math.min(most, 2 * tile.rows);
  const any = Array.from({ length: Math.floor(several / multipleOf) }, (_, i) => (i + 1) * multipleOf);
  const found = new Set<number>();
  for (const height of exact ?? any) {
    let left = height;
    for (let low = lowTile(tile, left, order, true); low > 0; low = lowTile(tile, left, order, false)) {
      found.add(low);
      left -= low;
    }
  }
  return [...found].sort((a, b) => a - b);
}

/** Where tiles of a block are. */
export interface TileWalk {
  /** Rows of the block. */
  readonly height: Local;
  /** Rows that are left, meanwhile. */
  readonly left: Local;
  readonly heights: BlockHeights;
  /** That of one panel at a time unless given. */
  readonly order?: TileOrder;
}

const largestOf = ({ exact, most }: BlockHeights): number | undefined =>
  exact === undefined ? most : Math.max(...exact);

/** Runs `each` for the tiles of a block, in the order of the rows; it moves its pointers by as many rows itself. */
export const forTiles = (frame: KernelFrame, tile: Tile, walk: TileWalk, each: (rows: number) => Code): Code => [
  forLowTiles(frame, tile, walk, each),
  forWholeTiles(tile, walk, each),
];

/** As {@link forTiles}, the whole tiles that low ones leave. */
export function forWholeTiles(
  { rows }: Tile,
  { left, heights }: Pick<TileWalk, "left" | "heights">,
  each: (rows: number) => Code,
): Code {
  const largest = largestOf(heights);
  if (largest !== undefined && largest < rows) return [];
  const whole = [each(rows), advance(left, i32.of(-rows))];
  return largest === rows ? when(get(left), whole) : whileLoop(get(left), whole);
}

/** As {@link forTiles}, the low ones; `left` becomes the rows of the others. */
export function forLowTiles(frame: KernelFrame, tile: Tile, walk: TileWalk, each: (rows: number) => Code): Code {
  const { height, left, heights, order = onePanel(tile) } = walk;
  const { rows } = tile;
  const lows = lowTiles(tile, heights, order);
  if (lows.length === 0) return set(left, get(height));
  const largest = largestOf(heights);
  const [low, rest] = frame.locals("i32", 2);
  const remainder = i32.remU(get(left), i32.of(rows));
  const goesAhead = i32.ltU(i32.of(order.first - 1), i32.sub(get(rest), i32.of(1)));
  const single = i32.and(i32.gtS(get(left), i32.of(order.together)), goesAhead);
  const first =
    busyRows(tile) === rows || (largest !== undefined && largest <= order.together)
      ? set(low, remainder)
      : [set(rest, remainder), set(low, i32.select(single, i32.of(1), get(rest)))];
  return [
    set(left, get(height)),
    first,
    whileLoop(get(low), [
      lows.map((count) => when(i32.eq(get(low), i32.of(count)), each(count))),
      set(left, i32.sub(get(left), get(low))),
      set(low, remainder),
    ]),
  ];
}
