/** Golden text of `bit_equal_test.ts`. */
import { bitDigests } from "./bit_digests.ts";

/** Texts by file name below test/goldens. */
export async function goldens(): Promise<Readonly<Record<string, string>>> {
  return { "clip_wasm_simd128.json": `${JSON.stringify(await bitDigests(0), undefined, 2)}\n` };
}
