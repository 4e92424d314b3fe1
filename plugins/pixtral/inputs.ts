/** What callers give, checked and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, checkInputNames, integerValues, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelForms, preparePixels } from "../../runtime/abi/pixels.ts";
import type { PatchGrid } from "../../runtime/nn/mod.ts";
import type { PixtralConfig } from "./config.ts";
import { imageOffsets, mergeIndex, patchIndex, patchRotary } from "./geometry.ts";
import { MAX_IMAGES, MAX_PATCHES, MAX_SIDE } from "./graphs.ts";

/** Height and width of every image in pixels; all of the padded size where nothing is given. */
function imageSizes(given: Tensor | undefined, images: number, height: number, width: number): Int32Array {
  if (given === undefined) return Int32Array.from({ length: 2 * images }, (_, i) => (i % 2 === 0 ? height : width));
  if (given.shape.length !== 2 || given.shape[0] !== images || given.shape[1] !== 2) {
    refuseInput(
      `The input "image_sizes" has shape ${sizesText(given.shape)}, expected ${sizesText([images, 2])}: height and width of each of the images in "pixel_values".`,
    );
  }
  return integerValues("image_sizes", given);
}

/** Whole patches of every image. @throws FoveaError `invalid_input` that names the image */
function gridsOf(sizes: Int32Array, height: number, width: number, config: PixtralConfig): readonly PatchGrid[] {
  const { patchSize, projector } = config;
  const square = projector?.merge?.size ?? 1;
  return Array.from({ length: sizes.length / 2 }, (_, image) => {
    const [h, w] = [sizes[2 * image], sizes[2 * image + 1]];
    const found = `Image ${image} has ${h}x${w} pixels by "image_sizes"`;
    if (h > height || w > width) {
      refuseInput(`${found}, but "pixel_values" holds images of ${height}x${width}; give sizes that lie inside.`);
    }
    const grid = { rows: Math.floor(h / patchSize), columns: Math.floor(w / patchSize) };
    if (!(grid.rows >= 1 && grid.columns >= 1)) {
      refuseInput(`${found} and no whole patch of ${patchSize}x${patchSize}; give images of at least one patch.`);
    }
    if (grid.rows % square !== 0 || grid.columns % square !== 0) {
      refuseInput(
        `${found} and ${grid.rows}x${grid.columns} patches, expected multiples of ${square}, because ${square}x${square} patches become one token; resize it to multiples of ${square * patchSize} pixels.`,
      );
    }
    return grid;
  });
}

interface Request {
  readonly pixels: Tensor;
  /** Height and width of every image. */
  readonly sizes: Int32Array;
  readonly grids: readonly PatchGrid[];
}

/** Shapes and sizes, checked. @throws FoveaError `invalid_input` */
function readRequest(inputs: Tensors, config: PixtralConfig): Request {
  checkInputNames(inputs, ["pixel_values", "image_sizes"], "pixel_values");
  const pixels = inputs.pixel_values;
  const { channels, patchSize } = config;
  const [images, planes, height, width] = pixels.shape;
  if (pixels.shape.length !== 4 || images < 1 || planes !== channels) {
    refuseInput(
      `The input "pixel_values" has shape ${sizesText(pixels.shape)}, expected ${sizesText(["images", channels, "height", "width"])} with at least one image.`,
    );
  }
  const most = MAX_SIDE * patchSize;
  if (height > most || width > most) {
    refuseInput(
      `The input "pixel_values" has shape ${sizesText(pixels.shape)}; images of at most ${most}x${most} pixels are taken: resize them first.`,
    );
  }
  const sizes = imageSizes(inputs.image_sizes, images, height, width);
  return { pixels, sizes, grids: gridsOf(sizes, height, width, config) };
}

/** Images of each part of a request, in order: as many as stay within `limit` patches, and at least one. */
function packImages(grids: readonly PatchGrid[], limit: number): readonly number[] {
  const packs: number[] = [];
  let patches = limit;
  for (const { rows, columns } of grids) {
    const own = rows * columns;
    if (packs.length === 0 || packs[packs.length - 1] >= MAX_IMAGES || patches + own > limit) {
      packs.push(0);
      patches = 0;
    }
    packs[packs.length - 1]++;
    patches += own;
  }
  return packs;
}

/**
 * Parts of a request with at most `limit` patches each, cut between images. A larger image is a part of its own.
 * @throws FoveaError `invalid_input` as {@link prepareImages}
 */
export function splitImages(inputs: Tensors, limit: number, config: PixtralConfig): readonly Tensors[] {
  const { pixels, sizes, grids } = readRequest(inputs, config);
  const packs = packImages(grids, Math.min(limit, MAX_PATCHES));
  if (packs.length === 1) return [inputs];
  checkInputLength("pixel_values", pixels);
  const image = pixels.data.length / pixels.shape[0];
  let from = 0;
  return packs.map((count) => {
    const first = from;
    from += count;
    return {
      pixel_values: {
        ...pixels,
        shape: [count, ...pixels.shape.slice(1)],
        data: pixels.data.subarray(first * image, from * image),
      },
      image_sizes: { dtype: "i32", shape: [count, 2], data: sizes.slice(2 * first, 2 * from) },
    };
  });
}

/** A number for the plan, which sees shapes alone: there are no values. */
const sizeOnly = (size: number): Tensor => ({ dtype: "u8", shape: [size, 0], data: new Uint8Array(0) });

/**
 * `pixel_values` [images, channels, height, width], f32, all finite, or u8, images at the top left of what pads them to one size, and
 * `image_sizes` [images, 2] where they differ -> the pixels, the tables of geometry.ts and the size `longest_segment`.
 * @throws FoveaError `invalid_input`
 */
export function prepareImages(inputs: Tensors, config: PixtralConfig, forms: PixelForms, later?: CheckLater): Tensors {
  const { pixels, grids } = readRequest(inputs, config);
  const { patchSize, projector } = config;
  const [images, , height, width] = pixels.shape;
  const index = patchIndex(grids, { rows: Math.floor(height / patchSize), columns: Math.floor(width / patchSize) });
  if (images > MAX_IMAGES || index.shape[0] > MAX_PATCHES) {
    refuseInput(
      `${images} images have ${index.shape[0]} patches of ${patchSize}x${patchSize}; at most ${MAX_IMAGES} images and ${MAX_PATCHES} patches are taken at once: encode fewer images, or resize them first.`,
    );
  }
  return {
    ...preparePixels("pixel_values", pixels, forms, later),
    patch_index: index,
    cu_seqlens: imageOffsets(grids),
    longest_segment: sizeOnly(Math.max(...grids.map((g) => g.rows * g.columns))),
    ...patchRotary(grids, config),
    ...(projector?.merge === undefined ? {} : { merge_index: mergeIndex(grids, projector.merge.size) }),
  };
}

/** Images that fill their size. */
export function exampleImages(options: ExampleOptions, config: PixtralConfig, forms: PixelForms): Tensors {
  const [height, width] = options.size ?? [config.imageSize, config.imageSize];
  return { pixel_values: examplePixels([options.batch, config.channels, height, width], options.seed, forms) };
}
