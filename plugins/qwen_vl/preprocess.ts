/**
 * The image processor of Qwen2-VL and its successors: an image keeps its aspect ratio as far as whole merge blocks allow,
 * between a smallest and a largest number of pixels, and is cut into patches.
 */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelCut, PixelImage, PixelInput, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { CLIP_MEAN, CLIP_STD, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { cutTensors, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "../../runtime/media/resize.ts";
import { type Grid, gridPatches } from "./geometry.ts";

/** Pixels after a resize. */
export interface PixelBounds {
  readonly minPixels: number;
  readonly maxPixels: number;
}

export interface QwenProcessorConfig extends PixelBounds {
  /** False where images come with whole merge blocks already. */
  readonly resizes: boolean;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly values: ValueSteps;
  readonly patchSize: number;
  /** A still image fills all frames of its patches. */
  readonly temporalPatchSize: number;
  readonly mergeSize: number;
}

const FILE = "preprocessor_config.json";
const CHANNELS = 3;
/** Longest side over shortest that the reference takes. */
const MAX_RATIO = 200;
const DEFAULT_PIXELS: PixelBounds = { minPixels: 56 * 56, maxPixels: 28 * 28 * 1280 };
const PIXELS = { min: 1, max: 1 << 26 };

/**
 * `min_pixels` and `max_pixels` of older files win over `size`, which then need not say the same, as in the reference.
 * @param older false where the class knows `size` alone
 */
export function readPixels(c: ConfigReader, defaults: PixelBounds, older = true): PixelBounds {
  const size = c.has("size") ? c.object("size") : undefined;
  const read = (old: string, edge: string, fallback: number): number => {
    if (older && c.has(old)) return c.integer(old, undefined, PIXELS);
    return size === undefined ? fallback : size.integer(edge, undefined, PIXELS);
  };
  const minPixels = read("min_pixels", "shortest_edge", defaults.minPixels);
  const maxPixels = read("max_pixels", "longest_edge", defaults.maxPixels);
  if (minPixels > maxPixels) {
    const field = size === undefined || (older && c.has("max_pixels")) ? "max_pixels" : "size";
    throw c.error(field, `at least as many pixels as the smallest image has, ${minPixels}`);
  }
  return { minPixels, maxPixels };
}

/**
 * Reads a parsed `preprocessor_config.json` in old (`min_pixels`, `max_pixels`) and new (`size.shortest_edge`,
 * `size.longest_edge`, in pixels of area all the same) spellings, or a `processor_config.json` that holds it under
 * `image_processor`.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseQwenProcessor(json: unknown, file: string = FILE): QwenProcessorConfig {
  const whole = createConfigReader(json, "", file);
  const nested = whole.has("image_processor");
  const reader = nested ? whole.object("image_processor") : whole;
  const config = (nested ? (json as Record<string, unknown>).image_processor : json) as Record<string, unknown>;
  const { size, filter, arithmetic, values } = parseImageProcessor(
    // Sizes follow from the image's own and the numbers of pixels.
    { ...config, size: undefined },
    { size: { height: 1, width: 1 }, plainSize: "square", filter: "bicubic", mean: CLIP_MEAN, std: CLIP_STD },
    file,
  );
  return {
    resizes: size !== undefined,
    ...readPixels(reader, DEFAULT_PIXELS),
    filter,
    arithmetic: arithmetic as ResizeArithmetic,
    values,
    patchSize: reader.integer("patch_size", 14, { min: 1, max: 1024 }),
    temporalPatchSize: reader.integer("temporal_patch_size", 2, { min: 1, max: 16 }),
    mergeSize: reader.integer("merge_size", 2, { min: 1, max: 16 }),
  };
}

/** Half goes to the even neighbour, as in Python. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}

/** @throws FoveaError `image.shape` */
export function checkRatio({ height, width }: Size): void {
  if (Math.max(height, width) / Math.min(height, width) <= MAX_RATIO) return;
  throw new FoveaError(
    "image.shape",
    `An image of ${width}x${height} pixels is more than ${MAX_RATIO} times as long as wide, which this processor does not take; crop it first.`,
  );
}

/**
 * The size of whole blocks of `factor` pixels nearest to an image's own, made smaller or larger with its aspect ratio where
 * it has more than `maxPixels` or fewer than `minPixels`.
 * @throws FoveaError `image.shape` for images more than 200 times as long as wide
 */
export function smartSize(image: Size, factor: number, { minPixels, maxPixels }: PixelBounds): Size {
  const { height, width } = image;
  checkRatio(image);
  const fit = (scaled: (side: number) => number): Size => ({
    height: scaled(height) * factor,
    width: scaled(width) * factor,
  });
  const nearest = fit((side) => roundHalfEven(side / factor));
  const pixels = nearest.height * nearest.width;
  if (pixels > maxPixels) {
    const beta = Math.sqrt((height * width) / maxPixels);
    return fit((side) => Math.max(1, Math.floor(side / beta / factor)));
  }
  if (pixels < minPixels) {
    const beta = Math.sqrt(minPixels / (height * width));
    return fit((side) => Math.ceil((side * beta) / factor));
  }
  return nearest;
}

/**
 * Most pixels that {@link smartSize} gives: beyond `maxPixels` where the shorter side is one block already, or where rounding
 * up to `minPixels` adds a block to each side.
 */
export function mostPixels({ minPixels, maxPixels }: PixelBounds, factor: number): number {
  const ratio = Math.sqrt(MAX_RATIO);
  const roundedUp = minPixels + factor * Math.sqrt(minPixels) * (ratio + 1 / ratio) + factor * factor;
  return Math.max(maxPixels, factor * ratio * Math.sqrt(maxPixels), roundedUp);
}

/** Most pixels of an image that the processor takes, or makes. */
export function mostImagePixels(config: QwenProcessorConfig): number {
  return config.resizes ? mostPixels(config, config.patchSize * config.mergeSize) : PIXELS.max;
}

/** The size of an image that is taken as it is. @throws FoveaError `image.shape` */
function sizeAsGiven({ width, height }: Size, name: string, factor: number): Size {
  if (width % factor === 0 && height % factor === 0) return { width, height };
  throw new FoveaError(
    "image.shape",
    `${name} is ${width}x${height} pixels; without do_resize its sides must be multiples of ${factor}. Resize it, or set do_resize in ${FILE}.`,
  );
}

/** How images fill their patches, and their grids. */
interface QwenPlan extends PixelInput<"pixel_values"> {
  readonly tensors: { readonly image_grid_thw: Tensor };
}

/**
 * The tower's inputs before they are normalised, with one frame in each patch, by the images' sizes: patches in the order of
 * merge blocks, each with its channels one after another.
 * @returns `pixel_values` u8 [patches of all images, 3 * patch_size ^ 2], `image_grid_thw` i32 [images, 3]
 * @throws FoveaError `image.empty_batch`, `image.shape`
 */
export function qwenPlan(images: readonly Size[], config: QwenProcessorConfig): QwenPlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { patchSize, mergeSize, filter, arithmetic } = config;
  const factor = patchSize * mergeSize;
  const width = CHANNELS * patchSize * patchSize;
  const sizes = images.map((image, i) =>
    config.resizes
      ? smartSize(image, factor, config)
      : sizeAsGiven(image, images.length === 1 ? "The image" : `Image ${i}`, factor),
  );
  const grids = sizes.map((s): Grid => ({ frames: 1, rows: s.height / patchSize, columns: s.width / patchSize }));
  const layout = { patch: patchSize, merge: mergeSize };
  let patches = 0;
  const cuts = images.map((image, i): PixelCut => {
    const cut = pixelCut(image, { size: sizes[i], filter, arithmetic, layout, at: patches * width });
    patches += gridPatches(grids[i]);
    return cut;
  });
  const thw = Int32Array.from(grids.flatMap((g) => [g.frames, g.rows, g.columns]));
  return {
    input: "pixel_values",
    shape: [patches, width],
    cuts,
    tensors: { image_grid_thw: { dtype: "i32", shape: [images.length, 3], data: thw } },
  };
}

/**
 * Patches that span frames out of the patches of each frame: in a channel the frames one after another.
 * @param frames the last one stands for those that lack
 * @param size samples of a channel of a patch
 * @param span frames of a patch
 */
export function joinFrames<T extends Uint8Array | Float32Array>(
  frames: readonly T[],
  size: number,
  span: number,
  out: T,
): void {
  const own = Array.from({ length: span }, (_, t) => frames[Math.min(t, frames.length - 1)]);
  for (let from = 0, to = 0; from < frames[0].length; from += size) {
    for (const frame of own) {
      out.set(frame.subarray(from, from + size), to);
      to += size;
    }
  }
}

/**
 * The same normalised, as Hugging Face's Qwen2VLImageProcessor computes them.
 * @returns `pixel_values` f32 [patches of all images, 3 * temporal_patch_size * patch_size ^ 2], in a channel equal frames
 * one after another; `image_grid_thw`
 * @throws FoveaError as {@link qwenPlan}
 */
export function qwenValues(images: readonly PixelImage[], config: QwenProcessorConfig): Tensors {
  const { patchSize, temporalPatchSize: frames } = config;
  const { pixel_values: bytes, image_grid_thw } = cutTensors(images, qwenPlan(images, config));
  const [patches, width] = bytes.shape;
  const still = new Float32Array(bytes.data.length);
  const frame = patchSize * patchSize;
  writeValues(bytes.data, frame, valueTable(config.values), still);
  const data = new Float32Array(still.length * frames);
  joinFrames([still], frame, frames, data);
  return { pixel_values: { dtype: "f32", shape: [patches, width * frames], data }, image_grid_thw };
}

/**
 * The image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link parseQwenProcessor}; the functions it returns as {@link qwenPlan}
 */
export function qwenImageProcessor(config: unknown, file?: string): PixelProcessor {
  const parsed = parseQwenProcessor(config, file);
  return {
    steps: parsed.values,
    values: (images) => qwenValues(images, parsed),
    bytes: (images) => cutTensors(images, qwenPlan(images, parsed)),
    plan: (sizes) => ({ ...qwenPlan(sizes, parsed) }),
  };
}
