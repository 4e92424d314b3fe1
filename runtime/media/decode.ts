/** Image files to pixels. The format is told by the first bytes; its codec is loaded when first needed. */
import { lazy } from "../core/lazy.ts";
import type { CodecLoader } from "./codec.ts";
import { decodeImageWith, type FormatDecoder, type PictureOptions } from "./decode_with.ts";
import type { Image } from "./image.ts";
import { noCodec } from "./image_header.ts";
import type { ChooseReduction, FastJpeg } from "./jpeg.ts";

export type { CodecLoader } from "./codec.ts";
export { DEFAULT_MAX_PIXELS } from "./decode_with.ts";

const formats = {
  png: lazy(() => import("./png.ts")),
  gif: lazy(() => import("./gif.ts")),
  jpeg: lazy(() => import("./jpeg.ts")),
  webp: lazy(() => import("./webp.ts")),
};

export interface DecodeOptions extends PictureOptions {
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
}

/**
 * Decodes a PNG, JPEG, WebP or GIF file; of an animated one the first frame, as Pillow does.
 * @returns 8-bit RGB pixels; alpha is dropped, not blended
 * @throws FoveaError `image.empty`, `image.unknown`, `image.unsupported`, `image.truncated`, `image.damaged`,
 * `image.too_large`, `image.no_codec`
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  const { loadCodec, decodeJpeg: fast, reduceJpeg: reduce, exif: turned } = options;
  const decode: FormatDecoder = async (format, _, limits) => {
    if (format === "png") return (await formats.png()).decodePng(bytes, limits);
    if (format === "gif") return (await formats.gif()).decodeGif(bytes, limits);
    if (loadCodec === undefined) throw noCodec(limits, format === "jpeg" ? "JPEG" : "WebP");
    if (format === "jpeg") {
      const { decodeJpeg } = await formats.jpeg();
      return decodeJpeg(bytes, limits, loadCodec, { fast, reduce, ...(turned === undefined ? {} : { turned }) });
    }
    return (await formats.webp()).decodeWebp(bytes, limits, loadCodec);
  };
  return decodeImageWith(bytes, options, decode);
}
