/**
 * How LLaVA-NeXT (Liu et al. 2024) lays pictures out: each is fitted to one of several resolutions and cut into square tiles,
 * behind an overview of the whole picture in one tile; of the tiles' patches those that show the picture are kept.
 */
import type { ConfigReader } from "../../runtime/abi/config.ts";
import type { PixelSize } from "../../runtime/abi/encoder.ts";

/** Images, tiles or texts of one run; larger batches are split by the session. */
export const MAX_BATCH = 64;

/** Sides in pixels. */
export type Sides = Pick<PixelSize, "height" | "width">;

/** How pictures become tiles and patches. */
export interface TileGeometry {
  /** What pictures are fitted to, sides in whole tiles, in the order that decides between equally good ones. */
  readonly resolutions: readonly Sides[];
  /** Pixels of a square tile. */
  readonly tile: number;
  /** Patches along a tile's side. */
  readonly side: number;
}

/** Of LLaVA-NeXT, where a configuration does not say it. */
const RESOLUTIONS = [
  [336, 672],
  [672, 336],
  [672, 672],
  [1008, 336],
  [336, 1008],
];

/**
 * The field `image_grid_pinpoints`: lists of height and width.
 * @param config the object that `c` reads
 * @throws FoveaError `invalid_config`
 */
export function readResolutions(config: unknown, c: ConfigReader, tile: number): readonly Sides[] {
  const field = "image_grid_pinpoints";
  const given = c.has(field) ? (config as Readonly<Record<string, unknown>>)[field] : RESOLUTIONS;
  const isSide = (v: unknown): boolean =>
    Number.isSafeInteger(v) && (v as number) >= tile && (v as number) % tile === 0;
  const fits = (pair: unknown): pair is readonly [number, number] =>
    Array.isArray(pair) && pair.length === 2 && pair.every(isSide) && (pair[0] / tile) * (pair[1] / tile) < MAX_BATCH;
  if (Array.isArray(given) && given.length > 0 && given.every(fits)) {
    return given.map(([height, width]) => ({ height, width }));
  }
  throw c.error(field, `lists of height and width, whole tiles of ${tile} pixels and fewer than ${MAX_BATCH} of them`);
}

/** The resolution in which most of a picture's pixels are left, and the smallest of those. */
export function bestResolution({ height, width }: Sides, resolutions: readonly Sides[]): Sides {
  let best = { sides: resolutions[0], left: 0, wasted: Number.POSITIVE_INFINITY };
  for (const sides of resolutions) {
    const scale = Math.min(sides.width / width, sides.height / height);
    const left = Math.min(Math.trunc(width * scale) * Math.trunc(height * scale), width * height);
    const wasted = sides.width * sides.height - left;
    if (left > best.left || (left === best.left && wasted < best.wasted)) best = { sides, left, wasted };
  }
  return best.sides;
}

/** Size of a picture inside of its resolution: as large as fits, rounded up. */
export function fittedSize({ height, width }: Sides, within: Sides): Sides {
  const [across, down] = [within.width / width, within.height / height];
  return across < down
    ? { width: within.width, height: Math.min(Math.ceil(height * across), within.height) }
    : { height: within.height, width: Math.min(Math.ceil(width * down), within.width) };
}

/** Tiles of a picture with its overview, which comes first. */
export function pictureTiles({ height, width }: Sides, tile: number): number {
  return (height / tile) * (width / tile) + 1;
}

/** A part of an axis. */
type Span = readonly [from: number, to: number];

/** Whole numbers that lie at most 5e-8 above count as reached: the reference rounds to seven decimals first. */
function wholePatches(value: number): number {
  const below = Math.floor(value);
  return below + 1 - value <= 5e-8 ? below + 1 : below;
}

/** The middle of `all` that holds `shown`; one more where the rest is odd. */
function middle(all: number, shown: number): Span {
  const before = Math.floor((all - shown) / 2);
  return [before, all - before];
}

/** Rows and columns of patches that show the picture, out of those of its tiles together. */
function shownPatches(picture: Sides, { height: rows, width: columns }: Sides): readonly [rows: Span, columns: Span] {
  const { height, width } = picture;
  return width / height > columns / rows
    ? [middle(rows, wholePatches(height * (columns / width))), [0, columns]]
    : [[0, rows], middle(columns, wholePatches(width * (rows / height)))];
}

/** What the projector reads: tokens of tiles by their place among all, and -1 where a row of patches ends. */
export const NEWLINE = -1;

/**
 * Tokens of a picture in the order of the language model: the overview's, then the tiles' together row by row.
 * @param first of the picture's tiles among all; each has a class token before its patches
 */
export function pictureTokens(picture: Sides, within: Sides, first: number, { tile, side }: TileGeometry): number[] {
  const perTile = side * side + 1;
  const token = (of: number, row: number, column: number): number => of * perTile + 1 + row * side + column;
  const across = within.width / tile;
  const tokens = Array.from({ length: side * side }, (_, i) => token(first, Math.floor(i / side), i % side));
  const all = { height: (within.height / tile) * side, width: across * side };
  const [[top, bottom], [left, right]] = shownPatches(picture, all);
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const of = first + 1 + Math.floor(row / side) * across + Math.floor(column / side);
      tokens.push(token(of, row % side, column % side));
    }
    tokens.push(NEWLINE);
  }
  return tokens;
}

/** As many as {@link pictureTokens} gives. */
export function countTokens(picture: Sides, within: Sides, { tile, side }: TileGeometry): number {
  const all = { height: (within.height / tile) * side, width: (within.width / tile) * side };
  const [[top, bottom], [left, right]] = shownPatches(picture, all);
  return side * side + (bottom - top) * (right - left + 1);
}
