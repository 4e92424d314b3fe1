/** Tiles of pictures that callers give LLaVA-NeXT, checked, cut into runs, and turned into what the components take. */
import type { CheckLater, ExampleOptions, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { checkInputLength, checkInputNames, integerValues, refuseInput, sizesText } from "../../runtime/abi/inputs.ts";
import { examplePixels, type PixelForms, preparePixels } from "../../runtime/abi/pixels.ts";
import type { ClipVisionConfig } from "./config.ts";
import { checkPixels } from "./inputs.ts";
import {
  bestResolution,
  MAX_BATCH,
  NEWLINE,
  pictureTiles,
  pictureTokens,
  type Sides,
  type TileGeometry,
} from "./tile_geometry.ts";

/** A picture as it was before it was cut. */
interface Picture {
  readonly sides: Sides;
  /** What it was fitted to. */
  readonly within: Sides;
  /** Tiles with its overview. */
  readonly tiles: number;
}

/** @throws FoveaError `invalid_input` */
export function picturesOf(sizes: Tensor | undefined, { resolutions, tile }: TileGeometry): readonly Picture[] {
  const what = "height and width of each picture before it was cut";
  if (sizes === undefined) refuseInput(`The input "image_sizes" is missing; give ${what}.`);
  if (sizes.shape.length !== 2 || sizes.shape[0] < 1 || sizes.shape[1] !== 2) {
    refuseInput(`The input "image_sizes" has shape ${sizesText(sizes.shape)}, expected [pictures, 2]: ${what}.`);
  }
  const values = integerValues("image_sizes", sizes);
  return Array.from({ length: sizes.shape[0] }, (_, i) => {
    const sides = { height: values[2 * i], width: values[2 * i + 1] };
    if (sides.height < 1 || sides.width < 1) {
      refuseInput(
        `Picture ${i} has ${sides.height}x${sides.width} pixels by "image_sizes"; both sides must be at least 1.`,
      );
    }
    const within = bestResolution(sides, resolutions);
    return { sides, within, tiles: pictureTiles(within, tile) };
  });
}

const sum = (pictures: readonly Picture[]): number => pictures.reduce((all, { tiles }) => all + tiles, 0);

interface Request {
  readonly pixels: Tensor;
  readonly sizes: Tensor;
  readonly pictures: readonly Picture[];
}

/** Shapes and sizes, checked. @throws FoveaError `invalid_input` */
function readRequest(inputs: Tensors, config: ClipVisionConfig, geometry: TileGeometry): Request {
  checkInputNames(inputs, ["pixel_values", "image_sizes"], "pixel_values");
  const { pixel_values: pixels, image_sizes: sizes } = inputs;
  checkPixels(pixels, config, "tiles");
  const pictures = picturesOf(sizes, geometry);
  const tiles = sum(pictures);
  if (tiles !== pixels.shape[0]) {
    refuseInput(
      `The input "image_sizes" tells of ${tiles} tiles, overviews included, but "pixel_values" has ${pixels.shape[0]}; give the tiles of the same pictures.`,
    );
  }
  return { pixels, sizes, pictures };
}

/**
 * Parts of a request with at most `limit` tiles each, cut between pictures. A picture of more is a part of its own.
 * @throws FoveaError `invalid_input` as {@link prepareTiles}
 */
export function splitTiles(
  inputs: Tensors,
  limit: number,
  config: ClipVisionConfig,
  geometry: TileGeometry,
): readonly Tensors[] {
  const { pixels, sizes, pictures } = readRequest(inputs, config, geometry);
  const parts: Picture[][] = [];
  for (const picture of pictures) {
    const last = parts[parts.length - 1];
    if (last !== undefined && sum(last) + picture.tiles <= Math.min(limit, MAX_BATCH)) last.push(picture);
    else parts.push([picture]);
  }
  if (parts.length === 1) return [inputs];
  checkInputLength("pixel_values", pixels);
  const perTile = pixels.data.length / pixels.shape[0];
  let [tile, picture] = [0, 0];
  return parts.map((part) => {
    const [fromTile, fromPicture] = [tile, picture];
    tile += sum(part);
    picture += part.length;
    return {
      pixel_values: {
        ...pixels,
        shape: [tile - fromTile, ...pixels.shape.slice(1)],
        data: pixels.data.subarray(fromTile * perTile, tile * perTile),
      },
      image_sizes: { ...sizes, shape: [part.length, 2], data: sizes.data.subarray(2 * fromPicture, 2 * picture) },
    };
  });
}

/**
 * `pixel_values` [tiles, channels, image_size, image_size], f32, all finite, or u8, picture by picture, its overview first, and
 * `image_sizes` [pictures, 2] -> the pixels, `token_index` i32 [1, rows], what the projector reads of the tiles' tokens, and `is_newline`
 * f32 [1, rows].
 * @throws FoveaError `invalid_input`
 */
export function prepareTiles(
  inputs: Tensors,
  config: ClipVisionConfig,
  geometry: TileGeometry,
  forms: PixelForms,
  later?: CheckLater,
): Tensors {
  const { pixels, pictures } = readRequest(inputs, config, geometry);
  const tokens: number[] = [];
  let first = 0;
  for (const { sides, within, tiles } of pictures) {
    for (const token of pictureTokens(sides, within, first, geometry)) tokens.push(token);
    first += tiles;
  }
  const shape = [1, tokens.length];
  return {
    ...preparePixels("pixel_values", pixels, forms, later),
    token_index: { dtype: "i32", shape, data: Int32Array.from(tokens, (token) => Math.max(token, 0)) },
    is_newline: { dtype: "f32", shape, data: Float32Array.from(tokens, (token) => (token === NEWLINE ? 1 : 0)) },
  };
}

/** Tiles of pictures of one size, the first resolution's unless told otherwise. */
export function exampleTiles(
  options: ExampleOptions,
  config: ClipVisionConfig,
  geometry: TileGeometry,
  forms: PixelForms,
): Tensors {
  const [first] = geometry.resolutions;
  const [height, width] = options.size ?? [first.height, first.width];
  const { batch } = options;
  const data = Int32Array.from({ length: 2 * batch }, (_, i) => (i % 2 === 0 ? height : width));
  const image_sizes = { dtype: "i32" as const, shape: [batch, 2], data };
  const { channels, imageSize } = config;
  const shape = [sum(picturesOf(image_sizes, geometry)), channels, imageSize, imageSize];
  return { pixel_values: examplePixels(shape, options.seed, forms), image_sizes };
}
