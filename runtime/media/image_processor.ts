/**
 * The image processor of most vision towers: resize, centre crop, rescale, normalise, as `preprocessor_config.json` states
 * them. Families differ in what absent fields mean.
 */
import { FoveaError } from "../core/diagnostics.ts";
import type { Image } from "./image.ts";
import {
  centerCropRegion,
  padImage,
  type Size,
  shortestEdgeSize,
  type ValueSteps,
  valueTable,
  writePlanes,
} from "./pixels.ts";
import { cropImage, type ResizeArithmetic, type ResizeFilter, resizeImage } from "./resize.ts";
import { centerCropPlanes, type Planes, resizePlanes, toPlanes, writeValues } from "./resize_float.ts";

/** Target of a resize: an edge that keeps the aspect ratio, or an exact size. */
export type ResizeTarget = { readonly shortestEdge: number } | Size;

/** What a processor class does where its configuration is silent. */
export interface ImageProcessorDefaults {
  readonly size: ResizeTarget;
  /** What a plain number as `size` means. */
  readonly plainSize: "shortest_edge" | "square";
  readonly filter: ResizeFilter;
  /** True where the class rescales before it resizes, so that samples are not rounded to 8 bits between. */
  readonly resizesFloats?: boolean;
  /** Absent: cropped only when `do_center_crop` says so, and then `crop_size` is required. */
  readonly cropSize?: Size;
  /** By channel, in units of rescaled samples. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What is done to an image, in this order; an undefined step is left out. */
export interface ImageProcessorConfig {
  readonly size: ResizeTarget | undefined;
  readonly filter: ResizeFilter;
  /** `float` does not round samples to 8 bits after the resize. */
  readonly arithmetic: ResizeArithmetic | "float";
  readonly cropSize: Size | undefined;
  readonly values: ValueSteps;
}

/** `pixel_values` planes of a batch, `[images, 3, height, width]`; assignable to a plugin's tensors. */
export interface PixelValues {
  readonly [name: string]: {
    readonly dtype: "f32";
    readonly shape: readonly number[];
    readonly data: Float32Array;
  };
}

/** From decoded images to a model's input. */
export type ProcessImages = (images: readonly Image[]) => PixelValues;

/** Means and deviations that several families share. */
export const CLIP_MEAN: readonly number[] = [0.48145466, 0.4578275, 0.40821073];
export const CLIP_STD: readonly number[] = [0.26862954, 0.26130258, 0.27577711];
export const IMAGENET_MEAN: readonly number[] = [0.485, 0.456, 0.406];
export const IMAGENET_STD: readonly number[] = [0.229, 0.224, 0.225];
/** Samples to -1..1. */
export const HALF: readonly number[] = [0.5, 0.5, 0.5];

type Json = Readonly<Record<string, unknown>>;

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

function flag(config: Json, field: string, fallback = true): boolean {
  if (!present(config, field)) return fallback;
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

function squareOf(edge: number): Size {
  return { height: edge, width: edge };
}

function parseSize(config: Json, defaults: ImageProcessorDefaults): ResizeTarget {
  if (!present(config, "size")) return defaults.size;
  const value = config.size;
  if (typeof value === "number") {
    const edge = side("size", value);
    return defaults.plainSize === "square" ? squareOf(edge) : { shortestEdge: edge };
  }
  if (isRecord(value) && value.longest_edge === undefined) {
    if (value.shortest_edge !== undefined) return { shortestEdge: side("size.shortest_edge", value.shortest_edge) };
    if (value.height !== undefined || value.width !== undefined) return sizeOf("size", value);
  }
  throw fieldError("size", value, "a number, { shortest_edge } or { height, width }");
}

function parseCrop(config: Json, fallback: Size | undefined): Size {
  if (!present(config, "crop_size") && fallback !== undefined) return fallback;
  const value = config.crop_size;
  if (typeof value === "number") return squareOf(side("crop_size", value));
  if (isRecord(value)) return sizeOf("crop_size", value);
  throw fieldError("crop_size", value, "a number or { height, width }");
}

function parseFilter(config: Json, { filter: fallback, resizesFloats }: ImageProcessorDefaults): ResizeFilter {
  if (!present(config, "resample")) return fallback;
  const value = config.resample;
  const filter = typeof value === "number" ? RESAMPLE[value] : undefined;
  if (resizesFloats === true && filter !== "bilinear" && filter !== "bicubic") {
    throw fieldError("resample", value, "2 (bilinear) or 3 (bicubic)");
  }
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

function parseValues(config: Json, defaults: ImageProcessorDefaults): ValueSteps {
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
  const mean = channels(config, "image_mean", defaults.mean, false);
  const std = channels(config, "image_std", defaults.std, true);
  return { ...(rescale ? { rescaleFactor } : {}), ...(normalize ? { mean, std } : {}) };
}

/** Only processors named so still resize with Pillow; the others use torchvision. */
function arithmeticOf(config: Json, { resizesFloats }: ImageProcessorDefaults): ImageProcessorConfig["arithmetic"] {
  if (resizesFloats === true) return "float";
  const type = config.image_processor_type ?? config.feature_extractor_type;
  return typeof type === "string" && type.endsWith("Pil") ? "pillow" : "torchvision";
}

/**
 * Reads a parsed `preprocessor_config.json` in old (`size: 224`) and new (`size: { shortest_edge: 224 }`) spellings, or a
 * `processor_config.json` that holds it under `image_processor`.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseImageProcessor(json: unknown, defaults: ImageProcessorDefaults): ImageProcessorConfig {
  if (!isRecord(json)) {
    throw new FoveaError("invalid_config", "preprocessor_config.json is not a JSON object.");
  }
  const config = isRecord(json.image_processor) ? json.image_processor : json;
  flag(config, "do_convert_rgb");
  const crops = flag(config, "do_center_crop", defaults.cropSize !== undefined);
  return {
    size: flag(config, "do_resize") ? parseSize(config, defaults) : undefined,
    filter: parseFilter(config, defaults),
    arithmetic: arithmeticOf(config, defaults),
    cropSize: crops ? parseCrop(config, defaults.cropSize) : undefined,
    values: parseValues(config, defaults),
  };
}

/** An image after resize and crop, and how its values are written to `[3, height, width]` from an offset. */
interface Ready extends Size {
  readonly write: (out: Float32Array, offset: number) => void;
}

/** Size after the resize. @throws FoveaError `image.too_large` where nothing bounds it */
function resizedSize(image: Image, { size, cropSize, arithmetic }: ImageProcessorConfig): Size {
  if (size === undefined) return image;
  const target = "shortestEdge" in size ? shortestEdgeSize(image, size.shortestEdge) : size;
  // A crop of 8-bit pixels computes only what it shows.
  const bounded = cropSize !== undefined && arithmetic !== "float";
  if (!bounded && target.width * target.height > MAX_PIXELS) {
    throw new FoveaError(
      "image.too_large",
      `An image of ${image.width}x${image.height} pixels would be resized to ${target.width}x${target.height}, above the ` +
        `limit of ${MAX_PIXELS} pixels; crop it, or set do_center_crop in preprocessor_config.json.`,
    );
  }
  return target;
}

/** Resize and crop in one: only the pixels that the crop shows are computed. */
function resizeAndCrop(image: Image, config: ImageProcessorConfig, arithmetic: ResizeArithmetic): Image {
  const { size, cropSize, filter } = config;
  const { width, height } = resizedSize(image, config);
  if (cropSize === undefined) {
    return size === undefined ? image : resizeImage(image, width, height, { filter, arithmetic });
  }
  const { source, left, top } = centerCropRegion({ width, height }, cropSize);
  const part =
    size === undefined
      ? cropImage(image, source)
      : resizeImage(image, width, height, { filter, arithmetic, region: source });
  return padImage(part, cropSize, left, top);
}

/** The same in float: all of the resized image, then the crop of its planes. */
function resizeFloats(image: Image, config: ImageProcessorConfig): Planes {
  const { size, cropSize, filter } = config;
  const target = resizedSize(image, config);
  const planes =
    size === undefined
      ? toPlanes(image)
      : resizePlanes(image, target.width, target.height, filter === "bicubic" ? "bicubic" : "bilinear");
  return cropSize === undefined ? planes : centerCropPlanes(planes, cropSize);
}

function makeReady(config: ImageProcessorConfig): (image: Image) => Ready {
  const { arithmetic, values } = config;
  if (arithmetic === "float") {
    return (image) => {
      const planes = resizeFloats(image, config);
      const { height, width } = planes;
      return { height, width, write: (out, offset) => writeValues(planes, values, out, offset) };
    };
  }
  const table = valueTable(values);
  return (image) => {
    const ready = resizeAndCrop(image, config, arithmetic);
    const { height, width } = ready;
    return { height, width, write: (out, offset) => writePlanes(ready, table, out, offset) };
  };
}

/**
 * Images to `pixel_values`, as Hugging Face's processor of that configuration computes them.
 * @throws FoveaError `image.empty_batch`; `image.shape` when, without a crop, the images end with different sizes;
 * `image.too_large`
 */
export function processImages(images: readonly Image[], config: ImageProcessorConfig): PixelValues {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const ready = makeReady(config);
  const first = ready(images[0]);
  const { height, width } = first;
  const data = new Float32Array(images.length * 3 * height * width);
  for (const [i, image] of images.entries()) {
    const one = i === 0 ? first : ready(image);
    if (one.width !== width || one.height !== height) {
      throw new FoveaError(
        "image.shape",
        `Image ${i} is ${one.width}x${one.height} pixels after resizing and image 0 is ${width}x${height}; ` +
          "a batch needs one size: set do_center_crop, or encode them one by one.",
      );
    }
    one.write(data, i * 3 * height * width);
  }
  return { pixel_values: { dtype: "f32", shape: [images.length, 3, height, width], data } };
}

/**
 * A processor class: from its parsed configuration to the function that processes images.
 * @returns a function that throws as {@link parseImageProcessor}; what it returns as {@link processImages}
 */
export function imageProcessor(defaults: ImageProcessorDefaults): (config: unknown) => ProcessImages {
  return (config) => {
    const parsed = parseImageProcessor(config, defaults);
    return (images) => processImages(images, parsed);
  };
}
