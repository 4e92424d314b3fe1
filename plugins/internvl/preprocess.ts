/**
 * InternVL's image processor (GotOcr2ImageProcessor in transformers): an image is stretched onto the grid of square tiles
 * that is nearest to its aspect ratio and cut; images of several tiles end with a thumbnail, the whole image in one tile.
 */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelCut, PixelImage, PixelInput, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { cutBytes } from "../../runtime/core/pixel_cut.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { CLIP_MEAN, CLIP_STD, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { type CutOptions, cutTensors, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "../../runtime/media/resize.ts";

export interface InternVLProcessorConfig {
  /** Pixels of a tile. */
  readonly tile: Size;
  /** False where every image becomes one tile. */
  readonly crops: boolean;
  /** Tiles of a grid; the thumbnail comes on top. */
  readonly minTiles: number;
  readonly maxTiles: number;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly values: ValueSteps;
}

/** Tiles of an image. */
export interface TileGrid {
  readonly rows: number;
  readonly columns: number;
}

const FILE = "preprocessor_config.json";
const DEFAULT_TILE: Size = { height: 384, width: 384 };
const TILES = { min: 1, max: 256 };

/**
 * Reads a parsed `preprocessor_config.json`, or a `processor_config.json` that holds it under `image_processor`. Images are
 * cut into tiles where `crop_to_patches` or the processor's class, InternVLProcessor, says so.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseInternVLProcessor(json: unknown, file: string = FILE): InternVLProcessorConfig {
  const whole = createConfigReader(json, "", file);
  const c = whole.has("image_processor") ? whole.object("image_processor") : whole;
  const { size, filter, arithmetic, values } = parseImageProcessor(
    json,
    {
      size: DEFAULT_TILE,
      plainSize: "square",
      filter: "bicubic",
      mean: CLIP_MEAN,
      std: CLIP_STD,
    },
    file,
  );
  if (size === undefined) throw c.error("do_resize", "true; tiles have one size");
  if ("shortestEdge" in size) throw c.error("size", "{ height, width } of a tile");
  const isWhole = [c, whole].some((own) => own.string("processor_class", "") === "InternVLProcessor");
  const minTiles = c.integer("min_patches", 1, TILES);
  const maxTiles = c.integer("max_patches", 12, TILES);
  if (minTiles > maxTiles) throw c.error("max_patches", `at least min_patches, ${minTiles}`);
  return {
    tile: size,
    crops: isWhole || c.boolean("crop_to_patches", false),
    minTiles,
    maxTiles,
    filter,
    arithmetic: arithmetic as ResizeArithmetic,
    values,
  };
}

/**
 * The grid whose aspect ratio is nearest to the image's. Among equally near ones the larger, unless its tiles have more
 * than twice the image's pixels.
 */
export function bestGrid(image: Size, { tile, minTiles, maxTiles }: InternVLProcessorConfig): TileGrid {
  const grids: TileGrid[] = [];
  for (let columns = 1; columns <= maxTiles; columns++) {
    for (let rows = 1; rows <= maxTiles; rows++) {
      if (rows * columns >= minTiles && rows * columns <= maxTiles) grids.push({ rows, columns });
    }
  }
  grids.sort((a, b) => a.rows * a.columns - b.rows * b.columns);
  const ratio = image.width / image.height;
  let best: TileGrid = { rows: 1, columns: 1 };
  let least = Number.POSITIVE_INFINITY;
  for (const grid of grids) {
    const { rows, columns } = grid;
    const off = Math.abs(ratio - columns / rows);
    const fills = image.width * image.height > 0.5 * tile.height * tile.width * rows * columns;
    if (off < least || (off === least && fills)) best = grid;
    least = Math.min(least, off);
  }
  return best;
}

/** Where an image's tiles come from, row by row, then its thumbnail; the samples of each lie as planes. */
function cutsOf(grid: TileGrid, config: InternVLProcessorConfig): readonly CutOptions[] {
  const { tile, filter, arithmetic } = config;
  const { height, width } = tile;
  const { rows, columns } = grid;
  // A square tile is a patch, so that one pass over the image makes all of them.
  const layout = height === width ? { patch: width } : {};
  const whole = { size: { height, width }, filter, arithmetic, layout };
  if (rows * columns === 1) return [whole];
  const stretched = { size: { height: rows * height, width: columns * width }, filter, arithmetic, layout };
  if (height === width) return [stretched, whole];
  const tiles = Array.from({ length: rows * columns }, (_, i) => {
    const [x, y] = [(i % columns) * width, Math.floor(i / columns) * height];
    return { ...stretched, region: { x, y, width, height } };
  });
  return [...tiles, whole];
}

/** How images fill their tiles, and the tiles of each. */
interface TilePlan extends PixelInput<"pixel_values"> {
  readonly tensors: { readonly num_patches: Tensor };
}

/**
 * The model's inputs before they are normalised, by the images' sizes.
 * @returns `pixel_values` u8 [tiles, 3, height, width], image by image; `num_patches` i32 [images], the tiles of each
 * @throws FoveaError `image.empty_batch`
 */
export function internVLPlan(images: readonly Size[], config: InternVLProcessorConfig): TilePlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { tile, crops } = config;
  const size = 3 * tile.height * tile.width;
  const cuts: PixelCut[] = [];
  const counts = new Int32Array(images.length);
  let at = 0;
  for (const [picture, image] of images.entries()) {
    const grid = crops ? bestGrid(image, config) : { rows: 1, columns: 1 };
    for (const options of cutsOf(grid, config)) {
      const cut = { ...pixelCut(image, { ...options, at }), picture };
      cuts.push(cut);
      at += cutBytes(cut);
      counts[picture] += cutBytes(cut) / size;
    }
  }
  return {
    input: "pixel_values",
    shape: [at / size, 3, tile.height, tile.width],
    cuts,
    tensors: { num_patches: { dtype: "i32", shape: [images.length], data: counts } },
  };
}

/** The same normalised, as Hugging Face's GotOcr2ImageProcessor computes them. */
export function internVLValues(images: readonly PixelImage[], config: InternVLProcessorConfig): Tensors {
  const { pixel_values: bytes, num_patches } = cutTensors(images, internVLPlan(images, config));
  const { shape } = bytes;
  const data = new Float32Array(bytes.data.length);
  writeValues(bytes.data, shape[2] * shape[3], valueTable(config.values), data);
  return { pixel_values: { dtype: "f32", shape, data }, num_patches };
}

/**
 * InternVL's image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link parseInternVLProcessor}; the functions it returns as {@link internVLPlan}
 */
export function internVLImageProcessor(config: unknown, file?: string): PixelProcessor {
  const parsed = parseInternVLProcessor(config, file);
  return {
    steps: parsed.values,
    values: (images) => internVLValues(images, parsed),
    bytes: (images) => cutTensors(images, internVLPlan(images, parsed)),
    plan: (sizes) => ({ ...internVLPlan(sizes, parsed) }),
  };
}
