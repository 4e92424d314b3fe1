/** Fixtures and codecs for the tests of pictures. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { type CodecLoader, type DecodeOptions, decodeImage } from "../../runtime/media/decode.ts";
import type { Image } from "../../runtime/media/image.ts";

/** A file below test/fixtures/preprocess. */
export async function fixture(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(`../fixtures/preprocess/${path}`, import.meta.url)));
}

export const loadCodec: CodecLoader = async (specifier) => {
  const host = await detectHost();
  return WebAssembly.compile((await host.loadPackageFile(specifier)) as Uint8Array<ArrayBuffer>);
};

export function decode(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  return decodeImage(bytes, { loadCodec, ...options });
}

/** Asserts that decoding fails with this code and a message that matches. */
export async function refuses(
  bytes: Uint8Array,
  code: string,
  message: RegExp,
  options: DecodeOptions = {},
): Promise<void> {
  await assert.rejects(decode(bytes, options), (error: unknown) => {
    assert.ok(error instanceof FoveaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** Pixels of seeded noise. */
export function noise(seed: number, width: number, height: number): Image {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => hash32(seed, i) & 255);
  return { width, height, channels: 3, data };
}

/** FNV-1a, 32 bits. */
export function fnv(data: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of data) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
