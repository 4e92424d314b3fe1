/** CLIP's image processor: shortest edge, centre crop, rescale, normalise, as `preprocessor_config.json` states them. */
import type { PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import {
  centerCropRegion,
  padImage,
  type Size,
  shortestEdgeSize,
  type ValueSteps,
  valueTable,
  writePlanes,
} from "../../runtime/media/pixels.ts";
import { cropImage, type ResizeArithmetic, type ResizeFilter, resizeImage } from "../../runtime/media/resize.ts";

/** What is done to an image, in this order; an undefined step is left out. */
export interface ClipProcessorConfig {
  /** Target of the resize: an edge that keeps the aspect ratio, or an exact size. */
  readonly size: { readonly shortestEdge: number } | Size | undefined;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly cropSize: Size | undefined;
  readonly values: ValueSteps;
}

type Json = Readonly<Record<string, unknown>>;

const CLIP_MEAN: readonly number[] = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: readonly number[] = [0.26862954, 0.26130258, 0.27577711];
const CLIP_EDGE = 224;
/** Largest output side, so that a wrong config cannot ask for gigabytes. */
const MAX_SIDE = 8192;
/** Largest resized image where no crop follows. */
const MAX_PIXELS = 1 << 26;

/** Pillow's numbers for its filters. */
const RESAMPLE: Readonly<Record<number, ResizeFilter>> = {
  0: "nearest",
  1: "lanczos",
  2: "bilinear",
  3: "bicubic",
  4: "box",
  5: "hamming",
};

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function fieldError(field: string, found: unknown, expected: string): FoveaError {
  const text = found === undefined ? "nothing" : JSON.stringify(found);
  return new FoveaError(
    "invalid_config",
    `preprocessor_config.json: the field \`${field}\` holds ${text}; expected ${expected}.`,
  );
}

/** An absent field and `null` both mean the default. */
function present(config: Json, field: string): boolean {
  return config[field] !== undefined && config[field] !== null;
}

function flag(config: Json, field: string): boolean {
  if (!present(config, field)) return true;
  const value = config[field];
  if (typeof value !== "boolean") throw fieldError(field, value, "true or false");
  return value;
}

function side(field: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > MAX_SIDE) {
    throw fieldError(field, value, `a whole number of pixels from 1 to ${MAX_SIDE}`);
  }
  return value;
}

function sizeOf(field: string, value: Json): Size {
  return { height: side(`${field}.height`, value.height), width: side(`${field}.width`, value.width) };
}

function parseSize(config: Json): { readonly shortestEdge: number } | Size {
  if (!present(config, "size")) return { shortestEdge: CLIP_EDGE };
  const value = config.size;
  if (typeof value === "number") return { shortestEdge: side("size", value) };
  if (isRecord(value) && value.longest_edge === undefined) {
    if (value.shortest_edge !== undefined) return { shortestEdge: side("size.shortest_edge", value.shortest_edge) };
    if (value.height !== undefined || value.width !== undefined) return sizeOf("size", value);
  }
  throw fieldError("size", value, "a number, { shortest_edge } or { height, width }");
}

function parseCrop(config: Json): Size {
  if (!present(config, "crop_size")) return { height: CLIP_EDGE, width: CLIP_EDGE };
  const value = config.crop_size;
  if (typeof value === "number") {
    const edge = side("crop_size", value);
    return { height: edge, width: edge };
  }
  if (isRecord(value)) return sizeOf("crop_size", value);
  throw fieldError("crop_size", value, "a number or { height, width }");
}

function parseFilter(config: Json): ResizeFilter {
  if (!present(config, "resample")) return "bicubic";
  const value = config.resample;
  const filter = typeof value === "number" ? RESAMPLE[value] : undefined;
  if (filter === undefined) {
    throw fieldError("resample", value, "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)");
  }
  return filter;
}

function channels(config: Json, field: string, fallback: readonly number[], positive: boolean): readonly number[] {
  if (!present(config, field)) return fallback;
  const value = config[field];
  const fits = (x: unknown): boolean => typeof x === "number" && Number.isFinite(x) && (!positive || x > 0);
  if (!Array.isArray(value) || value.length !== 3 || !value.every(fits)) {
    throw fieldError(field, value, `a list of 3 ${positive ? "positive " : ""}numbers`);
  }
  return value as number[];
}

function parseValues(config: Json): ValueSteps {
  const rescale = flag(config, "do_rescale");
  const normalize = flag(config, "do_normalize");
  let rescaleFactor = 1 / 255;
  if (present(config, "rescale_factor")) {
    const value = config.rescale_factor;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw fieldError("rescale_factor", value, "a positive number");
    }
    rescaleFactor = value;
  }
  const mean = channels(config, "image_mean", CLIP_MEAN, false);
  const std = channels(config, "image_std", CLIP_STD, true);
  return { ...(rescale ? { rescaleFactor } : {}), ...(normalize ? { mean, std } : {}) };
}

/**
 * Reads a parsed `preprocessor_config.json` in old (`size: 224`) and new (`size: { shortest_edge: 224 }`) spellings, or a
 * `processor_config.json` that holds it under `image_processor`. Absent fields take CLIP's defaults.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseClipProcessor(json: unknown): ClipProcessorConfig {
  if (!isRecord(json)) {
    throw new FoveaError("invalid_config", "preprocessor_config.json is not a JSON object.");
  }
  const config = isRecord(json.image_processor) ? json.image_processor : json;
  flag(config, "do_convert_rgb");
  const type = config.image_processor_type ?? config.feature_extractor_type;
  return {
    size: flag(config, "do_resize") ? parseSize(config) : undefined,
    filter: parseFilter(config),
    // Only processors named so still resize with Pillow; the others use torchvision.
    arithmetic: typeof type === "string" && type.endsWith("Pil") ? "pillow" : "torchvision",
    cropSize: flag(config, "do_center_crop") ? parseCrop(config) : undefined,
    values: parseValues(config),
  };
}

/** Resize and crop in one: only the pixels that the crop shows are computed. */
function resizeAndCrop(image: PixelImage, config: ClipProcessorConfig): PixelImage {
  const { size, cropSize, filter, arithmetic } = config;
  const target: Size =
    size === undefined ? image : "shortestEdge" in size ? shortestEdgeSize(image, size.shortestEdge) : size;
  if (cropSize === undefined) {
    if (target.width * target.height > MAX_PIXELS) {
      throw new FoveaError(
        "image.too_large",
        `An image of ${image.width}x${image.height} pixels would be resized to ${target.width}x${target.height}, above the ` +
          `limit of ${MAX_PIXELS} pixels; crop it, or set do_center_crop in preprocessor_config.json.`,
      );
    }
    return size === undefined ? image : resizeImage(image, target.width, target.height, { filter, arithmetic });
  }
  const { source, left, top } = centerCropRegion(target, cropSize);
  const part =
    size === undefined
      ? cropImage(image, source)
      : resizeImage(image, target.width, target.height, { filter, arithmetic, region: source });
  return padImage(part, cropSize, left, top);
}

/**
 * Images to the model's input, as Hugging Face's CLIPImageProcessor computes it.
 * @returns `pixel_values`, float32 planes `[images, 3, height, width]`
 * @throws FoveaError `image.empty_batch`; `image.shape` when, without a crop, the images end with different sizes
 */
export function preprocessImages(images: readonly PixelImage[], config: ClipProcessorConfig): Tensors {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const table = valueTable(config.values);
  let out: Float32Array | undefined;
  let first: PixelImage | undefined;
  for (const [i, image] of images.entries()) {
    const ready = resizeAndCrop(image, config);
    first ??= ready;
    if (ready.width !== first.width || ready.height !== first.height) {
      throw new FoveaError(
        "image.shape",
        `Image ${i} is ${ready.width}x${ready.height} pixels after resizing and image 0 is ${first.width}x${first.height}; ` +
          "a batch needs one size: set do_center_crop, or encode them one by one.",
      );
    }
    const length = 3 * ready.width * ready.height;
    out ??= new Float32Array(images.length * length);
    writePlanes(ready, table, out, i * length);
  }
  const size = first as PixelImage;
  const shape = [images.length, 3, size.height, size.width];
  return { pixel_values: { dtype: "f32", shape, data: out as Float32Array } };
}

/**
 * CLIP's image processor of a parsed `preprocessor_config.json`.
 * @throws FoveaError as {@link parseClipProcessor}; the function it returns as {@link preprocessImages}
 */
export function clipImageProcessor(config: unknown): (images: readonly PixelImage[]) => Tensors {
  const parsed = parseClipProcessor(config);
  return (images) => preprocessImages(images, parsed);
}
