/** Cuts of pictures: their tables of weights, and the same arithmetic in JavaScript, for processors without a device. */
import { FoveaError, internal } from "../core/diagnostics.ts";
import {
  cutBytes,
  cutSize,
  type PictureResize,
  type PictureSize,
  type PixelCut,
  type PixelInput,
  type PixelLayout,
  type ResampleTable,
  sourceSpan,
} from "../core/pixel_cut.ts";
import { type Image, rgbImage } from "./image.ts";
import type { Size } from "./pixels.ts";
import { type RowOrder, resampleColumns, resampleRows } from "./resample.ts";
import { checkResize, type Region, type ResizeArithmetic, type ResizeFilter } from "./resize.ts";
import { sharedTable } from "./table_cache.ts";

/** How {@link pixelCut} cuts a picture. */
export interface CutOptions {
  /** Size of the whole picture after its resize. */
  readonly size: Size;
  /** Filter of the resize. */
  readonly filter: ResizeFilter;
  /** Whose fixed-point weights are used; of filters that torchvision does not resample, Pillow's in any case. */
  readonly arithmetic: ResizeArithmetic;
  /** What is resized instead of the picture; see {@link pictureResize}. */
  readonly of?: PictureResize;
  /** The part of the resized picture that is kept; all of it unless given. */
  readonly region?: Region;
  /** A black canvas under the kept part, and where its corner lies. */
  readonly canvas?: Size & { readonly left: number; readonly top: number };
  /** Order of the samples; planes unless given. */
  readonly layout?: PixelLayout;
  /** First byte of the samples in the input; 0 unless given. */
  readonly at?: number;
}

/** A table on a longer axis, black before and behind it. */
function padded(table: ResampleTable, before: number, total: number): ResampleTable {
  const { taps } = table;
  if (table.starts.length === total) return table;
  const starts = new Int32Array(total);
  const weights = new Int32Array(total * taps);
  starts.set(table.starts, before);
  weights.set(table.weights, before * taps);
  return { ...table, starts, weights };
}

/**
 * The cut of a picture of size `from`.
 * @throws FoveaError `image.shape` for sizes that are not positive integers, `image.region` for a region outside
 */
export function pixelCut(from: PictureSize, options: CutOptions): PixelCut {
  const { size, filter, arithmetic, of, layout = {}, at = 0 } = options;
  const source: PictureSize = of === undefined ? from : cutSize(of);
  checkResize(source, size.width, size.height, options.region);
  const { x, y, width, height } = options.region ?? { x: 0, y: 0, ...size };
  const canvas = options.canvas ?? { width, height, left: 0, top: 0 };
  const { reduction } = source;
  const columns = sharedTable(filter, source.width, size.width, x, width, arithmetic, reduction);
  const rows = sharedTable(filter, source.height, size.height, y, height, arithmetic, reduction);
  const first = filter === "nearest" ? {} : { resized: { width: size.width, height: size.height } };
  return {
    columns: padded(columns, canvas.left, canvas.width),
    rows: padded(rows, canvas.top, canvas.height),
    layout,
    at,
    ...(of === undefined ? first : { resized: of.resized, of }),
  };
}

/**
 * A picture of size `from` that is resized before it is cut, with samples rounded to 8 bits.
 * @param options with `of`, what was resized before in turn
 * @returns `of` where that has the size already
 * @throws FoveaError `image.shape` for sizes that are not positive integers
 */
export function pictureResize(
  from: PictureSize,
  size: Size,
  options: Pick<CutOptions, "filter" | "arithmetic" | "of">,
): PictureResize | undefined {
  const { filter, arithmetic, of } = options;
  const { width, height } = of === undefined ? from : cutSize(of);
  if (width === size.width && height === size.height) return of;
  const { columns, rows, resized } = pixelCut(from, { filter, arithmetic, of, size });
  return { columns, rows, resized, of };
}

/** Sides of a layout's blocks in pixels. */
export function blockSide({ patch, merge = 1 }: PixelLayout): number {
  return patch === undefined ? 1 : patch * merge;
}

/** Samples as rows of three planes, [height, 3, width], on their way into `out`. */
interface PlaneRows {
  readonly rows: Uint8Array;
  readonly width: number;
  readonly out: Uint8Array;
}

/** All samples in the order of a layout, from `at` on. */
function writeLayout({ rows, width, out }: PlaneRows, height: number, layout: PixelLayout, at: number): void {
  const { patch, merge = 1, channelsLast = false } = layout;
  const [high, wide] = patch === undefined ? [height, width] : [patch, patch];
  // Between neighbours, and between the three samples of a pixel.
  const step = channelsLast ? 3 : 1;
  const plane = channelsLast ? 1 : high * wide;
  const writePatch = (top: number, left: number, first: number): void => {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < high; y++) {
        const from = (3 * (top + y) + c) * width + left;
        for (let x = 0, to = first + c * plane + y * wide * step; x < wide; x++, to += step) out[to] = rows[from + x];
      }
    }
  };
  let first = at;
  for (let top = 0; top < height; top += high * merge) {
    for (let left = 0; left < width; left += wide * merge) {
      for (let i = 0; i < merge * merge; i++, first += 3 * high * wide) {
        writePatch(top + Math.floor(i / merge) * high, left + (i % merge) * wide, first);
      }
    }
  }
}

/** Both resamplings of a picture: rows of its pixels, or of three planes. */
function resample(image: Image, { columns, rows }: PictureResize, order: RowOrder): Uint8Array {
  const [top, end] = sourceSpan(rows);
  const middle = resampleColumns(image.data, image.width, top, end - top, columns, order);
  return resampleRows(middle, columns.starts.length * 3, top, rows);
}

type ResizePicture = (image: Image, of: PictureResize) => Image;

/** Resizes pictures before they are cut, and keeps the last: cuts that share a resize follow one another. */
function resizeOnce(): ResizePicture {
  let last: { readonly image: Image; readonly of: PictureResize; readonly made: Image } | undefined;
  const resize: ResizePicture = (image, of) => {
    if (last?.image === image && last.of === of) return last.made;
    const source = of.of === undefined ? image : resize(image, of.of);
    const { width, height } = cutSize(of);
    last = { image, of, made: rgbImage(width, height, resample(source, of, "pixels")) };
    return last.made;
  };
  return resize;
}

function cutResized(image: Image, cut: PixelCut, out: Uint8Array, resize: ResizePicture): void {
  const { layout, at, of } = cut;
  const { width, height } = cutSize(cut);
  checkBlocks(cut);
  if (at + cutBytes(cut) > out.length) internal(`a cut of ${cutBytes(cut)} bytes at ${at} does not fit ${out.length}`);
  const rows = resample(of === undefined ? image : resize(image, of), cut, "planes");
  writeLayout({ rows, width, out }, height, layout, at);
}

/**
 * Carries a cut out on the caller's thread: the samples go into `out` from `cut.at`.
 * @throws FoveaError `image.shape` for sides that are no whole blocks of the layout
 */
export function cutPixels(image: Image, cut: PixelCut, out: Uint8Array): void {
  cutResized(image, cut, out, resizeOnce());
}

/**
 * Carries out all cuts of an input on the caller's thread.
 * @returns the input's bytes
 * @throws FoveaError `image.shape`
 */
export function cutImages(images: readonly Image[], { shape, cuts }: PixelInput): Uint8Array {
  const out = new Uint8Array(shape.reduce((a, b) => a * b, 1));
  const resize = resizeOnce();
  for (const [i, cut] of cuts.entries()) cutResized(images[cut.picture ?? i], cut, out, resize);
  return out;
}

/** Samples of cuts as a tensor. */
export interface CutSamples {
  /** Samples are bytes. */
  readonly dtype: "u8";
  /** That of the input. */
  readonly shape: readonly number[];
  /** The input's bytes, with 0 where no cut writes. */
  readonly data: Uint8Array;
}

/**
 * All inputs of a plan, on the caller's thread: the pixels under their name, and the plan's other tensors.
 * @throws FoveaError `image.shape`
 */
export function cutTensors<Name extends string, T>(
  images: readonly Image[],
  plan: PixelInput<Name> & { readonly tensors: T },
): T & Readonly<Record<Name, CutSamples>> {
  const { input, shape, tensors } = plan;
  const pixels: CutSamples = { dtype: "u8", shape, data: cutImages(images, plan) };
  return { [input]: pixels, ...tensors } as T & Readonly<Record<Name, CutSamples>>;
}

/**
 * Refuses a cut that its layout cannot order.
 * @throws FoveaError `image.shape` for sides that are no whole blocks of the layout
 */
export function checkBlocks({ columns, rows, layout }: PixelCut): void {
  const [width, height, side] = [columns.starts.length, rows.starts.length, blockSide(layout)];
  if (width % side === 0 && height % side === 0) return;
  throw new FoveaError(
    "image.shape",
    `A picture of ${width}x${height} pixels cannot be cut into blocks of ${side}x${side}; its sides must be multiples of ${side}.`,
  );
}
