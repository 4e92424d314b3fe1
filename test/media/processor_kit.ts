/** What image processors returned, in test/fixtures/preprocess. */
import assert from "node:assert/strict";
import type { Tensors } from "../../runtime/abi/encoder.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import type { Image } from "../../runtime/media/image.ts";
import { decode, fixture } from "./media_kit.ts";

export async function processorConfig(folder: string): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(new TextDecoder().decode(await fixture(`${folder}/preprocessor_config.json`)));
}

export const picture = async (name: string): Promise<Image> => decode(await fixture(`${name}.png`));

/** All tensors of `<folder>/<name>.safetensors` are those found, float ones within `limit`. */
export async function assertProcessed(found: Tensors, folder: string, name: string, limit: number): Promise<void> {
  const file = `${folder}/${name}.safetensors`;
  const expected = readAllTensors(await fixture(file), file);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const [key, want] of Object.entries(expected)) {
    assert.deepEqual(found[key].shape, want.shape);
    let worst = 0;
    want.data.forEach((v, i) => {
      worst = Math.max(worst, Math.abs(Number(v) - found[key].data[i]));
    });
    assert.ok(worst <= limit, `${file}, ${key}: ${worst} apart`);
  }
}
