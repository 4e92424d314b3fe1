/** Cuts of pictures: their tables of weights, and the same arithmetic in JavaScript, for processors without a device. */
import { FoveaError, internal } from "../core/diagnostics.ts";
import {
  cutBytes,
  type PictureSize,
  type PixelCut,
  type PixelInput,
  type PixelLayout,
  type ResampleTable,
  sourceSpan,
} from "../core/pixel_cut.ts";
import type { Image } from "./image.ts";
import type { Size } from "./pixels.ts";
import {
  checkResize,
  type Region,
  type ResizeArithmetic,
  type ResizeFilter,
  resampleColumns,
  resampleRows,
} from "./resize.ts";
import { sharedTable } from "./table_cache.ts";

/** How {@link pixelCut} cuts a picture. */
export interface CutOptions {
  /** Size of the whole picture after its resize. */
  readonly size: Size;
  /** Filter of the resize. */
  readonly filter: ResizeFilter;
  /** Whose fixed-point weights are used; of filters that torchvision does not resample, Pillow's in any case. */
  readonly arithmetic: ResizeArithmetic;
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
  const { size, filter, arithmetic, layout = {}, at = 0 } = options;
  checkResize(from, size.width, size.height, options.region);
  const { x, y, width, height } = options.region ?? { x: 0, y: 0, ...size };
  const canvas = options.canvas ?? { width, height, left: 0, top: 0 };
  const { reduction } = from;
  const columns = sharedTable(filter, from.width, size.width, x, width, arithmetic, reduction);
  const rows = sharedTable(filter, from.height, size.height, y, height, arithmetic, reduction);
  return {
    columns: padded(columns, canvas.left, canvas.width),
    rows: padded(rows, canvas.top, canvas.height),
    layout,
    at,
    ...(filter === "nearest" ? {} : { resized: { width: size.width, height: size.height } }),
  };
}

/** Sides of a layout's blocks in pixels. */
export function blockSide({ patch, merge = 1 }: PixelLayout): number {
  return patch === undefined ? 1 : patch * merge;
}

/** Pixels in the order of a layout, into `out` from `at`. */
function writeLayout(
  pixels: Uint8Array,
  height: number,
  width: number,
  layout: PixelLayout,
  out: Uint8Array,
  at: number,
): void {
  const { patch, merge = 1, channelsLast = false } = layout;
  const [patchHeight, patchWidth] = patch === undefined ? [height, width] : [patch, patch];
  const block = [patchHeight * merge, patchWidth * merge];
  let to = at;
  const writePatch = (top: number, left: number): void => {
    for (let c = 0; c < (channelsLast ? 1 : 3); c++) {
      for (let y = top; y < top + patchHeight; y++) {
        const from = (y * width + left) * 3;
        if (channelsLast) {
          out.set(pixels.subarray(from, from + 3 * patchWidth), to);
          to += 3 * patchWidth;
        } else for (let x = 0; x < patchWidth; x++) out[to++] = pixels[from + 3 * x + c];
      }
    }
  };
  for (let top = 0; top < height; top += block[0]) {
    for (let left = 0; left < width; left += block[1]) {
      for (let y = 0; y < merge; y++)
        for (let x = 0; x < merge; x++) writePatch(top + y * patchHeight, left + x * patchWidth);
    }
  }
}

/**
 * Carries a cut out on the caller's thread: the samples go into `out` from `cut.at`.
 * @throws FoveaError `image.shape` for sides that are no whole blocks of the layout
 */
export function cutPixels(image: Image, cut: PixelCut, out: Uint8Array): void {
  const { columns, rows, layout, at } = cut;
  const [width, height] = [columns.starts.length, rows.starts.length];
  checkBlocks(cut);
  if (at + cutBytes(cut) > out.length) internal(`a cut of ${cutBytes(cut)} bytes at ${at} does not fit ${out.length}`);
  const [top, end] = sourceSpan(rows);
  const middle = resampleColumns(image.data, image.width, top, end - top, columns);
  writeLayout(resampleRows(middle, width * 3, top, rows), height, width, layout, out, at);
}

/**
 * Carries out all cuts of an input on the caller's thread.
 * @returns the input's bytes
 * @throws FoveaError `image.shape`
 */
export function cutImages(images: readonly Image[], { shape, cuts }: PixelInput): Uint8Array {
  const out = new Uint8Array(shape.reduce((a, b) => a * b, 1));
  for (const [i, cut] of cuts.entries()) cutPixels(images[cut.picture ?? i], cut, out);
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
