/** JPEG files (ITU-T T.81): frame header, scans and end are checked here, MozJPEG's decoder does the rest. */
import { decodedSide, type PictureSize, type Reduction } from "../core/pixel_cut.ts";
import { type CodecLoader, type CodecSpec, runCodec } from "./codec.ts";
import { exifOrientation, withoutExifPrefix } from "./exif.ts";
import { type Image, mirroredSides, toRgb } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, type ImageHeader, truncated, unsupported } from "./image_header.ts";

const CODEC: CodecSpec = {
  wasm: "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
  glue: () => import("@jsquash/jpeg/codec/dec/mozjpeg_dec.js"),
  // Do not turn the image as EXIF says; see DecodeOptions.exif.
  flags: [false],
};

/** Start-of-frame markers; 0xc4, 0xc8 and 0xcc in their midst mean other things. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

/**
 * Most pixels that a byte of a file can stand for: every 8x8 block of every component costs at least one bit, and the most
 * lopsided sampling of three components leaves 9 blocks for 1024 pixels. More is a header without its image.
 */
const PIXELS_PER_BYTE = 1024;
/** Far above the ten or so scans of a progressive file; each costs a pass over the whole image. */
const MAX_SCANS = 256;

/** Size and orientation, and where the segments after the frame header begin. */
interface JpegHeader extends ImageHeader {
  readonly end: number;
  /** Components that a scan must have to be the only one; of progressive files none is. */
  readonly whole: number;
}

/**
 * Reads markers up to the frame header.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export function readJpegHeader(bytes: Uint8Array, limits: DecodeLimits): JpegHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let orientation = 1;
  for (let at = 2; ; ) {
    // Any number of 0xff may come before a marker.
    while (at + 1 < bytes.length && bytes[at] === 0xff && bytes[at + 1] === 0xff) at++;
    if (at + 4 > bytes.length)
      throw truncated(limits, "JPEG", `it ends after ${bytes.length} bytes, before its frame header`);
    if (bytes[at] !== 0xff) throw damaged(limits, "JPEG", `byte ${at} should begin a marker and is ${bytes[at]}`);
    const marker = bytes[at + 1];
    if (marker === 0xda || marker === 0xd9) throw damaged(limits, "JPEG", "it has no frame header before its pixels");
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += 2;
      continue;
    }
    const length = view.getUint16(at + 2);
    const end = at + 2 + length;
    if (length < 2) throw damaged(limits, "JPEG", `the segment at byte ${at} has length ${length}`);
    if (end > bytes.length) {
      throw truncated(limits, "JPEG", `the segment at byte ${at} needs ${end} bytes, the file has ${bytes.length}`);
    }
    const body = bytes.subarray(at + 4, end);
    if (marker === 0xe1 && body.length > 6 && withoutExifPrefix(body) !== body) {
      orientation = exifOrientation(withoutExifPrefix(body));
    }
    if (isFrame(marker)) {
      if (body.length < 6) throw damaged(limits, "JPEG", "its frame header is too short");
      const precision = body[0];
      const height = view.getUint16(at + 5);
      const width = view.getUint16(at + 7);
      const components = body[5];
      checkSize(limits, "JPEG", width, height);
      if (precision !== 8) throw unsupported(limits, `a JPEG with ${precision} bits a sample`);
      if (components === 4) throw unsupported(limits, "a CMYK JPEG");
      if (components !== 1 && components !== 3) throw unsupported(limits, `a JPEG with ${components} components`);
      if (marker !== 0xc0 && marker !== 0xc1 && marker !== 0xc2) {
        throw unsupported(limits, "a lossless, hierarchical or arithmetic-coded JPEG");
      }
      if (width * height > bytes.length * PIXELS_PER_BYTE) {
        throw truncated(limits, "JPEG", `${width}x${height} pixels cannot come out of ${bytes.length} bytes`);
      }
      return { format: "jpeg", width, height, orientation, end, whole: marker === 0xc2 ? 0 : components };
    }
    at = end;
  }
}

const ENDS_EARLY = "it ends before its last pixels or its end marker";

/**
 * Counts scans and looks for the end marker; inside a scan 0xff is followed by zero or a restart marker.
 * @returns whether there is one; a file without it must have a single scan, which the codec finds whole or not
 * @throws FoveaError `image.truncated`, `image.unsupported`
 */
function hasEnd(bytes: Uint8Array, { end: from, whole }: JpegHeader, limits: DecodeLimits): boolean {
  let [scans, components] = [0, 0];
  for (let at = bytes.indexOf(0xff, from); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    const marker = bytes[at + 1];
    if (marker === 0xd9) return true;
    if (marker === 0xda) components = bytes[at + 4];
    if (marker === 0xda && ++scans > MAX_SCANS) throw unsupported(limits, `a JPEG with more than ${MAX_SCANS} scans`);
  }
  if (scans === 1 && components === whole) return false;
  throw truncated(limits, "JPEG", ENDS_EARLY);
}

function withEnd(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 2);
  out.set(bytes);
  out.set([0xff, 0xd9], bytes.length);
  return out;
}

/**
 * Samples of a JPEG file, 1 or 3 channels of 8 bits, or nothing for files that it does not take.
 * @param reduction reads the file at a reduced size, sides rounded down
 */
export type FastJpeg = (
  bytes: Uint8Array,
  reduction?: Reduction,
) => Promise<
  { readonly width: number; readonly height: number; readonly channels: number; readonly data: Uint8Array } | undefined
>;

/** The reduction that a picture of a size, turned as EXIF says where that is done, may be read with. */
export type ChooseReduction = (size: PictureSize) => Reduction | 1;

/** How a JPEG file is decoded. */
export interface JpegOptions {
  /** Asked first; what it does not take is the codec's. */
  readonly fast?: FastJpeg | undefined;
  /** Of the fast decoder alone; whole unless given. */
  readonly reduce?: ChooseReduction | undefined;
  /** The picture will be turned as EXIF says. */
  readonly turned?: boolean;
}

/** What a fast decoder makes of a file whose header was read. */
async function decodeFast(
  bytes: Uint8Array,
  header: ImageHeader,
  fast: FastJpeg,
  reduction: Reduction | 1,
): Promise<Image | undefined> {
  const found = await (reduction === 1 ? fast(bytes) : fast(bytes, reduction));
  if (found === undefined) return undefined;
  const { width, height, channels, data } = found;
  const fits = width === decodedSide(header.width, reduction) && height === decodedSide(header.height, reduction);
  return fits && (channels === 1 || channels === 3) ? toRgb({ width, height, channels, data }) : undefined;
}

/** The wanted reduction, or the largest below it that leaves no rest where a turned picture begins. */
function reductionOf({ width, height, orientation }: ImageHeader, { reduce, turned }: JpegOptions): Reduction | 1 {
  if (reduce === undefined) return 1;
  const own = turned === true ? orientation : 1;
  const mirrored = mirroredSides(own);
  const wanted = reduce(own >= 5 ? { width: height, height: width } : { width, height });
  const fits = (by: number): boolean => !(mirrored.x && width % by > 0) && !(mirrored.y && height % by > 0);
  return ([8, 4, 2] as const).find((by) => by <= wanted && fits(by)) ?? 1;
}

/**
 * Decodes a JPEG file to RGB.
 * @returns also the reduction that it was read with
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export async function decodeJpeg(
  bytes: Uint8Array,
  limits: DecodeLimits,
  loader: CodecLoader,
  options: JpegOptions = {},
): Promise<{ image: Image; header: ImageHeader; reduction?: Reduction }> {
  const header = readJpegHeader(bytes, limits);
  const ended = hasEnd(bytes, header, limits);
  const { fast } = options;
  if (fast !== undefined && ended) {
    const reduction = reductionOf(header, options);
    const small = reduction === 1 ? undefined : await decodeFast(bytes, header, fast, reduction);
    if (small !== undefined && reduction !== 1) return { image: small, header, reduction };
    const whole = await decodeFast(bytes, header, fast, 1);
    if (whole !== undefined) return { image: whole, header };
  }
  const { pixels, thrown, complaints } = await runCodec(CODEC, loader, ended ? bytes : withEnd(bytes));
  // The codec tells of its first complaint alone.
  const early = complaints.some((c) => !ended || /premature end of jpeg file/i.test(c));
  if (early) throw truncated(limits, "JPEG", ENDS_EARLY);
  // Stray bytes before a marker lose no pixels; every other corruption does.
  const corrupt = complaints.find((c) => /^corrupt/i.test(c) && !/extraneous/i.test(c));
  if (corrupt !== undefined) throw damaged(limits, "JPEG", corrupt);
  if (pixels === undefined) throw damaged(limits, "JPEG", complaints.at(-1) ?? "it cannot be decoded", thrown);
  return { image: toRgb({ width: pixels.width, height: pixels.height, channels: 4, data: pixels.data }), header };
}
