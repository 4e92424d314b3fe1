/** Pixtral's image processor: images keep their aspect ratio as far as whole patches allow, and are padded to one size. */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelImage, PixelInput, Tensors } from "../../runtime/abi/encoder.ts";
import type { PixelProcessor } from "../../runtime/abi/pixels.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { CLIP_MEAN, CLIP_STD, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { cutTensors, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic, ResizeFilter } from "../../runtime/media/resize.ts";

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
export function parsePixtralProcessor(json: unknown, patchSize?: number, file: string = FILE): PixtralProcessorConfig {
  const whole = createConfigReader(json, "", file);
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
    file,
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

/** How images fill the pixels, and their own sizes. */
interface PixtralPlan extends PixelInput<"pixel_values"> {
  readonly tensors: {
    readonly image_sizes: { readonly dtype: "i32"; readonly shape: readonly number[]; readonly data: Int32Array };
  };
}

/**
 * The model's inputs before they are normalised, by the images' sizes.
 * @returns `pixel_values` u8 [images, 3, height, width] with zeros right and below of smaller images, which the tower does
 * not read; `image_sizes` i32 [images, 2], height and width of each
 * @throws FoveaError `image.empty_batch`
 */
export function pixtralPlan(images: readonly Size[], config: PixtralProcessorConfig): PixtralPlan {
  if (images.length === 0) {
    throw new FoveaError("image.empty_batch", "No image was given to preprocess; expected at least one.");
  }
  const { filter, arithmetic } = config;
  const sizes = images.map((image) => (config.resizes ? pixtralSize(image, config) : image));
  const height = Math.max(...sizes.map((s) => s.height));
  const width = Math.max(...sizes.map((s) => s.width));
  const canvas = { height, width, left: 0, top: 0 };
  return {
    input: "pixel_values",
    shape: [images.length, 3, height, width],
    cuts: images.map((image, i) => {
      const size = { height: sizes[i].height, width: sizes[i].width };
      return pixelCut(image, { size, filter, arithmetic, canvas, at: i * 3 * height * width });
    }),
    tensors: {
      image_sizes: {
        dtype: "i32",
        shape: [images.length, 2],
        data: Int32Array.from(sizes.flatMap((s) => [s.height, s.width])),
      },
    },
  };
}

/** The same normalised, as Hugging Face's PixtralImageProcessor computes them; the padding is 0 all the same. */
export function pixtralValues(images: readonly PixelImage[], config: PixtralProcessorConfig): Tensors {
  const { pixel_values: bytes, image_sizes } = cutTensors(images, pixtralPlan(images, config));
  const table = valueTable(config.values);
  const [, , height, width] = bytes.shape;
  const data = new Float32Array(bytes.data.length);
  for (let i = 0; i < images.length; i++) {
    const [rows, columns] = image_sizes.data.subarray(2 * i);
    for (let channel = 0; channel < 3; channel++) {
      const own = table.subarray(channel * 256);
      for (let y = 0; y < rows; y++) {
        const from = ((i * 3 + channel) * height + y) * width;
        writeValues(bytes.data.subarray(from, from + columns), columns, own, data.subarray(from));
      }
    }
  }
  return { pixel_values: { dtype: "f32", shape: bytes.shape, data }, image_sizes };
}

/**
 * Pixtral's image processor of a parsed `preprocessor_config.json`.
 * @param patchSize as in {@link parsePixtralProcessor}
 * @throws FoveaError as {@link parsePixtralProcessor}; the functions it returns as {@link pixtralPlan}
 */
export function pixtralImageProcessor(config: unknown, patchSize?: number, file?: string): PixelProcessor {
  const parsed = parsePixtralProcessor(config, patchSize, file);
  return {
    steps: parsed.values,
    values: (images) => pixtralValues(images, parsed),
    bytes: (images) => cutTensors(images, pixtralPlan(images, parsed)),
    plan: (sizes) => ({ ...pixtralPlan(sizes, parsed) }),
  };
}
