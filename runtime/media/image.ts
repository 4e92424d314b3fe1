/** Decoded pixels, and the conversions to 8-bit RGB that Pillow's `convert("RGB")` makes. */
import { FoveaError } from "../core/diagnostics.ts";
import type { PictureSize } from "../core/pixel_cut.ts";

/** 8-bit RGB pixels, rows from the top, `data[(y * width + x) * 3 + channel]`. */
export interface Image {
  /** Pixels of a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Red, green, blue. */
  readonly channels: 3;
  /** `height * width * 3` samples. */
  readonly data: Uint8Array;
  /** The picture that was read at a reduced size, of which these are the pixels. */
  readonly reducedFrom?: PictureSize;
}

/** Samples as a codec leaves them: interleaved, 8 or 16 bits each. */
export interface Samples {
  /** Pixels of a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  /** `height * width * channels` samples, rows from the top; 16-bit ones in a Uint16Array. */
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
}

/**
 * Wraps pixels that are already 8-bit RGB.
 * @throws FoveaError `image.shape` when the sizes are not positive integers or do not match `data`
 */
export function rgbImage(width: number, height: number, data: Uint8Array): Image {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new FoveaError(
      "image.shape",
      `An image of ${width}x${height} pixels was given; both sides must be whole numbers from 1.`,
    );
  }
  if (data.length !== width * height * 3) {
    throw new FoveaError(
      "image.shape",
      `An image of ${width}x${height} pixels was given ${data.length} bytes; RGB pixels need ` +
        `width * height * 3 = ${width * height * 3}.`,
    );
  }
  return { width, height, channels: 3, data };
}

/** RGB out of RGBA that begins at a whole word, four pixels at a time. Words have their lowest byte first, as everywhere. */
function dropAlpha(data: Uint8Array | Uint8ClampedArray, out: Uint8Array): void {
  const fours = Math.floor(out.length / 12);
  const from = new Int32Array(data.buffer, data.byteOffset, 4 * fours);
  const to = new Int32Array(out.buffer, 0, 3 * fours);
  for (let i = 0, p = 0, q = 0; i < fours; i++, p += 4, q += 3) {
    const second = from[p + 1];
    const third = from[p + 2];
    to[q] = (from[p] & 0xffffff) | (second << 24);
    to[q + 1] = ((second >>> 8) & 0xffff) | (third << 16);
    to[q + 2] = ((third >>> 16) & 0xff) | (from[p + 3] << 8);
  }
  for (let p = 16 * fours, q = 12 * fours; q < out.length; p += 4, q += 3) {
    for (let c = 0; c < 3; c++) out[q + c] = data[p + c];
  }
}

/**
 * Converts decoded samples to RGB: grey is repeated, alpha is dropped without blending. Of 16-bit samples the high byte is
 * kept, except for grey without alpha, which Pillow clips to 255 instead.
 */
export function toRgb(samples: Samples): Image {
  const { width, height, channels, data } = samples;
  const wide = data instanceof Uint16Array;
  if (channels === 3 && !wide) {
    return rgbImage(width, height, new Uint8Array(data.buffer, data.byteOffset, data.length));
  }
  const pixels = width * height;
  const out = new Uint8Array(pixels * 3);
  if (channels === 4 && !wide && data.byteOffset % 4 === 0) {
    dropAlpha(data, out);
    return rgbImage(width, height, out);
  }
  const clip = wide && channels === 1;
  const shift = wide && !clip ? 8 : 0;
  const colors = channels >= 3;
  for (let p = 0, from = 0, to = 0; p < pixels; p++, from += channels, to += 3) {
    const first = data[from] >> shift;
    out[to] = clip && first > 255 ? 255 : first;
    out[to + 1] = colors ? data[from + 1] >> shift : out[to];
    out[to + 2] = colors ? data[from + 2] >> shift : out[to];
  }
  return rgbImage(width, height, out);
}

/** Looks pixels up in a palette of RGB triples; an index past its end is black, as in Pillow. */
export function paletteToRgb(width: number, height: number, indices: Uint8Array, palette: Uint8Array): Image {
  const table = new Uint8Array(768);
  table.set(palette.subarray(0, 768));
  const out = new Uint8Array(width * height * 3);
  for (let p = 0, to = 0; to < out.length; p++, to += 3) {
    const from = indices[p] * 3;
    out[to] = table[from];
    out[to + 1] = table[from + 1];
    out[to + 2] = table[from + 2];
  }
  return rgbImage(width, height, out);
}

/** Which sides of stored pixels an EXIF orientation turns round. */
export function mirroredSides(orientation: number): { readonly x: boolean; readonly y: boolean } {
  return { x: [2, 3, 7, 8].includes(orientation), y: [3, 4, 6, 7].includes(orientation) };
}

/**
 * Turns pixels the way up that an EXIF orientation states.
 * @param orientation 1 to 8 (TIFF 6.0, tag 274)
 */
export function orient(image: Image, orientation: number): Image {
  if (orientation <= 1 || orientation > 8) return image;
  const { width, height, data } = image;
  const swap = orientation >= 5;
  const outWidth = swap ? height : width;
  const outHeight = swap ? width : height;
  const out = new Uint8Array(data.length);
  const { x: mirrorX, y: mirrorY } = mirroredSides(orientation);
  for (let y = 0, to = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++, to += 3) {
      const u = swap ? y : x;
      const v = swap ? x : y;
      const from = ((mirrorY ? height - 1 - v : v) * width + (mirrorX ? width - 1 - u : u)) * 3;
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    }
  }
  return rgbImage(outWidth, outHeight, out);
}
