/** Pictures of any size that a tower reads in whole patches. All functions throw FoveaError `invalid_input`. */
import type { CheckLater, ExampleOptions, Tensors } from "./encoder.ts";
import { checkInputNames, refuseInput, sizesText } from "./inputs.ts";
import { examplePixels, type PixelForms, preparePixels } from "./pixels.ts";

/** Pictures that a tower takes. */
export interface PatchImages {
  /** Pixels along a side of a patch. */
  readonly patchSize: number;
  /** Planes of a picture. */
  readonly channels: number;
  /** Most patches along a side. */
  readonly maxSide: number;
  /** Most patches in all. */
  readonly maxPatches: number;
}

/** Whole patches of a picture. */
export interface PatchGrid {
  /** From the top. */
  readonly rows: number;
  /** From the left. */
  readonly columns: number;
}

/** Whole patches of a picture of `height` x `width` pixels; none, and more than the tower takes, are refused. */
export function patchGrid(
  { patchSize, maxSide, maxPatches }: Omit<PatchImages, "channels">,
  height: number,
  width: number,
): PatchGrid {
  const grid = { rows: Math.floor(height / patchSize), columns: Math.floor(width / patchSize) };
  if (!(grid.rows >= 1 && grid.columns >= 1)) {
    refuseInput(
      `Images of ${height}x${width} pixels have no whole patch of ${patchSize}x${patchSize}; give images of at least one patch.`,
    );
  }
  const most = maxSide * patchSize;
  if (height > most || width > most || grid.rows * grid.columns > maxPatches) {
    refuseInput(
      `Images of ${height}x${width} pixels have ${grid.rows}x${grid.columns} patches of ${patchSize}x${patchSize}; sides of at most ${most} pixels and ${maxPatches} patches in all are taken: resize them first.`,
    );
  }
  return grid;
}

/** Squares of `factor` x `factor` patches along a side, for the projector; other grids than squares of these are refused. */
export function squaresAlong({ rows, columns }: PatchGrid, factor: number): number {
  if (rows !== columns || rows % factor !== 0) {
    refuseInput(
      `The output "projected" needs images of as many rows as columns of patches, a multiple of ${factor}; found ${rows}x${columns} patches. Resize the images, or ask for last_hidden_state.`,
    );
  }
  return rows / factor;
}

/** `pixel_values` [batch, channels, height, width], f32, all finite, or u8, as {@link preparePixels} gives them. */
export function preparePatchImages(
  inputs: Tensors,
  images: PatchImages,
  forms: PixelForms,
  later?: CheckLater,
): Tensors {
  checkInputNames(inputs, ["pixel_values"], "pixel_values");
  const pixels = inputs.pixel_values;
  const [batch, planes, height, width] = pixels.shape;
  if (pixels.shape.length !== 4 || batch < 1 || planes !== images.channels) {
    refuseInput(
      `The input "pixel_values" has shape ${sizesText(pixels.shape)}, expected ${sizesText(["batch", images.channels, "height", "width"])} with at least one image.`,
    );
  }
  patchGrid(images, height, width);
  return preparePixels("pixel_values", pixels, forms, later);
}

/** Made-up pictures for a benchmark, of `side` x `side` pixels unless the options name a size. */
export function examplePatchImages(
  options: ExampleOptions,
  side: number,
  images: PatchImages,
  forms: PixelForms,
): Tensors {
  const [height, width] = options.size ?? [side, side];
  patchGrid(images, height, width);
  return { pixel_values: examplePixels([options.batch, images.channels, height, width], options.seed, forms) };
}
