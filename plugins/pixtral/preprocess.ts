/** Pixtral's image processor: images keep their aspect ratio as far as whole patches allow, and are padded to one size. */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { CLIP_MEAN, CLIP_STD, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { type Size, type ValueSteps, valueTable } from "../../runtime/media/pixels.ts";
import { type ResizeArithmetic, type ResizeFilter, resizeImage } from "../../runtime/media/resize.ts";

export interface PixtralProcessorConfig {
  /** False where images come in sizes that fit. */
  readonly resizes: boolean;
  /** Larger images are shrunk to fit inside. */
  readonly most: Size;
  /** Sides are rounded up to multiples. */
  readonly patch: Size;
  readonly filter: ResizeFilter;
  readonly arithmetic: ResizeArithmetic;
  readonly values: ValueSteps;
}

type Json = Readonly<Record<string, unknown>>;

const FILE = "preprocessor_config.json";
const SIDE = { min: 1, max: 16_384 };

/**
 * Reads a parsed `preprocessor_config.json`, or a `processor_config.json` that holds it under `image_processor`.
 * @param patchSize pixels that sides are multiples of, where a model asks for them; the file's `patch_size` otherwise
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parsePixtralProcessor(json: unknown, patchSize?: number): PixtralProcessorConfig {
  const whole = createConfigReader(json, "", FILE);
  const nested = whole.has("image_processor");
  const c = nested ? whole.object("image_processor") : whole;
  const config = (nested ? (json as Json).image_processor : json) as Json;
  const pair = (field: string, fallback: number): Size => {
    if (typeof config[field] !== "object" || config[field] === null) {
      const side = c.integer(field, fallback, SIDE);
      return { height: side, width: side };
    }
    const own = c.object(field);
    if (own.has("longest_edge")) {
      const side = own.integer("longest_edge", undefined, SIDE);
      return { height: side, width: side };
    }
    return { height: own.integer("height", undefined, SIDE), width: own.integer("width", undefined, SIDE) };
  };
  const { size, filter, arithmetic, values, cropSize } = parseImageProcessor(
    // Sizes with a longest edge are this class' own.
    { ...config, size: undefined },
    { size: { height: 1, width: 1 }, plainSize: "square", filter: "bicubic", mean: CLIP_MEAN, std: CLIP_STD },
  );
  if (cropSize !== undefined) throw c.error("do_center_crop", "false; this model takes whole images");
  return {
    resizes: size !== undefined,
    most: pair("size", 1024),
    patch: patchSize === undefined ? pair("patch_size", 16) : { height: patchSize, width: patchSize },
    filter,
    arithmetic: arithmetic === "pillow" ? "pillow" : "torchvision",
    values,
  };
}

/** Size of an image after the resize: shrunk to fit, never enlarged but to whole patches. */
export function pixtralSize(image: Size, { most, patch }: PixtralProcessorConfig): Size {
  const ratio = Math.max(image.height / most.height, image.width / most.width);
  const along = (side: number, step: number): number => {
    const own = ratio > 1 ? Math.floor(side / ratio) : side;
    return Math.max(1, Math.ceil(own / step)) * step;
  };
  return { height: along(image.height, patch.height), width: along(image.width, patch.width) };
}

/**
 * Images to the model's inputs, as Hugging Face's PixtralImageProcessor computes them.
 * @returns `pixel_values` f32 [images, 3, height, width] with zeros right and below of smaller images; `image_sizes` i32
 * [images, 2], height and width of each
 * @throws FoveaError `image.empty_batch`
 */
export function pixtralImages(images: readonly PixelImage[], config: PixtralProcessorConfig): Tensors {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { filter, arithmetic } = config;
  const table = valueTable(config.values);
  const sizes = images.map((image) => (config.resizes ? pixtralSize(image, config) : image));
  const height = Math.max(...sizes.map((s) => s.height));
  const width = Math.max(...sizes.map((s) => s.width));
  const plane = height * width;
  const data = new Float32Array(images.length * 3 * plane);
  for (const [i, image] of images.entries()) {
    const own = resizeImage(image, sizes[i].width, sizes[i].height, { filter, arithmetic });
    for (let y = 0, from = 0; y < own.height; y++) {
      let to = i * 3 * plane + y * width;
      for (let x = 0; x < own.width; x++, to++, from += 3) {
        data[to] = table[own.data[from]];
        data[to + plane] = table[256 + own.data[from + 1]];
        data[to + 2 * plane] = table[512 + own.data[from + 2]];
      }
    }
  }
  return {
    pixel_values: { dtype: "f32", shape: [images.length, 3, height, width], data },
    image_sizes: {
      dtype: "i32",
      shape: [images.length, 2],
      data: Int32Array.from(sizes.flatMap((s) => [s.height, s.width])),
    },
  };
}

/**
 * Pixtral's image processor of a parsed `preprocessor_config.json`.
 * @param patchSize as in {@link parsePixtralProcessor}
 * @throws FoveaError as {@link parsePixtralProcessor}; the function it returns as {@link pixtralImages}
 */
export function pixtralImageProcessor(config: unknown, patchSize?: number): (images: readonly PixelImage[]) => Tensors {
  const parsed = parsePixtralProcessor(config, patchSize);
  return (images) => pixtralImages(images, parsed);
}
