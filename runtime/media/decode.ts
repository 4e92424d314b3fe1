/** Image files to pixels. The format is told by the first bytes; its codec is loaded when first needed. */
import { FoveaError } from "../core/diagnostics.ts";
import { decodedSide, type Reduction } from "../core/pixel_cut.ts";
import type { CodecLoader } from "./codec.ts";
import { type Image, orient } from "./image.ts";
import { type DecodeLimits, type ImageHeader, noCodec, sniffImage, subject } from "./image_header.ts";
import type { ChooseReduction, FastJpeg } from "./jpeg.ts";

export type { CodecLoader } from "./codec.ts";

/**
 * Most pixels that an image may promise unless `maxPixels` says otherwise: 67 million, enough for full-frame cameras. The
 * codecs need up to 16 bytes a pixel while they work, so this keeps a hostile file near one gigabyte.
 */
export const DEFAULT_MAX_PIXELS: number = 1 << 26;

export interface DecodeOptions {
  /** Finds and compiles the WASM of the JPEG and WebP codecs; PNG and GIF need none. Hosts provide one. */
  readonly loadCodec?: CodecLoader;
  /**
   * A faster decoder of JPEG files, asked before the codec: 8-bit grey or RGB samples equal to the codec's, or nothing for
   * what it does not take.
   */
  readonly decodeJpeg?: FastJpeg;
  /**
   * Lets `decodeJpeg` read a file at a reduced size, which gives other pixels than a whole decode and a resize: the result says
   * of what they are a reduction.
   */
  readonly reduceJpeg?: ChooseReduction;
  /** Most pixels that an image may promise; checked before pixels are allocated. */
  readonly maxPixels?: number;
  /** What error messages call the image, such as its file name. */
  readonly name?: string;
  /** Turn the image as its EXIF orientation says, which Hugging Face's `load_image` does and its processors do not. */
  readonly exif?: boolean;
}

/**
 * Decodes a PNG, JPEG, WebP or GIF file; of an animated one the first frame, as Pillow does.
 * @returns 8-bit RGB pixels; alpha is dropped, not blended
 * @throws FoveaError `image.empty`, `image.unknown`, `image.unsupported`, `image.truncated`, `image.damaged`,
 * `image.too_large`, `image.no_codec`
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  const limits: DecodeLimits = {
    name: options.name ?? "the image",
    maxPixels: options.maxPixels ?? DEFAULT_MAX_PIXELS,
  };
  const { image, header, reduction } = await decodeFormat(bytes, limits, options);
  const { width, height } = header;
  if (image.width !== decodedSide(width, reduction) || image.height !== decodedSide(height, reduction)) {
    throw new FoveaError(
      "image.damaged",
      `${subject(limits)} declares ${width}x${height} pixels and holds ${image.width}x${image.height}.`,
    );
  }
  const turned = options.exif === true ? orient(image, header.orientation) : image;
  if (reduction === undefined) return turned;
  const whole = options.exif === true && header.orientation >= 5 ? { width: height, height: width } : { width, height };
  return { ...turned, reducedFrom: { ...whole, reduction } };
}

async function decodeFormat(
  bytes: Uint8Array,
  limits: DecodeLimits,
  { loadCodec, decodeJpeg: fast, reduceJpeg: reduce, exif: turned }: DecodeOptions,
): Promise<{ image: Image; header: ImageHeader; reduction?: Reduction }> {
  const format = sniffImage(bytes, limits);
  if (format === "png") return (await import("./png.ts")).decodePng(bytes, limits);
  if (format === "gif") return (await import("./gif.ts")).decodeGif(bytes, limits);
  if (loadCodec === undefined) throw noCodec(limits, format === "jpeg" ? "JPEG" : "WebP");
  if (format === "jpeg") {
    const { decodeJpeg } = await import("./jpeg.ts");
    return decodeJpeg(bytes, limits, loadCodec, { fast, reduce, ...(turned === undefined ? {} : { turned }) });
  }
  return (await import("./webp.ts")).decodeWebp(bytes, limits, loadCodec);
}
