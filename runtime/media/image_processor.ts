/**
 * The image processor of most vision towers: resize, centre crop, rescale, normalise, as `preprocessor_config.json` states
 * them. Families differ in what absent fields mean.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { cutSize, type PixelCut, type PixelInput } from "../core/pixel_cut.ts";
import type { ValueSteps } from "../core/value_steps.ts";
import type { Image } from "./image.ts";
import { cutTensors, pixelCut } from "./pixel_cut.ts";
import { centerCropRegion, type Size, shortestEdgeSize, valueTable, writeValues } from "./pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "./resize.ts";
import { centerCropPlanes, type Planes, resizePlanes, toPlanes, writeFloatValues } from "./resize_float.ts";

/** Target of a resize: an edge that keeps the aspect ratio, or an exact size. */
export type ResizeTarget = { readonly shortestEdge: number } | Size;

/** What a processor class does where its configuration is silent. */
export interface ImageProcessorDefaults {
  /** Target of the resize where `size` is absent. */
  readonly size: ResizeTarget;
  /** What a plain number as `size` means. */
  readonly plainSize: "shortest_edge" | "square";
  /** Filter of the resize where `resample` is absent. */
  readonly filter: ResizeFilter;
  /** True where the class rescales before it resizes, so that samples are not rounded to 8 bits between. */
  readonly resizesFloats?: boolean;
  /** Absent: cropped only when `do_center_crop` says so, and then `crop_size` is required. */
  readonly cropSize?: Size;
  /** Means by channel, in units of rescaled samples. */
  readonly mean: readonly number[];
  /** Deviations by channel, in units of rescaled samples. */
  readonly std: readonly number[];
}

/** What is done to an image, in this order; an undefined step is left out. */
export interface ImageProcessorConfig {
  /** Target of the resize. */
  readonly size: ResizeTarget | undefined;
  /** Filter of the resize. */
  readonly filter: ResizeFilter;
  /** `float` does not round samples to 8 bits after the resize. */
  readonly arithmetic: ResizeArithmetic | "float";
  /** Sides of the centre crop; what the picture does not cover is black. */
  readonly cropSize: Size | undefined;
  /** How samples become values. */
  readonly values: ValueSteps;
}

/** Tensors of a batch by name, such as `pixel_values` planes `[images, 3, height, width]`; assignable to a plugin's. */
export interface PixelTensors {
  /** A tensor by its input's name, row-major. */
  readonly [name: string]: {
    readonly dtype: "f32" | "u8" | "i32";
    readonly shape: readonly number[];
    readonly data: Float32Array | Uint8Array | Int32Array;
  };
}

/** How pictures fill the u8 pixels, by their sizes alone. */
export interface PixelPlan extends PixelInput<"pixel_values"> {
  /** The tower's other inputs. */
  readonly tensors: PixelTensors;
}

/** From decoded images to a model's input. */
export type ProcessImages = (images: readonly Image[]) => PixelTensors;

/** A processor with its configuration: one way from images to samples, and what may follow. */
export interface ImageProcessor {
  /** Normalised `pixel_values` f32, as the Hugging Face class computes them. */
  readonly values: ProcessImages;
  /** `pixel_values` u8 before `steps`; those of a processor that resizes floats are rounded after each pass. */
  readonly bytes: ProcessImages;
  /** What fills the u8 pixels, by the pictures' sizes alone. */
  readonly plan: (sizes: readonly Size[]) => PixelPlan;
  /** What makes values of samples. */
  readonly steps: ValueSteps;
}

/** Means by channel of CLIP's training pictures, of samples from 0 to 1; other families use them as well. */
export const CLIP_MEAN: readonly number[] = [0.48145466, 0.4578275, 0.40821073];
/** Standard deviations by channel of CLIP's training pictures. */
export const CLIP_STD: readonly number[] = [0.26862954, 0.26130258, 0.27577711];
/** Means by channel of ImageNet, of samples from 0 to 1. */
export const IMAGENET_MEAN: readonly number[] = [0.485, 0.456, 0.406];
/** Standard deviations by channel of ImageNet. */
export const IMAGENET_STD: readonly number[] = [0.229, 0.224, 0.225];
/** As mean and deviation by channel: samples from 0 to 1 become -1 to 1. */
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

function fieldError(file: string, field: string, found: unknown, expected: string): FoveaError {
  const text = found === undefined ? "nothing" : JSON.stringify(found);
  return new FoveaError("invalid_config", `${file}: the field \`${field}\` holds ${text}; expected ${expected}.`);
}

/** An absent field and `null` both mean the default. */
function present(config: Json, field: string): boolean {
  return config[field] !== undefined && config[field] !== null;
}

function flag(file: string, config: Json, field: string, fallback = true): boolean {
  if (!present(config, field)) return fallback;
  const value = config[field];
  if (typeof value !== "boolean") throw fieldError(file, field, value, "true or false");
  return value;
}

function side(file: string, field: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > MAX_SIDE) {
    throw fieldError(file, field, value, `a whole number of pixels from 1 to ${MAX_SIDE}`);
  }
  return value;
}

function sizeOf(file: string, field: string, value: Json): Size {
  return { height: side(file, `${field}.height`, value.height), width: side(file, `${field}.width`, value.width) };
}

function squareOf(edge: number): Size {
  return { height: edge, width: edge };
}

/** A height and a width as a list. */
const isPair = (value: unknown): value is readonly [unknown, unknown] => Array.isArray(value) && value.length === 2;

function parseSize(file: string, config: Json, defaults: ImageProcessorDefaults): ResizeTarget {
  if (!present(config, "size")) return defaults.size;
  const value = config.size;
  if (typeof value === "number") {
    const edge = side(file, "size", value);
    const square = flag(file, config, "default_to_square", defaults.plainSize === "square");
    return square ? squareOf(edge) : { shortestEdge: edge };
  }
  if (isPair(value)) return sizeOf(file, "size", { height: value[0], width: value[1] });
  if (isRecord(value) && value.longest_edge === undefined) {
    if (value.shortest_edge !== undefined)
      return { shortestEdge: side(file, "size.shortest_edge", value.shortest_edge) };
    if (value.height !== undefined || value.width !== undefined) return sizeOf(file, "size", value);
  }
  throw fieldError(file, "size", value, "a number, [height, width], { shortest_edge } or { height, width }");
}

function parseCrop(file: string, config: Json, fallback: Size | undefined): Size {
  if (!present(config, "crop_size") && fallback !== undefined) return fallback;
  const value = config.crop_size;
  if (typeof value === "number") return squareOf(side(file, "crop_size", value));
  if (isPair(value)) return sizeOf(file, "crop_size", { height: value[0], width: value[1] });
  if (isRecord(value)) return sizeOf(file, "crop_size", value);
  throw fieldError(file, "crop_size", value, "a number, [height, width] or { height, width }");
}

function parseFilter(
  file: string,
  config: Json,
  { filter: fallback, resizesFloats }: ImageProcessorDefaults,
): ResizeFilter {
  if (!present(config, "resample")) return fallback;
  const value = config.resample;
  const filter = typeof value === "number" ? RESAMPLE[value] : undefined;
  if (resizesFloats === true && filter !== "bilinear" && filter !== "bicubic") {
    throw fieldError(file, "resample", value, "2 (bilinear) or 3 (bicubic)");
  }
  if (filter === undefined) {
    throw fieldError(
      file,
      "resample",
      value,
      "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)",
    );
  }
  return filter;
}

function channels(
  file: string,
  config: Json,
  field: string,
  fallback: readonly number[],
  positive: boolean,
): readonly number[] {
  if (!present(config, field)) return fallback;
  // One number is that of all channels.
  const value = typeof config[field] === "number" ? Array(3).fill(config[field]) : config[field];
  const fits = (x: unknown): boolean => typeof x === "number" && Number.isFinite(x) && (!positive || x > 0);
  if (!Array.isArray(value) || value.length !== 3 || !value.every(fits)) {
    const kind = positive ? "positive " : "";
    throw fieldError(file, field, config[field], `a ${kind}number or a list of 3 ${kind}numbers`);
  }
  return value as number[];
}

function parseValues(file: string, config: Json, defaults: Pick<ImageProcessorDefaults, "mean" | "std">): ValueSteps {
  const rescale = flag(file, config, "do_rescale");
  const normalize = flag(file, config, "do_normalize");
  let rescaleFactor = 1 / 255;
  if (present(config, "rescale_factor")) {
    const value = config.rescale_factor;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw fieldError(file, "rescale_factor", value, "a positive number");
    }
    rescaleFactor = value;
  }
  const mean = channels(file, config, "image_mean", defaults.mean, false);
  const std = channels(file, config, "image_std", defaults.std, true);
  return { ...(rescale ? { rescaleFactor } : {}), ...(normalize ? { mean, std } : {}) };
}

/** Only processors named so still resize with Pillow; the others use torchvision. */
function arithmeticOf(config: Json, { resizesFloats }: ImageProcessorDefaults): ImageProcessorConfig["arithmetic"] {
  if (resizesFloats === true) return "float";
  const type = config.image_processor_type ?? config.feature_extractor_type;
  return typeof type === "string" && type.endsWith("Pil") ? "pillow" : "torchvision";
}

function configOf(file: string, json: unknown): Json {
  if (!isRecord(json)) {
    throw new FoveaError("invalid_config", `${file} is not a JSON object.`);
  }
  return isRecord(json.image_processor) ? json.image_processor : json;
}

/**
 * Reads a parsed `preprocessor_config.json` in old (`size: 224`) and new (`size: { shortest_edge: 224 }`) spellings, or a
 * `processor_config.json` that holds it under `image_processor`.
 * @param file that it is read from, for messages
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseImageProcessor(
  json: unknown,
  defaults: ImageProcessorDefaults,
  file = "preprocessor_config.json",
): ImageProcessorConfig {
  const config = configOf(file, json);
  flag(file, config, "do_convert_rgb");
  const crops = flag(file, config, "do_center_crop", defaults.cropSize !== undefined);
  return {
    size: flag(file, config, "do_resize") ? parseSize(file, config, defaults) : undefined,
    filter: parseFilter(file, config, defaults),
    arithmetic: arithmeticOf(config, defaults),
    cropSize: crops ? parseCrop(file, config, defaults.cropSize) : undefined,
    values: parseValues(file, config, defaults),
  };
}

/** Size after the resize. @throws FoveaError `image.too_large` where nothing bounds it */
function resizedSize(image: Size, { size, cropSize, arithmetic }: ImageProcessorConfig): Size {
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
function cutOf(image: Size, config: ImageProcessorConfig, arithmetic: ResizeArithmetic, at: number): PixelCut {
  const { cropSize, filter } = config;
  const size = resizedSize(image, config);
  const own = { size: { width: size.width, height: size.height }, filter, arithmetic, at };
  if (cropSize === undefined) return pixelCut(image, own);
  const { source: region, left, top } = centerCropRegion(size, cropSize, arithmetic === "pillow" ? "before" : "after");
  return pixelCut(image, { ...own, region, canvas: { ...cropSize, left, top } });
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

/** Every image by `make`, all of one size. @throws FoveaError `image.empty_batch`, `image.shape` */
function inOneSize<I, T>(
  images: readonly I[],
  make: (image: I, index: number) => T,
  sizeOf: (made: T) => Size,
): readonly [T, ...T[]] {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const [first, ...others] = images;
  const ready: [T, ...T[]] = [make(first, 0)];
  const { width, height } = sizeOf(ready[0]);
  for (const image of others) {
    const one = make(image, ready.length);
    const own = sizeOf(one);
    if (own.width !== width || own.height !== height) {
      throw new FoveaError(
        "image.shape",
        `Image ${ready.length} is ${own.width}x${own.height} pixels after resizing and image 0 is ${width}x${height}; ` +
          "a batch needs one size: set do_center_crop, or encode them one by one.",
      );
    }
    ready.push(one);
  }
  return ready;
}

/** `pixel_values` u8 [images, 3, height, width]. */
function planBytes(images: readonly Size[], config: ImageProcessorConfig, arithmetic: ResizeArithmetic): PixelPlan {
  const cuts = inOneSize(images, (image) => cutOf(image, config, arithmetic, 0), cutSize);
  const { height, width } = cutSize(cuts[0]);
  return {
    input: "pixel_values",
    shape: [cuts.length, 3, height, width],
    cuts: cuts.map((cut, i) => ({ ...cut, at: i * 3 * height * width })),
    tensors: {},
  };
}

function processFloats(images: readonly Image[], config: ImageProcessorConfig): PixelTensors {
  const ready = inOneSize(
    images,
    (image) => resizeFloats(image, config),
    (planes) => planes,
  );
  const [{ height, width }] = ready;
  const size = 3 * height * width;
  const data = new Float32Array(ready.length * size);
  for (const [i, planes] of ready.entries()) writeFloatValues(planes, config.values, data, i * size);
  return { pixel_values: { dtype: "f32", shape: [ready.length, 3, height, width], data } };
}

/**
 * The processor of a configuration, as Hugging Face's computes.
 * @returns functions that throw FoveaError `image.empty_batch`; `image.shape` when, without a crop, the images end with
 * different sizes; `image.too_large`
 */
export function createImageProcessor(config: ImageProcessorConfig): ImageProcessor {
  const { arithmetic, values: steps } = config;
  const floats = arithmetic === "float";
  const plan = (sizes: readonly Size[]): PixelPlan => planBytes(sizes, config, floats ? "torchvision" : arithmetic);
  const table = valueTable(steps);
  const fromBytes: ProcessImages = (images) => {
    const { pixel_values } = cutTensors(images, plan(images));
    const { shape } = pixel_values;
    const data = new Float32Array(pixel_values.data.length);
    writeValues(pixel_values.data, shape[2] * shape[3], table, data);
    return { pixel_values: { dtype: "f32", shape, data } };
  };
  return {
    steps,
    values: floats ? (images) => processFloats(images, config) : fromBytes,
    bytes: (images) => cutTensors(images, plan(images)),
    plan,
  };
}

/**
 * A processor class: from its parsed configuration to the processor.
 * @returns a function that throws as {@link parseImageProcessor}; what it returns as {@link createImageProcessor}
 */
export function imageProcessor(defaults: ImageProcessorDefaults): (config: unknown, file?: string) => ImageProcessor {
  return (config, file) => createImageProcessor(parseImageProcessor(config, defaults, file));
}
