/** What decoding a picture is, whatever its format's decoder and however that was found. */
import { FoveaError } from "../core/diagnostics.ts";
import { decodedSide, type Reduction } from "../core/pixel_cut.ts";
import { type Image, orient } from "./image.ts";
import { type DecodeLimits, type ImageFormat, type ImageHeader, sniffImage, subject } from "./image_header.ts";

/**
 * Most pixels that an image may promise unless `maxPixels` says otherwise: 67 million, enough for full-frame cameras. The
 * codecs need up to 16 bytes a pixel while they work, so this keeps a hostile file near one gigabyte.
 */
export const DEFAULT_MAX_PIXELS: number = 1 << 26;

/** What callers say about any picture. */
export interface PictureOptions {
  /** Most pixels that an image may promise; checked before pixels are allocated. */
  readonly maxPixels?: number;
  /** What error messages call the image, such as its file name. */
  readonly name?: string;
  /** Turn the image as its EXIF orientation says, which Hugging Face's `load_image` does and its processors do not. */
  readonly exif?: boolean;
}

/** Pixels as they are stored, and what the file's header promised. */
export interface DecodedImage {
  readonly image: Image;
  readonly header: ImageHeader;
  /** How far below the header's size the file was read; whole where absent. */
  readonly reduction?: Reduction;
}

/** Decodes a file of a format that its first bytes told. */
export type FormatDecoder = (format: ImageFormat, bytes: Uint8Array, limits: DecodeLimits) => Promise<DecodedImage>;

/**
 * Tells the format, decodes and turns a picture.
 * @throws FoveaError `image.empty`, `image.unknown`, `image.unsupported`, `image.damaged`, and what the decoder throws
 */
export async function decodeImageWith(
  bytes: Uint8Array,
  options: PictureOptions,
  decode: FormatDecoder,
): Promise<Image> {
  const limits: DecodeLimits = {
    name: options.name ?? "the image",
    maxPixels: options.maxPixels ?? DEFAULT_MAX_PIXELS,
  };
  const { image, header, reduction } = await decode(sniffImage(bytes, limits), bytes, limits);
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
