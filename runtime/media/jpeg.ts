/** JPEG files (ITU-T T.81): frame header, scans and end are checked here, MozJPEG's decoder does the rest. */
import { type CodecLoader, type CodecSpec, runCodec } from "./codec.ts";
import { exifOrientation, withoutExifPrefix } from "./exif.ts";
import { type Image, toRgb } from "./image.ts";
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
      return { format: "jpeg", width, height, orientation, end };
    }
    at = end;
  }
}

const ENDS_EARLY = "it ends before its last pixels or its end marker";

/**
 * Counts scans and looks for the end marker; inside a scan 0xff is followed by zero or a restart marker.
 * @throws FoveaError `image.truncated`, `image.unsupported`
 */
function checkScans(bytes: Uint8Array, from: number, limits: DecodeLimits): void {
  let scans = 0;
  for (let at = bytes.indexOf(0xff, from); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    const marker = bytes[at + 1];
    if (marker === 0xd9) return;
    if (marker === 0xda && ++scans > MAX_SCANS) throw unsupported(limits, `a JPEG with more than ${MAX_SCANS} scans`);
  }
  throw truncated(limits, "JPEG", ENDS_EARLY);
}

/** Samples of a JPEG file, 1 or 3 channels of 8 bits, or nothing for files that it does not take. */
export type FastJpeg = (
  bytes: Uint8Array,
) => Promise<
  { readonly width: number; readonly height: number; readonly channels: number; readonly data: Uint8Array } | undefined
>;

/** What a fast decoder makes of a file whose header was read. */
async function decodeFast(bytes: Uint8Array, header: ImageHeader, fast: FastJpeg): Promise<Image | undefined> {
  const found = await fast(bytes);
  if (found === undefined || found.width !== header.width || found.height !== header.height) return undefined;
  const { width, height, channels, data } = found;
  return channels === 1 || channels === 3 ? toRgb({ width, height, channels, data }) : undefined;
}

/**
 * Decodes a JPEG file to RGB.
 * @param fast asked first; what it does not take is the codec's
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export async function decodeJpeg(
  bytes: Uint8Array,
  limits: DecodeLimits,
  loader: CodecLoader,
  fast?: FastJpeg,
): Promise<{ image: Image; header: ImageHeader }> {
  const header = readJpegHeader(bytes, limits);
  checkScans(bytes, header.end, limits);
  const quick = fast === undefined ? undefined : await decodeFast(bytes, header, fast);
  if (quick !== undefined) return { image: quick, header };
  const { pixels, thrown, complaints } = await runCodec(CODEC, loader, bytes);
  if (complaints.some((c) => /premature end of jpeg file/i.test(c))) throw truncated(limits, "JPEG", ENDS_EARLY);
  // Stray bytes before a marker lose no pixels; every other corruption does.
  const corrupt = complaints.find((c) => /^corrupt/i.test(c) && !/extraneous/i.test(c));
  if (corrupt !== undefined) throw damaged(limits, "JPEG", corrupt);
  if (pixels === undefined) throw damaged(limits, "JPEG", complaints.at(-1) ?? "it cannot be decoded", thrown);
  return { image: toRgb({ width: pixels.width, height: pixels.height, channels: 4, data: pixels.data }), header };
}
