/**
 * Llama 4's image processor: an image is fitted onto a canvas of square tiles and cut; images of several tiles end with an
 * overview, the whole image in one tile.
 */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelCut, PixelImage, PixelInput, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { bf16ToNumber, numberToBf16 } from "../../runtime/core/half.ts";
import { cutBytes } from "../../runtime/core/pixel_cut.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { HALF, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { type CutOptions, cutTensors, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeFilter } from "../../runtime/media/resize.ts";
import { TILES } from "./graphs.ts";

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
export function parseLlama4Processor(json: unknown, file: string = FILE): Llama4ProcessorConfig {
  const whole = createConfigReader(json, "", file);
  const c = whole.has("image_processor") ? whole.object("image_processor") : whole;
  const { size, filter, values } = parseImageProcessor(
    json,
    {
      size: DEFAULT_TILE,
      plainSize: "square",
      filter: "bilinear",
      mean: HALF,
      std: HALF,
    },
    file,
  );
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

/** How far one side of an image may grow. */
interface SideLimit {
  /** Pixels of the side at most. */
  readonly most: number;
  /** `most` for each pixel. */
  readonly scale: number;
  /** The reference computes with the scale in f32. */
  readonly single: boolean;
}

/** The reference holds canvases in tensors, so that scales to a canvas's side are f32; those to an image's own side are not. */
function sideLimit(side: number, tiles: number, { tile, toMaxCanvas }: Llama4ProcessorConfig): SideLimit {
  const canvas = tiles * tile;
  const own = Math.max(side, tile);
  const single = toMaxCanvas || canvas < own;
  return single
    ? { most: canvas, scale: Math.fround(canvas / side), single }
    : { most: own, scale: own / side, single };
}

/** Size of an image on its canvas: as large as fits, but a side beyond one tile is not enlarged. */
export function sizeOnCanvas(image: Size, grid: TileGrid, config: Llama4ProcessorConfig): Size {
  const x = sideLimit(image.width, grid.columns, config);
  const y = sideLimit(image.height, grid.rows, config);
  const compared = (value: number): number => (x.single || y.single ? Math.fround(value) : value);
  const scaled = (side: number, { scale, single }: SideLimit, most: number): number => {
    const exact = side * scale;
    return Math.max(1, Math.min(Math.floor(single ? Math.fround(exact) : exact), most));
  };
  return compared(x.scale) < compared(y.scale)
    ? { width: x.most, height: scaled(image.height, x, y.most) }
    : { height: y.most, width: scaled(image.width, y, x.most) };
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

/** How images fill their tiles, and the rows and columns of each. */
interface TilePlan extends PixelInput<"pixel_values"> {
  readonly tensors: { readonly aspect_ratios: Tensor };
}

/**
 * The model's inputs before they are normalised, by the images' sizes.
 * @returns `pixel_values` u8 [tiles, 3, tile, tile], image by image, tiles row by row, then the overview; `aspect_ratios`
 * i32 [images, 2], rows and columns of tiles
 * @throws FoveaError `image.empty_batch`
 */
export function llama4Plan(images: readonly Size[], config: Llama4ProcessorConfig): TilePlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { tile, filter } = config;
  const cuts: PixelCut[] = [];
  const ratios: number[] = [];
  let at = 0;
  for (const [picture, image] of images.entries()) {
    const grid = bestCanvas(image, config);
    ratios.push(grid.rows, grid.columns);
    const add = (options: Pick<CutOptions, "size" | "canvas" | "layout">): void => {
      const cut = pixelCut(image, { ...options, filter, arithmetic: "torchvision", at });
      cuts.push({ ...cut, picture });
      at += cutBytes(cut);
    };
    const canvas = { height: grid.rows * tile, width: grid.columns * tile, left: 0, top: 0 };
    // A tile is a patch, so that one pass over the image makes all of them.
    add({ size: sizeOnCanvas(image, grid, config), canvas, layout: { patch: tile } });
    if (grid.rows * grid.columns > 1) add({ size: { height: tile, width: tile }, layout: { patch: tile } });
  }
  return {
    input: "pixel_values",
    shape: [at / (3 * tile * tile), 3, tile, tile],
    cuts,
    tensors: { aspect_ratios: { dtype: "i32", shape: [images.length, 2], data: Int32Array.from(ratios) } },
  };
}

/** The same normalised, as Hugging Face's Llama4ImageProcessor computes them: with roundings to bfloat16. */
export function llama4Values(images: readonly PixelImage[], config: Llama4ProcessorConfig): Tensors {
  const { pixel_values: bytes, aspect_ratios } = cutTensors(images, llama4Plan(images, config));
  const data = new Float32Array(bytes.data.length);
  writeValues(bytes.data, config.tile * config.tile, roundedTable(config.values), data);
  return { pixel_values: { dtype: "f32", shape: bytes.shape, data }, aspect_ratios };
}

/**
 * Llama 4's image processor of a parsed `preprocessor_config.json`. Bytes are normalised without the roundings to bfloat16.
 * @throws FoveaError as {@link parseLlama4Processor}; the functions it returns as {@link llama4Plan}
 */
export function llama4ImageProcessor(config: unknown, file?: string): PixelProcessor {
  const parsed = parseLlama4Processor(config, file);
  return {
    steps: parsed.values,
    values: (images) => llama4Values(images, parsed),
    bytes: (images) => cutTensors(images, llama4Plan(images, parsed)),
    plan: (sizes) => ({ ...llama4Plan(sizes, parsed) }),
  };
}
