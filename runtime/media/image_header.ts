/** What the first bytes of an image file promise, read before anything is allocated for its pixels. */
import { FoveaError } from "../core/diagnostics.ts";

export type ImageFormat = "png" | "jpeg" | "webp" | "gif";

/** Limits and naming that every decoder obeys. */
export interface DecodeLimits {
  /** What messages call the input: a file name, or "the image". */
  readonly name: string;
  /** Most pixels that an image may promise. */
  readonly maxPixels: number;
}

/** Declared size and orientation of an image file. */
export interface ImageHeader {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 to 8; 1 when none is stated. */
  readonly orientation: number;
}

/** `limits.name` as a sentence starts. */
export function subject(limits: DecodeLimits): string {
  return limits.name === "the image" ? "The image" : limits.name;
}

export function truncated(limits: DecodeLimits, format: string, detail: string, cause?: unknown): FoveaError {
  return new FoveaError(
    "image.truncated",
    `${subject(limits)} is a truncated ${format} file: ${detail}. Copy or download it again.`,
    { cause },
  );
}

export function damaged(limits: DecodeLimits, format: string, detail: string, cause?: unknown): FoveaError {
  return new FoveaError("image.damaged", `${subject(limits)} is a damaged ${format} file: ${detail}.`, { cause });
}

export function unsupported(limits: DecodeLimits, detail: string): FoveaError {
  return new FoveaError(
    "image.unsupported",
    `${subject(limits)} is ${detail}, which is not supported; convert it to an RGB PNG, JPEG or WebP first.`,
  );
}

export function noCodec(limits: DecodeLimits, format: string): FoveaError {
  return new FoveaError(
    "image.no_codec",
    `${subject(limits)} is a ${format} file and no codec loader was given; pass loadCodec, or convert it to PNG.`,
  );
}

/**
 * Refuses sizes of zero and sizes above the limit.
 * @throws FoveaError `image.damaged`, `image.too_large`
 */
export function checkSize(limits: DecodeLimits, format: string, width: number, height: number): void {
  if (width < 1 || height < 1) throw damaged(limits, format, `its header declares ${width}x${height} pixels`);
  if (width * height > limits.maxPixels) {
    throw new FoveaError(
      "image.too_large",
      `${subject(limits)} declares ${width}x${height} = ${width * height} pixels, above the limit of ${limits.maxPixels}; scale it down.`,
    );
  }
}

const ascii = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** Other formats that people try, so that the message can name them. */
function foreignFormat(bytes: Uint8Array): string | undefined {
  const head = ascii(bytes, 0, 4);
  if (head.startsWith("BM") && bytes.length > 26) return "a BMP file";
  if (head === "II*\0" || head === "MM\0*") return "a TIFF file";
  if (head === "%PDF") return "a PDF file";
  if (ascii(bytes, 4, 4) === "ftyp") return "an AVIF, HEIC or MP4 file";
  return undefined;
}

/**
 * Tells the format by the first bytes.
 * @throws FoveaError `image.empty`, `image.unsupported`, `image.unknown`
 */
export function sniffImage(bytes: Uint8Array, limits: DecodeLimits): ImageFormat {
  if (bytes.length === 0)
    throw new FoveaError("image.empty", `${subject(limits)} is empty (0 bytes); expected an image.`);
  if (bytes[0] === 0x89 && ascii(bytes, 1, 3) === "PNG") return "png";
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "jpeg";
  if (ascii(bytes, 0, 4) === "GIF8") return "gif";
  if (ascii(bytes, 0, 4) === "RIFF" && (bytes.length < 12 || ascii(bytes, 8, 4) === "WEBP")) return "webp";
  const foreign = foreignFormat(bytes);
  if (foreign !== undefined) throw unsupported(limits, foreign);
  const start = [...bytes.subarray(0, 8)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  throw new FoveaError(
    "image.unknown",
    `${subject(limits)} is not an image: it begins with the bytes ${start}; expected PNG, JPEG, WebP or GIF.`,
  );
}
