/**
 * SigLIP 2's image processor for NaFlex: an image keeps its aspect ratio, as far as whole patches allow, is cut into at
 * most `max_num_patches` patches and padded to that many.
 */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelCut, PixelImage, PixelInput, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError, internal } from "../../runtime/core/diagnostics.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { HALF, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { cutTensors, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "../../runtime/media/resize.ts";
import { MAX_PATCHES } from "./graphs.ts";
import type { Grid } from "./positions.ts";

export interface NaflexProcessorConfig {
  /** False where images come with whole patches already. */
  readonly resizes: boolean;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly values: ValueSteps;
  readonly patchSize: number;
  /** Patches of every image, padding included. */
  readonly maxPatches: number;
}

/** How images fill their patches, which of those are images', and their grids. */
interface NaflexPlan extends PixelInput<"pixel_values"> {
  readonly tensors: {
    readonly pixel_attention_mask: Tensor;
    readonly spatial_shapes: { readonly dtype: "i32"; readonly shape: readonly number[]; readonly data: Int32Array };
  };
}

const FILE = "preprocessor_config.json";
const CHANNELS = 3;

/**
 * Reads a parsed `preprocessor_config.json`, or a `processor_config.json` that holds it under `image_processor`.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseNaflexProcessor(json: unknown, file: string = FILE): NaflexProcessorConfig {
  const whole = createConfigReader(json, "", file);
  const nested = whole.has("image_processor");
  const reader = nested ? whole.object("image_processor") : whole;
  const config = (nested ? (json as Record<string, unknown>).image_processor : json) as Record<string, unknown>;
  const { size, filter, arithmetic, values } = parseImageProcessor(
    // Sizes follow from the number of patches.
    { ...config, size: undefined },
    { size: { height: 1, width: 1 }, plainSize: "square", filter: "bilinear", mean: HALF, std: HALF },
    file,
  );
  if (arithmetic === "float") internal("a processor that does not ask for floats resizes them");
  return {
    resizes: size !== undefined,
    filter,
    arithmetic,
    values,
    patchSize: reader.integer("patch_size", 16, { min: 1, max: 1024 }),
    maxPatches: reader.integer("max_num_patches", 256, { min: 1, max: MAX_PATCHES }),
  };
}

/** Bounds of the search for a scale, and where it ends. */
const LEAST_SCALE = 1e-6;
const LARGEST_SCALE = 100;
const SCALE_STEP = 1e-5;

/**
 * The largest grid with an image's aspect ratio: sides are scaled alike and rounded up to whole patches, and a bisection
 * finds the largest scale whose grid has at most `maxPatches`. The reference's bounds and steps decide ties.
 */
export function naflexGrid(image: Size, patchSize: number, maxPatches: number): Grid {
  const patchesAt = (side: number, scale: number): number => Math.max(1, Math.ceil((side * scale) / patchSize));
  const gridAt = (scale: number): Grid => ({
    rows: patchesAt(image.height, scale),
    columns: patchesAt(image.width, scale),
  });
  let low = LEAST_SCALE;
  let high = LARGEST_SCALE;
  while (high - low >= SCALE_STEP) {
    const middle = (low + high) / 2;
    const { rows, columns } = gridAt(middle);
    if (rows * columns <= maxPatches) low = middle;
    else high = middle;
  }
  return gridAt(low);
}

/** The grid of an image that is taken as it is. @throws FoveaError `image.shape` */
function gridAsGiven(image: Size, name: string, { patchSize, maxPatches }: NaflexProcessorConfig): Grid {
  const grid = { rows: image.height / patchSize, columns: image.width / patchSize };
  if (Number.isInteger(grid.rows) && Number.isInteger(grid.columns) && grid.rows * grid.columns <= maxPatches) {
    return grid;
  }
  throw new FoveaError(
    "image.shape",
    `${name} is ${image.width}x${image.height} pixels; without do_resize its sides must be multiples of ${patchSize} ` +
      `and make at most ${maxPatches} patches. Resize it, or set do_resize in ${FILE}.`,
  );
}

/**
 * The model's inputs before they are normalised, by the images' sizes: patches row by row, each with its pixels row by row
 * and a pixel's channels side by side.
 * @returns `pixel_values` u8 [images, max_num_patches, patch_size ^ 2 * 3], `pixel_attention_mask` i32
 * [images, max_num_patches], `spatial_shapes` i32 [images, 2] (rows, columns)
 * @throws FoveaError `image.empty_batch`, `image.shape`
 */
export function naflexPlan(images: readonly Size[], config: NaflexProcessorConfig): NaflexPlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { patchSize, maxPatches, filter, arithmetic } = config;
  const width = patchSize * patchSize * CHANNELS;
  const mask = new Int32Array(images.length * maxPatches);
  const shapes = new Int32Array(images.length * 2);
  const layout = { patch: patchSize, channelsLast: true };
  const cuts = images.map((image, i): PixelCut => {
    const grid = config.resizes
      ? naflexGrid(image, patchSize, maxPatches)
      : gridAsGiven(image, images.length === 1 ? "The image" : `Image ${i}`, config);
    const { rows, columns } = grid;
    mask.fill(1, i * maxPatches, i * maxPatches + rows * columns);
    shapes.set([rows, columns], i * 2);
    const size = { width: columns * patchSize, height: rows * patchSize };
    return pixelCut(image, { size, filter, arithmetic, layout, at: i * maxPatches * width });
  });
  return {
    input: "pixel_values",
    shape: [images.length, maxPatches, width],
    cuts,
    tensors: {
      pixel_attention_mask: { dtype: "i32", shape: [images.length, maxPatches], data: mask },
      spatial_shapes: { dtype: "i32", shape: [images.length, 2], data: shapes },
    },
  };
}

/** The same normalised, as Hugging Face's Siglip2ImageProcessor computes them; padding is 0 all the same. */
export function naflexValues(images: readonly PixelImage[], config: NaflexProcessorConfig): Tensors {
  const { pixel_values: bytes, pixel_attention_mask, spatial_shapes } = cutTensors(images, naflexPlan(images, config));
  const table = valueTable(config.values);
  const data = new Float32Array(bytes.data.length);
  const size = bytes.data.length / images.length;
  for (let i = 0; i < images.length; i++) {
    const [rows, columns] = spatial_shapes.data.subarray(2 * i);
    const end = i * size + rows * columns * bytes.shape[2];
    writeValues(bytes.data.subarray(i * size, end), 1, table, data.subarray(i * size));
  }
  return { pixel_values: { dtype: "f32", shape: bytes.shape, data }, pixel_attention_mask, spatial_shapes };
}

/**
 * SigLIP 2's image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link parseNaflexProcessor}; the functions it returns as {@link naflexPlan}
 */
export function naflexImageProcessor(config: unknown, file?: string): PixelProcessor {
  const parsed = parseNaflexProcessor(config, file);
  return {
    steps: parsed.values,
    values: (images) => naflexValues(images, parsed),
    bytes: (images) => cutTensors(images, naflexPlan(images, parsed)),
    plan: (sizes) => ({ ...naflexPlan(sizes, parsed) }),
  };
}
