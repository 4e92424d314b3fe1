/** What image processors returned, in test/fixtures/preprocess. */
import assert from "node:assert/strict";
import { brotliDecompressSync } from "node:zlib";
import type { Tensors } from "../../runtime/abi/encoder.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import type { Image } from "../../runtime/media/image.ts";
import { cropImage, type Region } from "../../runtime/media/resize.ts";
import { decode, fixture } from "./media_kit.ts";

export async function processorConfig(folder: string): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(new TextDecoder().decode(await fixture(`${folder}/preprocessor_config.json`)));
}

const pictures = new Map<string, Promise<Image>>();

/** A picture in test/fixtures/preprocess, decoded once. */
export function picture(name: string): Promise<Image> {
  const decoded = pictures.get(name) ?? fixture(`${name}.png`).then((bytes) => decode(bytes));
  pictures.set(name, decoded);
  return decoded;
}

/** Part of a picture in test/fixtures/preprocess. */
export interface PictureCrop extends Region {
  readonly picture: string;
}

export async function cropsOf(crops: readonly PictureCrop[]): Promise<readonly Image[]> {
  return Promise.all(crops.map(async (region) => cropImage(await picture(region.picture), region)));
}

/** A video of crops, each shifted from the one before, and what the reference said where it refused. */
export interface VideoCase extends PictureCrop {
  readonly name: string;
  readonly frames: number;
  readonly dx: number;
  readonly dy: number;
  readonly fps?: number;
  readonly refused?: string;
}

export const framesOf = ({ frames, dx, dy, ...crop }: VideoCase): Promise<readonly Image[]> =>
  cropsOf(Array.from({ length: frames }, (_, i) => ({ ...crop, x: crop.x + i * dx, y: crop.y + i * dy })));

/** All tensors of a safetensors file that Brotli packed. */
export async function processorTensors(file: string): Promise<Tensors> {
  return readAllTensors(new Uint8Array(brotliDecompressSync(await fixture(file))), file);
}

/** The tensors found are those of `expected` whose names begin with `prefix`, float ones within `limit`, others equal. */
export function assertTensors(found: Tensors, expected: Tensors, prefix: string, limit: number): void {
  const names = Object.keys(expected).filter((name) => name.startsWith(prefix));
  assert.deepEqual(names.map((name) => name.slice(prefix.length)).sort(), Object.keys(found).sort(), prefix);
  for (const name of names) {
    const [want, own] = [expected[name], found[name.slice(prefix.length)]];
    assert.deepEqual(own.shape, want.shape, name);
    let worst = 0;
    want.data.forEach((v, i) => {
      worst = Math.max(worst, Math.abs(Number(v) - own.data[i]));
    });
    assert.ok(worst <= (own.dtype === "f32" ? limit : 0), `${name}: ${worst} apart`);
  }
}

/** All tensors of `<folder>/<name>.safetensors.br` are those found, float ones within `limit`. */
export async function assertProcessed(found: Tensors, folder: string, name: string, limit: number): Promise<void> {
  assertTensors(found, await processorTensors(`${folder}/${name}.safetensors.br`), "", limit);
}
