/**
 * How a product is dealt out to workgroups: in which tiles, and whether several share K. Chosen by a model of the time that each
 * way takes, fitted to 388 products on a card of 132 processors (docs/performance.md): what it chooses takes 9 % more than the
 * fastest way at most there, 1 % in the median.
 */
import type { ProductForm } from "../../../runtime/abi/claims/product_form.ts";
import { add, type Box, bounds, type Dim, floorDiv, max, min, mul, sub } from "../../../runtime/core/dim.ts";
import { type GpuTile, matmulGrid, TILES } from "../emit/matmul.ts";

export interface Tiling {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** How a product is dealt out: a launch over whole K, or one of parts of K and one that adds them. */
export interface Deal<T extends Tiling> {
  readonly tile: T;
  /** 1 where a call's size takes this way, else 0. */
  readonly when: Dim;
  readonly grid: Dim;
  readonly split?: {
    /** Steps of K of a part, and parts. */
    readonly chunk: Dim;
    readonly count: Dim;
    /** Of all parts' results. */
    readonly bytes: Dim;
  };
}

/** A product's sizes. */
export type Sizes = Pick<ProductForm, "rows" | "batch"> & { readonly n: Dim; readonly k: Dim };
type Numbers = { readonly [name in keyof Sizes]: number };

/** Processors of a large card. Smaller ones have fewer, which makes tiles smaller than theirs had to be and no more. */
const PROCESSORS = 132;

/**
 * Nanoseconds of a step of K, by tile: for each workgroup of a processor that has several, and at least, since one alone waits
 * for memory and for its own sums.
 */
const PACES = [
  { each: 58, least: 66 },
  { each: 30, least: 47 },
  { each: 19.6, least: 45 },
  { each: 6.9, least: 38 },
] as const;

/** Steps of K that a workgroup's begin and end take as long as. */
const ENDS = 15;

/** What another launch takes, in nanoseconds, and bytes of parts that are written and read in one. */
const LAUNCH = 9800;
const BYTES = 2300;

/** Steps of K of a part, at least. */
const LEAST_CHUNK = 128;

const ceilOf = (a: Dim, b: Dim): Dim => floorDiv(add(a, b, -1), b);

interface Way {
  readonly tile: GpuTile;
  readonly pace: (typeof PACES)[number];
  readonly parts: number;
}

/** Nanoseconds that a way takes. */
function predicted({ tile, pace, parts }: Way, { rows, batch, n, k }: Numbers): number {
  const grid = Math.ceil(rows / tile.rows) * Math.ceil(n / tile.columns) * batch * parts;
  const steps = tile.depth * Math.ceil(k / (parts * tile.depth)) + ENDS;
  const adding = parts === 1 ? 0 : LAUNCH + (8 * parts * batch * rows * n) / BYTES;
  return Math.max(Math.ceil(grid / PROCESSORS) * pace.each, pace.least) * steps + adding;
}

function fastest(sizes: Numbers): Way {
  const most = Math.max(1, Math.floor(sizes.k / LEAST_CHUNK));
  const ways = TILES.flatMap((tile, t) =>
    Array.from({ length: most }, (_, i): Way => ({ tile, pace: PACES[t], parts: i + 1 })),
  );
  return ways.reduce((a, b) => (predicted(b, sizes) < predicted(a, sizes) ? b : a));
}

/** Sizes between the corners of a range: at 0 the least, at 1 the largest. */
function sizesAt(t: number, sizes: Sizes, box: Box): Numbers {
  const at = (d: Dim): number => {
    const { min: least, max: most } = bounds(d, box);
    return Math.round(least + t * (most - least));
  };
  return { rows: at(sizes.rows), batch: at(sizes.batch), n: at(sizes.n), k: at(sizes.k) };
}

/** Places in a range whose fastest ways are looked at: its ends, and an eighth of its length from the first. */
const LOOKED_AT = [0, 1 / 8, 1] as const;

/** Rows of all batches from which `b` is faster than `a`, between two places of a range. */
function turningPoint(a: Way, b: Way, [from, to]: readonly [number, number], sizes: Sizes, box: Box): number {
  let [low, high] = [from, to];
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2;
    const at = sizesAt(middle, sizes, box);
    if (predicted(b, at) < predicted(a, at)) high = middle;
    else low = middle;
  }
  const { rows, batch } = sizesAt(high, sizes, box);
  return rows * batch;
}

/** The ways of a range by the number of rows from which each is taken. */
function waysOf(sizes: Sizes, box: Box): readonly { readonly way: Way; readonly from: number }[] {
  const found: { way: Way; from: number; at: number }[] = [];
  for (const at of LOOKED_AT) {
    const way = fastest(sizesAt(at, sizes, box));
    const before = found[found.length - 1];
    if (before === undefined) found.push({ way, from: 0, at });
    else if (before.way.tile !== way.tile || before.way.parts !== way.parts)
      found.push({ way, from: turningPoint(before.way, way, [before.at, at], sizes, box), at });
    else before.at = at;
  }
  return found.filter(({ from }, i) => from < (found[i + 1]?.from ?? Number.POSITIVE_INFINITY));
}

/**
 * What the model takes for the sizes of a range. Where they differ in what suits them, each way has its launches, and the size
 * of a call gives those of one a grid.
 */
export function tileDeals(sizes: Sizes, box: Box): readonly Deal<GpuTile>[] {
  const { rows, batch, n, k } = sizes;
  const lines = mul(batch, rows);
  const ways = waysOf(sizes, box);
  /** 1 from so many rows on. */
  const reached = (from: number): Dim => (from === 0 ? 1 : min(1, floorDiv(lines, from)));
  return ways.map(({ way: { tile, parts }, from }, i): Deal<GpuTile> => {
    const end = ways[i + 1]?.from;
    const when = end === undefined ? reached(from) : sub(reached(from), reached(end));
    const grid = matmulGrid(rows, n, batch, tile);
    if (parts === 1) return { tile, when, grid };
    const chunk = mul(tile.depth, ceilOf(k, parts * tile.depth));
    const count = ceilOf(k, chunk);
    const most = end === undefined ? lines : min(lines, end);
    return { tile, when, grid: mul(grid, count), split: { chunk, count, bytes: mul(4, when, count, most, n) } };
  });
}

/**
 * The same for a tile of subgroup matrices, of which `atOnce` are computed at a time: the whole of K where there are enough, else
 * parts of it.
 */
export function matrixDeals<T extends Tiling>(tile: T, atOnce: number, sizes: Sizes, box: Box): readonly Deal<T>[] {
  const { rows, batch, n, k } = sizes;
  const grid = matmulGrid(rows, n, batch, tile);
  const { min: least, max: most } = bounds(grid, box);
  // From a third of what is computed at once, thirds or fifths in two turns beat halves in one; from two thirds, the whole does.
  const [third, enough] = [1, 2].map((thirds) => min(1, floorDiv(grid, (thirds * atOnce) / 3 + 1)));
  const when = least > (2 * atOnce) / 3 ? 1 : most <= (2 * atOnce) / 3 ? 0 : enough;
  const parts = floorDiv(add(atOnce, mul(atOnce, third)), max(1, grid));
  const wanted = max(1, min(parts, floorDiv(k, LEAST_CHUNK)));
  const chunk = mul(tile.depth, ceilOf(k, mul(wanted, tile.depth)));
  const count = ceilOf(k, chunk);
  if (bounds(count, box).max === 1) return [{ tile, when: 1, grid }];
  const others = sub(1, when);
  // What a range needs at most is known from the parts that there can be, whatever its sizes.
  const bytes = min(mul(4, others, count, batch, rows, n), 8 * atOnce * tile.rows * tile.columns);
  return [
    { tile, when, grid },
    { tile, when: others, grid: mul(grid, count), split: { chunk, count, bytes } },
  ].filter((deal) => deal.when !== 0);
}
