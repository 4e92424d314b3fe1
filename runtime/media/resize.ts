/**
 * Antialiased resampling of 8-bit pixels: a horizontal pass, 8-bit rows between, a vertical pass, with the filter stretched
 * when shrinking. Fixed-point weights as Pillow keeps them (22 fraction bits) or as torchvision does (16-bit weights); both
 * are matched bit for bit.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { cos, sin } from "../core/math.ts";
import { type Image, rgbImage } from "./image.ts";

export type ResizeFilter = "nearest" | "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** Whose fixed-point weights to use; they differ by one grey level in about 0.3 % of the samples. */
export type ResizeArithmetic = "torchvision" | "pillow";

/** A rectangle of pixels, `x` and `y` from the top left. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface ResizeOptions {
  readonly filter: ResizeFilter;
  /** Default `torchvision`, which knows only bilinear and bicubic; the other filters always follow Pillow. */
  readonly arithmetic?: ResizeArithmetic;
  /** Compute only this part of the resized image. */
  readonly region?: Region;
}

interface Kernel {
  /** Half width in source pixels at scale 1. */
  readonly support: number;
  weight(x: number): number;
}

function triangle(x: number): number {
  const d = Math.abs(x);
  return d < 1 ? 1 - d : 0;
}

/** Keys, "Cubic convolution interpolation for digital image processing" (1981), with a = -1/2. */
function cubic(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * -0.5;
  return 0;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  const a = x * Math.PI;
  return sin(a) / a;
}

/** A sinc under a Hamming window one pixel wide, 0.54 + 0.46 cos(pi x). */
function hamming(x: number): number {
  const d = Math.abs(x);
  return d < 1 ? sinc(d) * (0.54 + 0.46 * cos(d * Math.PI)) : 0;
}

const KERNELS: Readonly<Record<Exclude<ResizeFilter, "nearest">, Kernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: triangle },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Weights of one axis: output `i` sums `counts[i]` sources from `starts[i]`, weights from `i * stride`. */
interface Axis {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
  readonly bits: number;
}

/** Fraction bits so that torchvision's largest weight of the whole axis still fits 16 bits. */
function int16Bits(largest: number): number {
  let bits = 0;
  while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 1 << 15) bits++;
  return bits;
}

/** Most outputs whose weights are looked at to find an axis' largest weight. */
const PERIOD_LIMIT = 1 << 16;

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Normalised weights of output `i` into `row`; returns the first source, the count is `end - start`. */
function rowWeights(kernel: Kernel, from: number, to: number, i: number, row: Float64Array): readonly [number, number] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = kernel.support * stretch;
  const center = (i + 0.5) * scale;
  const start = Math.max(Math.trunc(center - support + 0.5), 0);
  const end = Math.min(Math.trunc(center + support + 0.5), from);
  const inverse = 1 / stretch;
  let sum = 0;
  for (let x = start; x < end; x++) {
    const w = kernel.weight((x - center + 0.5) * inverse);
    row[x - start] = w;
    sum += w;
  }
  if (sum !== 0) for (let x = 0; x < end - start; x++) row[x] /= sum;
  return [start, end];
}

/**
 * Weights of output `i` of an axis of `from` samples that becomes one of `to`, into `row`; they sum to 1. Such rows fit
 * both pixels and PyTorch's `interpolate(..., antialias=True)`.
 * @param row `from` long, or less where the filter is known to be narrower
 * @returns the first source, and the one behind the last
 */
export function antialiasedWeights(
  filter: "bilinear" | "bicubic",
  from: number,
  to: number,
  i: number,
  row: Float64Array,
): readonly [number, number] {
  return rowWeights(KERNELS[filter], from, to, i, row);
}

/** Largest weight over all outputs of the axis; away from the edges the weights repeat with the scale's period. */
function largestWeight(kernel: Kernel, from: number, to: number, row: Float64Array): number {
  let largest = 0;
  const look = (i: number): void => {
    const [start, end] = rowWeights(kernel, from, to, i, row);
    for (let x = 0; x < end - start; x++) if (row[x] > largest) largest = row[x];
  };
  const period = to / greatestDivisor(from, to);
  const edge = Math.ceil(((kernel.support + 1) * Math.max(from / to, 1) * to) / from) + 1;
  const head = Math.min(to, edge + Math.min(period, PERIOD_LIMIT));
  for (let i = 0; i < head; i++) look(i);
  for (let i = Math.max(head, to - edge); i < to; i++) look(i);
  return largest;
}

function axisOf(
  kernel: Kernel,
  from: number,
  to: number,
  first: number,
  count: number,
  arithmetic: ResizeArithmetic,
): Axis {
  const stride = Math.ceil(kernel.support * Math.max(from / to, 1)) * 2 + 1;
  const row = new Float64Array(stride);
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * stride);
  const bits = arithmetic === "pillow" ? 22 : int16Bits(largestWeight(kernel, from, to, row));
  const one = 2 ** bits;
  for (let i = 0; i < count; i++) {
    const [start, end] = rowWeights(kernel, from, to, first + i, row);
    starts[i] = start;
    counts[i] = end - start;
    for (let x = 0; x < end - start; x++)
      weights[i * stride + x] = Math.trunc(row[x] * one + (row[x] < 0 ? -0.5 : 0.5));
  }
  return { starts, counts, weights, stride, bits };
}

/** Shrinks or stretches rows `top..top + rows` of `data` along x. */
function horizontal(data: Uint8Array, width: number, top: number, rows: number, axis: Axis): Uint8Array {
  const { starts, counts, weights, stride, bits } = axis;
  const outWidth = starts.length;
  const out = new Uint8Array(outWidth * rows * 3);
  const half = 1 << (bits - 1);
  for (let y = 0, to = 0; y < rows; y++) {
    const line = (top + y) * width;
    for (let x = 0; x < outWidth; x++, to += 3) {
      let r = half;
      let g = half;
      let b = half;
      const last = x * stride + counts[x];
      for (let k = x * stride, from = (line + starts[x]) * 3; k < last; k++, from += 3) {
        const w = weights[k];
        r = (r + Math.imul(data[from], w)) | 0;
        g = (g + Math.imul(data[from + 1], w)) | 0;
        b = (b + Math.imul(data[from + 2], w)) | 0;
      }
      r >>= bits;
      g >>= bits;
      b >>= bits;
      out[to] = r < 0 ? 0 : r > 255 ? 255 : r;
      out[to + 1] = g < 0 ? 0 : g > 255 ? 255 : g;
      out[to + 2] = b < 0 ? 0 : b > 255 ? 255 : b;
    }
  }
  return out;
}

/** Along y; `data` begins at source row `top`. */
function vertical(data: Uint8Array, rowBytes: number, top: number, axis: Axis): Uint8Array {
  const { starts, counts, weights, stride, bits } = axis;
  const outHeight = starts.length;
  const out = new Uint8Array(outHeight * rowBytes);
  const sums = new Int32Array(rowBytes);
  const half = 1 << (bits - 1);
  for (let y = 0; y < outHeight; y++) {
    sums.fill(half);
    for (let k = 0; k < counts[y]; k++) {
      const w = weights[y * stride + k];
      const line = (starts[y] - top + k) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] = (sums[i] + Math.imul(data[line + i], w)) | 0;
    }
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) {
      const v = sums[i] >> bits;
      out[to + i] = v < 0 ? 0 : v > 255 ? 255 : v;
    }
  }
  return out;
}

function nearest(image: Image, width: number, height: number, region: Region): Image {
  const out = new Uint8Array(region.width * region.height * 3);
  const scaleX = image.width / width;
  const scaleY = image.height / height;
  for (let y = 0, to = 0; y < region.height; y++) {
    const row = Math.min(Math.trunc((region.y + y + 0.5) * scaleY), image.height - 1) * image.width;
    for (let x = 0; x < region.width; x++, to += 3) {
      const from = (row + Math.min(Math.trunc((region.x + x + 0.5) * scaleX), image.width - 1)) * 3;
      out[to] = image.data[from];
      out[to + 1] = image.data[from + 1];
      out[to + 2] = image.data[from + 2];
    }
  }
  return rgbImage(region.width, region.height, out);
}

/** The rectangle of an image, copied. The rectangle must lie inside. */
export function cropImage(image: Image, region: Region): Image {
  checkRegion(image.width, image.height, region);
  if (region.width === image.width && region.height === image.height) return image;
  const out = new Uint8Array(region.width * region.height * 3);
  for (let y = 0; y < region.height; y++) {
    const from = ((region.y + y) * image.width + region.x) * 3;
    out.set(image.data.subarray(from, from + region.width * 3), y * region.width * 3);
  }
  return rgbImage(region.width, region.height, out);
}

function checkRegion(width: number, height: number, r: Region): void {
  const whole = [r.x, r.y, r.width, r.height].every(Number.isInteger);
  if (
    whole &&
    r.x >= 0 &&
    r.y >= 0 &&
    r.width >= 1 &&
    r.height >= 1 &&
    r.x + r.width <= width &&
    r.y + r.height <= height
  ) {
    return;
  }
  throw new FoveaError(
    "image.region",
    `The region ${r.width}x${r.height} at (${r.x}, ${r.y}) does not lie inside an image of ${width}x${height} pixels.`,
  );
}

/**
 * Resizes to `width` x `height` pixels.
 * @returns the resized image, or `options.region` of it
 * @throws FoveaError `image.shape` for sizes that are not positive integers, `image.region` for a region outside
 */
export function resizeImage(image: Image, width: number, height: number, options: ResizeOptions): Image {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new FoveaError(
      "image.shape",
      `An image of ${image.width}x${image.height} pixels cannot be resized to ${width}x${height}; ` +
        "both sides must be whole numbers from 1.",
    );
  }
  const region = options.region ?? { x: 0, y: 0, width, height };
  checkRegion(width, height, region);
  if (width === image.width && height === image.height) return cropImage(image, region);
  if (options.filter === "nearest") return nearest(image, width, height, region);
  const kernel = KERNELS[options.filter];
  const smooth = options.filter === "bilinear" || options.filter === "bicubic";
  const arithmetic = smooth ? (options.arithmetic ?? "torchvision") : "pillow";

  const down =
    height === image.height ? undefined : axisOf(kernel, image.height, height, region.y, region.height, arithmetic);
  // Only the source rows that the vertical pass will read.
  let top = region.y;
  let rows = region.height;
  if (down !== undefined) {
    top = down.starts[0];
    rows = down.starts[region.height - 1] + down.counts[region.height - 1] - top;
  }
  const middle =
    width === image.width
      ? cropImage(image, { x: region.x, y: top, width: region.width, height: rows }).data
      : horizontal(
          image.data,
          image.width,
          top,
          rows,
          axisOf(kernel, image.width, width, region.x, region.width, arithmetic),
        );
  const data = down === undefined ? middle : vertical(middle, region.width * 3, top, down);
  return rgbImage(region.width, region.height, data);
}
