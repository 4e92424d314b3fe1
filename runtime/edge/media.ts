/** Pictures and recordings of a frozen folder: bytes and samples, in the formats that were frozen with it. */
import { FoveaError } from "../core/diagnostics.ts";
import type { AudioClip } from "../media/audio/clip.ts";
import type { CodecLoader } from "../media/codec.ts";
import { type DecodedImage, decodeImageWith } from "../media/decode_with.ts";
import type { DecodeLimits } from "../media/image_header.ts";
import { checkedClip, checkedPixels } from "../session/inputs/given_media.ts";
import type { MediaReader } from "../session/inputs/inputs.ts";

/** A format that a folder was frozen with. */
export interface FrozenFormat {
  readonly image?: (bytes: Uint8Array, limits: DecodeLimits, loadCodec: CodecLoader) => Promise<DecodedImage>;
  readonly audio?: (bytes: Uint8Array, name: string) => Promise<AudioClip>;
}

export type FrozenFormats = Readonly<Record<string, FrozenFormat>>;

/** Paths and addresses are the caller's to read. */
const FILES = "bytes, a blob";

const noFormat = (name: string, format: string, formats: FrozenFormats, instead: string): FoveaError =>
  new FoveaError(
    "no_format",
    `${name} is a file of the format ${format}, and this folder was frozen with ${Object.keys(formats).join(", ") || "none"}. Freeze it again with --formats ${format}, or give ${instead}.`,
  );

async function bytesOf(given: unknown): Promise<Uint8Array | undefined> {
  if (given instanceof Uint8Array) return given;
  if (given instanceof ArrayBuffer) return new Uint8Array(given);
  if (given instanceof Blob) return new Uint8Array(await given.arrayBuffer());
  return undefined;
}

/** @param loadCodec finds the modules of picture codecs by their packages' names */
export function frozenMedia(formats: FrozenFormats, maxPixels: number, loadCodec: CodecLoader): MediaReader {
  return {
    image: async (picture, { name = "The picture" } = {}) => {
      const bytes = await bytesOf(picture);
      if (bytes === undefined) return checkedPixels(picture, name, FILES);
      return decodeImageWith(bytes, { name, maxPixels, exif: true }, async (format, file, limits) => {
        const decode = formats[format]?.image;
        if (decode === undefined) throw noFormat(name, format, formats, "pixels");
        return decode(file, limits, loadCodec);
      });
    },
    audio: async (audio, { name = "The recording" } = {}) => {
      const bytes = await bytesOf(audio);
      if (bytes === undefined) return checkedClip(audio, name, FILES);
      if (formats.wav?.audio === undefined) throw noFormat(name, "wav", formats, "samples");
      return formats.wav.audio(bytes, name);
    },
    video: async (_, __, { name = "The video" } = {}) => {
      throw new FoveaError("invalid_input", `${name} cannot be read here; give its frames as \`images\`.`);
    },
  };
}
