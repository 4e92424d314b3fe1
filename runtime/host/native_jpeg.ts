/** JPEG files through `sharp`, an optional peer: the pixels of the WASM codec, decoded outside of the caller's thread. */

import { freeBuffer, largeBuffer } from "../core/free_buffer.ts";
import type { Reduction } from "../core/pixel_cut.ts";

/** 8-bit samples of a JPEG file, not turned by its EXIF orientation. */
export interface JpegSamples {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
  /** Gives their memory back at once, not when a garbage collector comes; there are no samples then. */
  readonly release?: () => Promise<void>;
}

/**
 * Nothing for files that it does not take as they are; the WASM codec then says what is wrong with them.
 * @param reduction lets libjpeg read the file at a reduced size, and resizes nothing; what is damaged in the last row of blocks
 * goes unnoticed then. Nothing as well where no temporary file can be written
 */
export type JpegDecoder = (bytes: Uint8Array, reduction?: Reduction) => Promise<JpegSamples | undefined>;

interface SharpImage {
  raw(): SharpImage;
  toBuffer(options: { resolveWithObject: true }): Promise<{
    readonly data: Uint8Array;
    readonly info: { readonly width: number; readonly height: number; readonly channels: number };
  }>;
}

type Sharp = (bytes: Uint8Array | string, options: Readonly<Record<string, unknown>>) => SharpImage;

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
  const decode = async (file: Uint8Array | string): Promise<JpegSamples> => {
    const { data, info } = await sharp(file, OPTIONS).raw().toBuffer({ resolveWithObject: true });
    const samples = { width: info.width, height: info.height, channels: info.channels, data };
    const buffer = largeBuffer(data);
    return buffer === undefined ? samples : { ...samples, release: () => freeBuffer(buffer) };
  };
  return async (bytes, reduction) => {
    try {
      return await (reduction === undefined
        ? decode(bytes)
        : inTemporaryFile(bytes, (path) => decode(`${path}[shrink=${reduction}]`)));
    } catch {
      return undefined;
    }
  };
}

/**
 * sharp reduces on load only ahead of a resize of its own, to less than what was loaded. libvips takes options of its loaders
 * behind a file's name, and of bytes in memory none.
 */
async function inTemporaryFile<T>(bytes: Uint8Array, work: (path: string) => Promise<T>): Promise<T> {
  const [{ rm, writeFile }, { tmpdir }, { join }] = await Promise.all([
    import("node:fs/promises"),
    import("node:os"),
    import("node:path"),
  ]);
  const path = join(tmpdir(), `fovea-${crypto.randomUUID()}.jpg`);
  try {
    await writeFile(path, bytes, { flag: "wx", mode: 0o600 });
    return await work(path);
  } finally {
    await rm(path, { force: true });
  }
}
