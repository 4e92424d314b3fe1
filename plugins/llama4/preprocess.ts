/**
 * Llama 4's image processor: an image is fitted onto a canvas of square tiles and cut; images of several tiles end with an
 * overview, the whole image in one tile.
 */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { bf16ToNumber, numberToBf16 } from "../../runtime/core/half.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { HALF, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { padImage, type Size, valueTable, writePlanes, writeValues } from "../../runtime/media/pixels.ts";
import { cropImage, type ResizeFilter, resizeImage } from "../../runtime/media/resize.ts";
import { TILES } from "./graphs.ts";
import { imageTiles } from "./plan.ts";

export interface Llama4ProcessorConfig {
  /** Pixels of a square tile. */
  readonly tile: number;
  /** Most tiles of a canvas; the overview comes on top. */
  readonly maxTiles: number;
  /** Small images are enlarged as far as a canvas allows. */
  readonly toMaxCanvas: boolean;
  readonly filter: ResizeFilter;
  readonly values: ValueSteps;
}

/** Tiles of a canvas. */
export interface TileGrid {
  readonly rows: number;
  readonly columns: number;
}

const FILE = "preprocessor_config.json";
const DEFAULT_TILE: Size = { height: 336, width: 336 };

/**
 * Reads a parsed `preprocessor_config.json`, or a `processor_config.json` that holds it under `image_processor`.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseLlama4Processor(json: unknown): Llama4ProcessorConfig {
  const whole = createConfigReader(json, "", FILE);
  const c = whole.has("image_processor") ? whole.object("image_processor") : whole;
  const { size, filter, values } = parseImageProcessor(json, {
    size: DEFAULT_TILE,
    plainSize: "square",
    filter: "bilinear",
    mean: HALF,
    std: HALF,
  });
  if (size === undefined) throw c.error("do_resize", "true; tiles need canvases of whole tiles");
  if ("shortestEdge" in size || size.height !== size.width) {
    throw c.error("size", "{ height, width } of a square tile");
  }
  return {
    tile: size.height,
    maxTiles: c.integer("max_patches", TILES - 1, { min: 1, max: 256 }),
    toMaxCanvas: c.boolean("resize_to_max_canvas", false),
    filter,
    values,
  };
}

/** Every canvas of at most `maxTiles`, grouped by aspect ratio in the reference's order, which decides between equal areas. */
function canvases(maxTiles: number): readonly TileGrid[] {
  const byRatio = new Map<number, TileGrid[]>();
  for (let tiles = maxTiles; tiles >= 1; tiles--) {
    for (let rows = 1; rows <= tiles; rows++) {
      if (tiles % rows !== 0) continue;
      const columns = tiles / rows;
      byRatio.set(rows / columns, [...(byRatio.get(rows / columns) ?? []), { rows, columns }]);
    }
  }
  return [...byRatio.values()].flat();
}

/**
 * The canvas that needs the least enlarging, or the most where the configuration says so; where every canvas is too small,
 * the one that needs the least shrinking. Among equals the smallest.
 */
export function bestCanvas(image: Size, { tile, maxTiles, toMaxCanvas }: Llama4ProcessorConfig): TileGrid {
  // Ties are decided in f32, as the reference decides them.
  const along = (tiles: number, side: number): number => Math.fround((tiles * tile) / side);
  const all = canvases(maxTiles).map((grid) => ({
    ...grid,
    scale: Math.min(along(grid.rows, image.height), along(grid.columns, image.width)),
  }));
  const enlarging = all.filter((c) => c.scale >= 1).map((c) => c.scale);
  const chosen =
    enlarging.length === 0
      ? Math.max(...all.map((c) => c.scale))
      : toMaxCanvas
        ? Math.max(...enlarging)
        : Math.min(...enlarging);
  const fits = all.filter((c) => c.scale === chosen);
  const { rows, columns } = fits.reduce((a, b) => (b.rows * b.columns < a.rows * a.columns ? b : a));
  return { rows, columns };
}

/** Size of an image on its canvas: as large as fits, but a side beyond one tile is not enlarged. */
export function sizeOnCanvas(image: Size, grid: TileGrid, { tile, toMaxCanvas }: Llama4ProcessorConfig): Size {
  const bounded = (side: number, tiles: number): number =>
    toMaxCanvas ? tiles * tile : Math.min(Math.max(side, tile), tiles * tile);
  const most = { height: bounded(image.height, grid.rows), width: bounded(image.width, grid.columns) };
  const scaleX = most.width / image.width;
  const scaleY = most.height / image.height;
  const scaled = (side: number, scale: number, limit: number): number =>
    Math.max(1, Math.min(Math.floor(side * scale), limit));
  return scaleX < scaleY
    ? { width: most.width, height: scaled(image.height, scaleX, most.height) }
    : { height: most.height, width: scaled(image.width, scaleY, most.width) };
}

const bf16 = (value: number): number => bf16ToNumber(numberToBf16(value));

/** As {@link valueTable}, but in bfloat16 with a rounding after every step: so the model was trained. */
function roundedTable(values: ValueSteps): Float32Array {
  const { rescaleFactor: factor, mean, std } = values;
  if (factor === undefined || mean === undefined || std === undefined) return valueTable(values);
  return Float32Array.from({ length: 3 * 256 }, (_, i) => {
    const channel = i >> 8;
    const rescaled = bf16((i & 255) * Math.fround(factor));
    return bf16(bf16(rescaled - bf16(mean[channel])) / bf16(std[channel]));
  });
}

/**
 * Images to the model's inputs, as Hugging Face's Llama4ImageProcessor computes them.
 * @returns `pixel_values` f32 [tiles, 3, tile, tile], image by image, tiles row by row, then the overview; `aspect_ratios`
 * i32 [images, 2], rows and columns of tiles
 * @throws FoveaError `image.empty_batch`
 */
export function llama4Tiles(images: readonly PixelImage[], config: Llama4ProcessorConfig): Tensors {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { tile, filter } = config;
  const grids = images.map((image) => bestCanvas(image, config));
  const tiles = grids.reduce((n, g) => n + imageTiles(g.rows, g.columns), 0);
  const samples = new Uint8Array(tiles * 3 * tile * tile);
  let to = 0;
  const write = (pixels: PixelImage): void => {
    writePlanes(pixels, samples, to);
    to += 3 * tile * tile;
  };
  for (const [i, image] of images.entries()) {
    const grid = grids[i];
    const size = sizeOnCanvas(image, grid, config);
    const resized = resizeImage(image, size.width, size.height, { filter });
    const canvas = padImage(resized, { height: grid.rows * tile, width: grid.columns * tile }, 0, 0);
    for (let row = 0; row < grid.rows; row++) {
      for (let column = 0; column < grid.columns; column++) {
        write(cropImage(canvas, { x: column * tile, y: row * tile, width: tile, height: tile }));
      }
    }
    if (grid.rows * grid.columns > 1) write(resizeImage(image, tile, tile, { filter }));
  }
  const data = new Float32Array(samples.length);
  writeValues(samples, tile * tile, roundedTable(config.values), data);
  return {
    pixel_values: { dtype: "f32", shape: [tiles, 3, tile, tile], data },
    aspect_ratios: {
      dtype: "i32",
      shape: [images.length, 2],
      data: Int32Array.from(grids.flatMap((g) => [g.rows, g.columns])),
    },
  };
}

/**
 * Llama 4's image processor of a parsed `preprocessor_config.json`.
 * Its values are rounded to bfloat16 between the steps, which no weight can take over, so that it makes no bytes.
 * @throws FoveaError as {@link parseLlama4Processor}; the function it returns as {@link llama4Tiles}
 */
export function llama4ImageProcessor(config: unknown): PixelProcessor {
  const parsed = parseLlama4Processor(config);
  return { steps: parsed.values, values: (images) => llama4Tiles(images, parsed) };
}
