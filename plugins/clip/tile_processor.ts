/** LLaVA-NeXT's image processor: an overview of each picture, and the tiles of the resolution that it is fitted to. */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelCut, PixelInput, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { cutBytes } from "../../runtime/core/pixel_cut.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { type CutOptions, cutTensors, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "../../runtime/media/resize.ts";
import { CLIP_PROCESSOR } from "./preprocess.ts";
import {
  bestResolution,
  countTokens,
  fittedSize,
  readResolutions,
  type Sides,
  type TileGeometry,
} from "./tile_geometry.ts";

export interface TileProcessorConfig {
  /** What pictures are fitted to, sides in whole tiles. */
  readonly resolutions: readonly Sides[];
  /** Pixels of a square tile. */
  readonly tile: number;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly values: ValueSteps;
}

type Json = Readonly<Record<string, unknown>>;

const FILE = "preprocessor_config.json";

/**
 * Reads a parsed `preprocessor_config.json`, or a `processor_config.json` that holds it under `image_processor`.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseTileProcessor(json: unknown, file: string = FILE): TileProcessorConfig {
  const whole = createConfigReader(json, "", file);
  const nested = whole.has("image_processor");
  const c = nested ? whole.object("image_processor") : whole;
  const config = (nested ? (json as Json).image_processor : json) as Json;
  // Tiles have their size already, so that neither step changes one.
  const read = { ...config, do_resize: true, do_center_crop: true };
  const { size, cropSize, filter, arithmetic, values } = parseImageProcessor(read, CLIP_PROCESSOR, file);
  const { height, width } = size !== undefined && "height" in size ? size : squareOf(size?.shortestEdge ?? 0);
  if (height !== width) throw c.error("size", "the side of a square tile");
  if (cropSize?.height !== height || cropSize.width !== height) {
    throw c.error("crop_size", `${height}x${height}, the size of a tile`);
  }
  return {
    resolutions: readResolutions(config, c, height),
    tile: height,
    filter,
    arithmetic: arithmetic === "pillow" ? "pillow" : "torchvision",
    values,
  };
}

const squareOf = (side: number): Size => ({ height: side, width: side });

/** How pictures fill their tiles, their sizes, and how many rows of `projected` each has. */
interface TilePlan extends PixelInput<"pixel_values"> {
  readonly tensors: Tensors;
}

const i32 = (shape: readonly number[], values: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(values),
});

/**
 * The model's inputs before they are normalised, by the pictures' sizes.
 * @param geometry of the model; absent where only the processor is known
 * @returns `pixel_values` u8 [tiles, 3, tile, tile], picture by picture, the overview, then tiles row by row; `image_sizes`
 * i32 [pictures, 2], heights and widths as they were; `feature_lens` i32 [pictures], rows of `projected`
 * @throws FoveaError `image.empty_batch`
 */
export function tilePlan(images: readonly Size[], config: TileProcessorConfig, geometry?: TileGeometry): TilePlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { tile, filter, arithmetic } = config;
  const layout = { patch: tile };
  const within = images.map((image) => bestResolution(image, config.resolutions));
  const cuts: PixelCut[] = [];
  let at = 0;
  for (const [picture, image] of images.entries()) {
    const add = (options: Pick<CutOptions, "size" | "canvas">): void => {
      const cut = pixelCut(image, { ...options, filter, arithmetic, layout, at });
      cuts.push({ ...cut, picture });
      at += cutBytes(cut);
    };
    add({ size: squareOf(tile) });
    const size = fittedSize(image, within[picture]);
    const { height, width } = within[picture];
    const [left, top] = [Math.floor((width - size.width) / 2), Math.floor((height - size.height) / 2)];
    // A tile is a patch, so that one pass over the picture makes all of them.
    add({ size, canvas: { height, width, left, top } });
  }
  const sizes = images.flatMap(({ height, width }) => [height, width]);
  const lens = geometry && images.map((image, i) => countTokens(image, within[i], geometry));
  return {
    input: "pixel_values",
    shape: [at / (3 * tile * tile), 3, tile, tile],
    cuts,
    tensors: {
      image_sizes: i32([images.length, 2], sizes),
      ...(lens === undefined ? {} : { feature_lens: i32([images.length], lens) }),
    },
  };
}

/**
 * LLaVA-NeXT's image processor of a parsed `preprocessor_config.json`.
 * @param geometry of the model, whose resolutions must be the processor's
 * @throws FoveaError as {@link parseTileProcessor}; the functions it returns as {@link tilePlan}
 */
export function tileImageProcessor(config: unknown, file: string = FILE, geometry?: TileGeometry): PixelProcessor {
  const parsed = parseTileProcessor(config, file);
  const listed = (sides: readonly Sides[]): string => JSON.stringify(sides.map(({ height, width }) => [height, width]));
  if (geometry !== undefined && listed(geometry.resolutions) !== listed(parsed.resolutions)) {
    throw new FoveaError(
      "invalid_config",
      `${file}: the field \`image_grid_pinpoints\` is ${listed(parsed.resolutions)} and that of config.json ${listed(geometry.resolutions)}; expected equal ones, since tokens are put together by the latter.`,
    );
  }
  const plan = (sizes: readonly Size[]): TilePlan => tilePlan(sizes, parsed, geometry);
  return {
    steps: parsed.values,
    values: (images) => {
      const { tensors, ...pixels } = plan(images);
      const { pixel_values: bytes } = cutTensors(images, { ...pixels, tensors: {} });
      const data = new Float32Array(bytes.data.length);
      writeValues(bytes.data, parsed.tile * parsed.tile, valueTable(parsed.values), data);
      return { pixel_values: { dtype: "f32", shape: bytes.shape, data }, ...tensors };
    },
    bytes: (images) => ({ ...cutTensors(images, plan(images)) }),
    plan: (sizes) => ({ ...plan(sizes) }),
  };
}
