/**
 * The image processor of Idefics3 and SmolVLM: a picture is enlarged or shrunk to a longest edge, stretched to whole square
 * tiles and cut; pictures of several tiles end with the whole picture in one. Each resize rounds its samples to 8 bits.
 */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelCut, PixelImage, PixelInput, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { cutBytes, type PictureSize } from "../../runtime/core/pixel_cut.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { HALF, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { cutTensors, pictureResize, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "../../runtime/media/resize.ts";

export interface Idefics3ProcessorConfig {
  /** First size of a picture: pixels of its longest edge, or both sides; absent where it stays as it is. */
  readonly size?: number | Size;
  /** Pixels of a square tile. */
  readonly tile: number;
  /** False where every picture becomes one tile. */
  readonly splits: boolean;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly values: ValueSteps;
}

const FILE = "preprocessor_config.json";
const DEFAULT_TILE = 364;
const DEFAULT_EDGE = 4 * DEFAULT_TILE;
/** Longest edge of a resized picture, whatever the configuration says. */
export const LONGEST_EDGE = 4096;
const SIDE = { min: 1, max: 8192 };

/** `{ longest_edge }`, or nothing for a size of another kind. */
function longestEdge(c: ConfigReader, json: unknown, field: string, fallback: number): number | undefined {
  if (!c.has(field)) return fallback;
  const value = (json as Readonly<Record<string, unknown>>)[field];
  if (typeof value !== "object" || Array.isArray(value)) return undefined;
  const own = c.object(field);
  return own.has("longest_edge") ? own.integer("longest_edge", undefined, SIDE) : undefined;
}

/**
 * Reads a parsed `preprocessor_config.json`, or a `processor_config.json` that holds it under `image_processor`.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseIdefics3Processor(json: unknown, file: string = FILE): Idefics3ProcessorConfig {
  const whole = createConfigReader(json, "", file);
  const nested = whole.has("image_processor");
  const c = nested ? whole.object("image_processor") : whole;
  const config = (nested ? (json as { readonly image_processor: object }).image_processor : json) as object;
  const edge = longestEdge(c, config, "size", DEFAULT_EDGE);
  const { size, filter, arithmetic, values, cropSize } = parseImageProcessor(
    // Sizes with a longest edge are this class' own.
    edge === undefined ? config : { ...config, size: undefined },
    { size: { height: 1, width: 1 }, plainSize: "square", filter: "lanczos", mean: HALF, std: HALF },
    file,
  );
  if (cropSize !== undefined) throw c.error("do_center_crop", "false; this model takes whole pictures");
  if (size !== undefined && "shortestEdge" in size) throw c.error("size", "{ longest_edge } or { height, width }");
  const tile = longestEdge(c, config, "max_image_size", DEFAULT_TILE);
  if (tile === undefined) throw c.error("max_image_size", "{ longest_edge } of a square tile");
  return {
    ...(size === undefined ? {} : { size: edge ?? size }),
    tile,
    splits: c.boolean("do_image_splitting", true),
    filter,
    arithmetic: arithmetic === "pillow" ? "pillow" : "torchvision",
    values,
  };
}

/** Sides by their length. */
interface Sides {
  readonly long: number;
  readonly short: number;
}

/** A picture's sides scaled so that `long` is the longer one; the roundings are the reference's. */
function scaled({ height, width }: Size, long: number): Sides {
  const aspect = width / height;
  return { long, short: Math.trunc(width >= height ? long / aspect : long * aspect) };
}

const sizeOf = ({ height, width }: Size, { long, short }: Sides): Size =>
  width >= height ? { height: short, width: long } : { height: long, width: short };

/** A picture's size with its longer side at `edge`: the shorter one is even, and no side above the limit. */
export function edgeSize(image: Size, edge: number): Size {
  const { long, short } = scaled(image, edge);
  const even = sizeOf(image, { long, short: Math.max(short + (short % 2), 1) });
  if (long <= LONGEST_EDGE) return even;
  const bounded = scaled(even, LONGEST_EDGE);
  return sizeOf(even, { ...bounded, short: Math.max(bounded.short, 1) });
}

/** The whole tiles that a picture is stretched to, in pixels. */
export function tiledSize(image: Size, tile: number): Size {
  const whole = (side: number): number => Math.ceil(side / tile) * tile;
  const { long, short } = scaled(image, whole(Math.max(image.height, image.width)));
  return sizeOf(image, { long, short: whole(short) });
}

/** How pictures fill their tiles, and the rows and columns of each. */
interface TilePlan extends PixelInput<"pixel_values"> {
  readonly tensors: { readonly rows: Tensor; readonly cols: Tensor };
}

/** What is cut out of one picture, and the rows and columns of its tiles. */
interface PictureTiles {
  readonly cuts: readonly PixelCut[];
  readonly rows: number;
  readonly cols: number;
}

/** All tiles of a picture row by row, then the whole picture where there are several; the samples of each lie as planes. */
function tilesOf(image: PictureSize, config: Idefics3ProcessorConfig, at: number): PictureTiles {
  const { size, tile, splits, filter, arithmetic } = config;
  const square = { height: tile, width: tile };
  // A tile is a patch, so that one pass over the picture makes all of them.
  const options = { filter, arithmetic, layout: { patch: tile } };
  const { height, width } = image;
  const first = size === undefined ? { height, width } : typeof size === "number" ? edgeSize(image, size) : size;
  const stretched = splits ? tiledSize(first, tile) : square;
  const before = pictureResize(image, first, options);
  const tiles = pixelCut(image, { ...options, size: stretched, of: before, at });
  const [rows, cols] = [stretched.height / tile, stretched.width / tile];
  if (rows * cols === 1) return { cuts: [tiles], rows: 0, cols: 0 };
  const whole = pictureResize(image, stretched, { ...options, of: before });
  const last = pixelCut(image, { ...options, size: square, of: whole, at: at + cutBytes(tiles) });
  return { cuts: [tiles, last], rows, cols };
}

/**
 * The model's inputs before they are normalised, by the pictures' sizes.
 * @returns `pixel_values` u8 [tiles, 3, tile, tile], picture by picture, tiles row by row, then the whole picture; `rows` and
 * `cols` i32 [pictures], 0 where the whole picture is the only tile: it has `rows * cols + 1` of them
 * @throws FoveaError `image.empty_batch`
 */
export function idefics3Plan(images: readonly PictureSize[], config: Idefics3ProcessorConfig): TilePlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { tile } = config;
  const cuts: PixelCut[] = [];
  const rows = new Int32Array(images.length);
  const cols = new Int32Array(images.length);
  let at = 0;
  for (const [picture, image] of images.entries()) {
    const own = tilesOf(image, config, at);
    [rows[picture], cols[picture]] = [own.rows, own.cols];
    for (const cut of own.cuts) {
      cuts.push({ ...cut, picture });
      at += cutBytes(cut);
    }
  }
  const counts = (data: Int32Array): Tensor => ({ dtype: "i32", shape: [images.length], data });
  return {
    input: "pixel_values",
    shape: [at / (3 * tile * tile), 3, tile, tile],
    cuts,
    tensors: { rows: counts(rows), cols: counts(cols) },
  };
}

/** The same normalised, as Hugging Face's Idefics3ImageProcessor and SmolVLMImageProcessor compute them. */
export function idefics3Values(images: readonly PixelImage[], config: Idefics3ProcessorConfig): Tensors {
  const { pixel_values: bytes, rows, cols } = cutTensors(images, idefics3Plan(images, config));
  const data = new Float32Array(bytes.data.length);
  writeValues(bytes.data, config.tile * config.tile, valueTable(config.values), data);
  return { pixel_values: { dtype: "f32", shape: bytes.shape, data }, rows, cols };
}

/**
 * The image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link parseIdefics3Processor}; the functions it returns as {@link idefics3Plan}
 */
export function idefics3ImageProcessor(config: unknown, file?: string): PixelProcessor {
  const parsed = parseIdefics3Processor(config, file);
  return {
    steps: parsed.values,
    values: (images) => idefics3Values(images, parsed),
    bytes: (images) => cutTensors(images, idefics3Plan(images, parsed)),
    plan: (sizes) => ({ ...idefics3Plan(sizes, parsed) }),
  };
}
