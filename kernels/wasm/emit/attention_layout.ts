/** Where attention keeps a block of queries and a block of keys in private scratch. */
import { type Code, get, i32, type Local } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";
import { wordBytes } from "./loops.ts";
import type { TileShape } from "./tile.ts";

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
  /** Scores, then weights, [queries, keys], or [tile.rows, keys] where they are spread. */
  readonly scores: number;
  readonly scoresRow: number;
  /** The left-hand sides of both products, spread (see attention_spread.ts); nothing where tiles read them from rows. */
  readonly spread?: SpreadPlaces;
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

/** Byte offsets in scratch of numbers that stand four times side by side. */
export interface SpreadPlaces {
  /** Scaled queries, [tiles of queries, head_dim, tile.rows, 4]. */
  readonly query: number;
  readonly queryTile: number;
  /** Weights of one tile of queries, [keys, tile.rows, 4]. */
  readonly weights: number;
  /** Vector constants of the exponential, {@link SPREAD_CONSTANTS} at most. */
  readonly constants: number;
}

/** Vector constants that there is room for. */
export const SPREAD_CONSTANTS = 20;

/** What the layout of scratch follows from. */
export interface ScratchOptions {
  readonly headDim: number;
  readonly madd: boolean;
  /** Steps of a product in one turn of its inner loop; 1 unless given. */
  readonly turn?: number;
  /** Queries and weights are spread. */
  readonly spread?: boolean;
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
  const { headDim, madd, turn, spread = false, windowed, parted, mostKeys = KEYS } = options;
  const { mostQueries = Number.POSITIVE_INFINITY } = options;
  const tile = { rows: madd || spread ? 6 : 4, columns: 8, madd, ...(turn === undefined ? {} : { turn }) };
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
  /** Bytes of a step. */
  const spreadTile = 16 * tile.rows;
  const queryTile = spreadTile * headDim;
  return {
    ...{ tile, headDim, queries, keys, queryRow, sumsRow, scoresRow, keyPanel, valuePanel },
    query: take(queries * queryRow),
    sums: take(queries * sumsRow),
    scores: take((spread ? tile.rows : queries) * scoresRow),
    key: take((keys / tile.columns) * keyPanel),
    value: take((sumsRow / (4 * tile.columns)) * valuePanel),
    largest: take(4 * queries),
    total: take(4 * queries),
    seen: take(4 * (queries + tile.rows)),
    positions: take(4 * (keys + 1)),
    unseen: take(windowed ? 4 * (queries + tile.rows) : 0),
    resume: take(parted ? 4 : 0),
    ...(spread
      ? {
          spread: {
            query: take((queries / tile.rows) * queryTile),
            queryTile,
            weights: take(keys * spreadTile),
            constants: take(16 * SPREAD_CONSTANTS),
          },
        }
      : {}),
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

/** A number of keys by query, such as `layout.seen`, for query `row` + `ahead`. */
export const keysOf = (frame: KernelFrame, numbers: number, row: Local, ahead: number): Code =>
  i32.load(i32.add(get(frame.scratch), wordBytes(get(row))), numbers + 4 * ahead);
