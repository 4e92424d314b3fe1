/** JPEG files through `sharp`, an optional peer: the pixels of the WASM codec, decoded outside of the caller's thread. */

/** 8-bit samples of a JPEG file, not turned by its EXIF orientation. */
export interface JpegSamples {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** Nothing for files that it does not take as they are; the WASM codec then says what is wrong with them. */
export type JpegDecoder = (bytes: Uint8Array) => Promise<JpegSamples | undefined>;

interface SharpImage {
  raw(): SharpImage;
  toBuffer(options: { resolveWithObject: true }): Promise<{
    readonly data: Uint8Array;
    readonly info: { readonly width: number; readonly height: number; readonly channels: number };
  }>;
}

type Sharp = (bytes: Uint8Array, options: Readonly<Record<string, unknown>>) => SharpImage;

/** Sizes were checked before; a warning is a file that lost pixels; colours stay those of the file. */
const OPTIONS = { failOn: "warning", limitInputPixels: false, ignoreIcc: true, sequentialRead: true };

const PEER = "sharp";

/** The decoder, or nothing where the peer is not installed or does not load on this machine. */
export async function loadJpegDecoder(): Promise<JpegDecoder | undefined> {
  let sharp: Sharp;
  try {
    // Not a literal: bundlers and registries must not take an optional peer for a dependency.
    const found = (await import(PEER)) as { readonly default: Sharp };
    sharp = found.default;
  } catch {
    return undefined;
  }
  return async (bytes) => {
    try {
      const { data, info } = await sharp(bytes, OPTIONS).raw().toBuffer({ resolveWithObject: true });
      return { width: info.width, height: info.height, channels: info.channels, data };
    } catch {
      return undefined;
    }
  };
}
