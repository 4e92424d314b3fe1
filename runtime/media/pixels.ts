/** Geometry and value steps that image processors share: edges, crops, rescale, normalise. */
import { FoveaError, internal } from "../core/diagnostics.ts";
import type { ValueSteps } from "../core/value_steps.ts";
import { type Image, rgbImage } from "./image.ts";
import type { Region } from "./resize.ts";

/** Sides of a picture, a crop or a canvas, in pixels. */
export interface Size {
  /** Number of rows. */
  readonly height: number;
  /** Pixels of a row. */
  readonly width: number;
}

/**
 * Size with the shorter side at `edge` and the same aspect ratio; the longer side is rounded down, as Hugging Face's
 * `get_resize_output_image_size` does.
 */
export function shortestEdgeSize(size: Size, edge: number): Size {
  const { width, height } = size;
  if (width <= height) return { width: edge, height: Math.trunc((edge * height) / width) };
  return { width: Math.trunc((edge * width) / height), height: edge };
}

/** A centred crop: the part of the image that it shows, and where that part lies in the crop. */
export interface CenterCrop {
  /** The part of the image, in its pixels. */
  readonly source: Region;
  /** Columns of padding before it. */
  readonly left: number;
  /** Rows of padding above it. */
  readonly top: number;
}

/**
 * Where a crop of `crop` falls on an image of `size`; what the image does not cover is padding.
 * @param wider side of odd padding that gets the pixel more: `after` the image with torchvision, `before` it with Pillow
 */
export function centerCropRegion(size: Size, crop: Size, wider: "before" | "after" = "after"): CenterCrop {
  const before = wider === "before" ? Math.ceil : Math.floor;
  const axis = (have: number, want: number): readonly [number, number, number] =>
    have >= want ? [Math.floor((have - want) / 2), want, 0] : [0, have, before((want - have) / 2)];
  const [x, width, left] = axis(size.width, crop.width);
  const [y, height, top] = axis(size.height, crop.height);
  return { source: { x, y, width, height }, left, top };
}

/** Puts an image on a black canvas. */
export function padImage(image: Image, canvas: Size, left: number, top: number): Image {
  if (image.width === canvas.width && image.height === canvas.height) return image;
  if (left < 0 || top < 0 || left + image.width > canvas.width || top + image.height > canvas.height) {
    throw new FoveaError(
      "image.region",
      `An image of ${image.width}x${image.height} pixels at (${left}, ${top}) does not fit a canvas of ` +
        `${canvas.width}x${canvas.height}.`,
    );
  }
  const out = new Uint8Array(canvas.width * canvas.height * 3);
  for (let y = 0; y < image.height; y++) {
    const row = image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3);
    out.set(row, ((top + y) * canvas.width + left) * 3);
  }
  return rgbImage(canvas.width, canvas.height, out);
}

/**
 * Value of every 8-bit sample by channel, `table[channel * 256 + sample]`: `(sample * rescale - mean) / std`, folded as
 * torchvision's processors do into `(sample - mean / rescale) / (std / rescale)` in float32.
 */
export function valueTable(steps: ValueSteps): Float32Array {
  const table = new Float32Array(768);
  const { rescaleFactor: factor, mean, std } = steps;
  for (let c = 0; c < 3; c++) {
    for (let v = 0; v < 256; v++) {
      let value = v;
      if (mean !== undefined && std !== undefined) {
        const unit = factor === undefined ? 1 : 1 / factor;
        const scaled = (x: number): number => Math.fround(Math.fround(x) * Math.fround(unit));
        value = Math.fround(v - scaled(mean[c])) / scaled(std[c]);
      } else if (factor !== undefined) {
        value = v * Math.fround(factor);
      }
      table[c * 256 + v] = value;
    }
  }
  return table;
}

/** Writes an image as planes of bytes, `[3, height, width]`, into `out` from `offset`. */
export function writePlanes(image: Image, out: Uint8Array, offset = 0): void {
  const plane = image.width * image.height;
  if (offset < 0 || offset + plane * 3 > out.length) {
    internal(`planes of ${image.width}x${image.height} at ${offset} do not fit ${out.length} bytes`);
  }
  const { data } = image;
  for (let p = 0, from = 0; p < plane; p++, from += 3) {
    out[offset + p] = data[from];
    out[offset + plane + p] = data[from + 1];
    out[offset + plane * 2 + p] = data[from + 2];
  }
}

/**
 * Writes the values of samples into `out`, as many as there are.
 * @param samples runs of `run` samples of one channel, channels in turn: whole planes, or 1 for pixels' channels side by side
 * @param table see {@link valueTable}
 */
export function writeValues(samples: Uint8Array, run: number, table: Float32Array, out: Float32Array): void {
  for (let at = 0, channel = 0; at < samples.length; channel = (channel + 1) % 3) {
    const own = table.subarray(channel * 256, channel * 256 + 256);
    for (const end = at + run; at < end; at++) out[at] = own[samples[at]];
  }
}
