/**
 * Antialiased resampling of 8-bit pixels: a horizontal pass, 8-bit rows between, a vertical pass, with the filter stretched
 * when shrinking. Fixed-point weights as Pillow keeps them (22 fraction bits) or as torchvision does (16-bit weights); both
 * are matched bit for bit.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { cos, sin } from "../core/math.ts";
import { decodedSide, type Reduction, type ResampleTable, sourceSpan, TAPS_AT_ONCE } from "../core/pixel_cut.ts";
import { type Image, rgbImage } from "./image.ts";
import { resampleColumns, resampleRows } from "./resample.ts";

/** Resampling filters, as Pillow names them; all but `nearest` are stretched when shrinking. */
export type ResizeFilter = "nearest" | "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** Whose fixed-point weights to use; they differ by one grey level in about 0.3 % of the samples. */
export type ResizeArithmetic = "torchvision" | "pillow";

/** A rectangle of pixels, `x` and `y` from the top left. */
export interface Region {
  /** Columns left of it. */
  readonly x: number;
  /** Rows above it. */
  readonly y: number;
  /** Pixels of its rows. */
  readonly width: number;
  /** Number of its rows. */
  readonly height: number;
}

/** How {@link resizeImage} resamples. */
export interface ResizeOptions {
  /** Weighs the source pixels of each result. */
  readonly filter: ResizeFilter;
  /** Default `torchvision`, which knows nearest, bilinear, bicubic and Lanczos; the other filters always follow Pillow. */
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

/** Fraction bits of Pillow's weights. */
const FIXED_BITS = 22;

/** Fraction bits so that torchvision's largest weight of the whole axis still fits 16 bits. */
function int16Bits(largest: number): number {
  let bits = 0;
  while (bits < FIXED_BITS && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 1 << 15) bits++;
  return bits;
}

/** Most outputs whose weights are looked at to find an axis' largest weight. */
const PERIOD_LIMIT = 1 << 16;

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/**
 * Normalised weights of output `i` into `row`; returns the first source, the count is `end - start`.
 * @param sources that are there, fewer than `from` where that is not whole
 */
function rowWeights(
  kernel: Kernel,
  from: number,
  to: number,
  i: number,
  row: Float64Array,
  sources: number = from,
): readonly [number, number] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = kernel.support * stretch;
  const center = (i + 0.5) * scale;
  const start = Math.max(Math.trunc(center - support + 0.5), 0);
  const end = Math.min(Math.trunc(center + support + 0.5), sources);
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
function largestWeight(kernel: Kernel, side: number, reduction: number, to: number, row: Float64Array): number {
  const from = side / reduction;
  let largest = 0;
  const look = (i: number): void => {
    const [start, end] = rowWeights(kernel, from, to, i, row, Math.floor(from));
    for (let x = 0; x < end - start; x++) if (row[x] > largest) largest = row[x];
  };
  const period = (to * reduction) / greatestDivisor(side, to * reduction);
  const edge = Math.ceil(((kernel.support + 1) * Math.max(from / to, 1) * to) / from) + 1;
  const head = Math.min(to, edge + Math.min(period, PERIOD_LIMIT));
  for (let i = 0; i < head; i++) look(i);
  for (let i = Math.max(head, to - edge); i < to; i++) look(i);
  return largest;
}

const tapsOf = (needed: number): number => Math.ceil(Math.max(needed, 1) / TAPS_AT_ONCE) * TAPS_AT_ONCE;

/** Fraction bits of tables that copy: one is a 16-bit number then. */
const COPY_BITS = 14;

/** Every output copies one source. */
function copyTable(count: number, arithmetic: ResizeArithmetic, source: (i: number) => number): ResampleTable {
  const taps = tapsOf(1);
  const weights = new Int32Array(count * taps);
  for (let i = 0; i < count; i++) weights[i * taps] = 1 << COPY_BITS;
  const starts = Int32Array.from({ length: count }, (_, i) => source(i));
  return { starts, weights, taps, bits: COPY_BITS, narrow: arithmetic === "torchvision" };
}

/**
 * Middles of outputs as Pillow's nearest finds them: each is the one before and a step, with that sum's rounding. PyTorch
 * multiplies, in f32.
 */
function steppedCenters(step: number, count: number): Float64Array {
  const centers = new Float64Array(count);
  for (let i = 0, at = step * 0.5; i < count; i++, at += step) centers[i] = at;
  return centers;
}

/**
 * The table of outputs `first..first + count - 1` of an axis of `side` samples that becomes one of `to`.
 * @param arithmetic `torchvision` has weights of 16 bits
 * @param reduction samples that one source stands for
 */
export function resampleTable(
  filter: ResizeFilter,
  side: number,
  to: number,
  first: number,
  count: number,
  arithmetic: ResizeArithmetic,
  reduction: Reduction | 1 = 1,
): ResampleTable {
  const own = arithmeticOf(filter, arithmetic);
  const from = side / reduction;
  const sources = decodedSide(side, reduction);
  if (from === to) return copyTable(count, own, (i) => first + i);
  if (filter === "nearest") {
    const centers = own === "pillow" ? steppedCenters(from / to, first + count) : undefined;
    const center = (i: number): number => centers?.[i] ?? Math.fround((i + 0.5) * Math.fround(from / to));
    return copyTable(count, own, (i) => Math.min(Math.trunc(center(first + i)), sources - 1));
  }
  const kernel = KERNELS[filter];
  const stride = Math.ceil(kernel.support * Math.max(from / to, 1)) * 2 + 1;
  const row = new Float64Array(stride);
  const bits = own === "pillow" ? FIXED_BITS : int16Bits(largestWeight(kernel, side, reduction, to, row));
  const one = 2 ** bits;
  const starts = new Int32Array(count);
  const wide = new Int32Array(count * stride);
  let needed = 0;
  for (let i = 0; i < count; i++) {
    const [start, end] = rowWeights(kernel, from, to, first + i, row, sources);
    starts[i] = start;
    needed = Math.max(needed, end - start);
    for (let x = 0; x < end - start; x++) wide[i * stride + x] = Math.trunc(row[x] * one + (row[x] < 0 ? -0.5 : 0.5));
  }
  const taps = tapsOf(needed);
  const weights = new Int32Array(count * taps);
  for (let i = 0; i < count; i++) {
    // Kernels are fastest where all taps lie inside the axis, those with weight 0 as well.
    const back = Math.min(Math.max(starts[i] + taps - sources, 0), starts[i], taps - needed);
    weights.set(wide.subarray(i * stride, i * stride + needed), i * taps + back);
    starts[i] -= back;
  }
  return { starts, weights, taps, bits, narrow: own === "torchvision" };
}

/** Filters that torchvision resamples in arithmetic of its own, Lanczos since 0.27. */
const OF_TORCHVISION: readonly ResizeFilter[] = ["nearest", "bilinear", "bicubic", "lanczos"];

/** Other filters than torchvision's are Pillow's. */
export function arithmeticOf(filter: ResizeFilter, arithmetic: ResizeArithmetic | undefined): ResizeArithmetic {
  return OF_TORCHVISION.includes(filter) ? (arithmetic ?? "torchvision") : "pillow";
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
 * Refuses sizes and regions that no resize can have.
 * @throws FoveaError `image.shape`, `image.region`
 */
export function checkResize(
  image: { readonly width: number; readonly height: number },
  width: number,
  height: number,
  region: Region | undefined,
): void {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new FoveaError(
      "image.shape",
      `An image of ${image.width}x${image.height} pixels cannot be resized to ${width}x${height}; ` +
        "both sides must be whole numbers from 1.",
    );
  }
  if (region !== undefined) checkRegion(width, height, region);
}

/**
 * Resizes to `width` x `height` pixels.
 * @returns the resized image, or `options.region` of it
 * @throws FoveaError `image.shape` for sizes that are not positive integers, `image.region` for a region outside
 */
export function resizeImage(image: Image, width: number, height: number, options: ResizeOptions): Image {
  checkResize(image, width, height, options.region);
  const region = options.region ?? { x: 0, y: 0, width, height };
  if (width === image.width && height === image.height) return cropImage(image, region);
  const { filter } = options;
  const arithmetic = arithmeticOf(filter, options.arithmetic);
  const down =
    height === image.height
      ? undefined
      : resampleTable(filter, image.height, height, region.y, region.height, arithmetic);
  // Only the source rows that the vertical pass will read.
  const [top, end] = down === undefined ? [region.y, region.y + region.height] : sourceSpan(down);
  const middle =
    width === image.width
      ? cropImage(image, { x: region.x, y: top, width: region.width, height: end - top }).data
      : resampleColumns(
          image.data,
          image.width,
          top,
          end - top,
          resampleTable(filter, image.width, width, region.x, region.width, arithmetic),
        );
  const data = down === undefined ? middle : resampleRows(middle, region.width * 3, top, down);
  return rgbImage(region.width, region.height, data);
}
