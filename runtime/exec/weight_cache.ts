/**
 * Packed weights that are worth keeping, such as quantised ones: under the files that hold their tensors and the recipe, so that
 * the next load reads a byte for each number instead of four and packs nothing.
 */
import type { WeightUse } from "../abi/artifact.ts";
import { digestJson } from "../core/digest.ts";
import type { Store } from "./store/store.ts";

export interface WeightCache {
  /** The packed bytes, where they were kept and are whole. */
  get(use: WeightUse): Promise<Uint8Array | undefined>;
  put(use: WeightUse, bytes: Uint8Array): Promise<void>;
}

export const WEIGHTS = "weights/";
export const WEIGHT_USES = "weight-uses/";
/** Bytes of the checksum behind the packed ones. */
const CHECKSUM_BYTES = 4;

/** Multiplies and mixes words of 32 bits: tells damage, not intent. */
export function checksum(bytes: Uint8Array): number {
  // Not `slice`, which gives a view of a Buffer that a store may hand out.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
  let hash = bytes.length;
  for (let i = 0; i < words.length; i++) {
    hash = Math.imul(hash ^ words[i], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (let i = words.length * 4; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x9e3779b1);
  return hash >>> 0;
}

const dayText = (day: number): Uint8Array => new TextEncoder().encode(String(day));

/**
 * @param identityOf what tells the version of the file that holds a tensor, by the tensor's name relative to the instance;
 * nothing where it is not known, and then nothing is kept
 * @param day of the use, counted from 1970
 * @param onPut told the bytes that were added
 */
export function createWeightCache(
  store: Store,
  identityOf: (tensor: string) => string | undefined,
  day: number,
  onPut: (bytes: number) => void = () => {},
): WeightCache {
  const keyOf = (use: WeightUse): string | undefined => {
    const sources = use.sources.map(({ name }) => ({ name, file: identityOf(name) ?? "" }));
    if (sources.some((s) => s.file === "")) return undefined;
    // The size is part of the name: what is kept is counted without reading it.
    return `${digestJson({ sources, recipe: use.key })}-${use.bytes}`;
  };
  return {
    get: async (use) => {
      const key = keyOf(use);
      const kept = key === undefined ? undefined : await store.get(`${WEIGHTS}${key}`);
      if (kept === undefined) return undefined;
      const bytes = kept.subarray(0, use.bytes);
      const sum = new DataView(kept.buffer, kept.byteOffset);
      if (kept.length !== use.bytes + CHECKSUM_BYTES || sum.getUint32(use.bytes, true) !== checksum(bytes)) {
        await store.delete(`${WEIGHTS}${key}`);
        return undefined;
      }
      await store.put(`${WEIGHT_USES}${key}`, dayText(day));
      return bytes;
    },
    put: async (use, bytes) => {
      const key = keyOf(use);
      if (key === undefined) return;
      const kept = new Uint8Array(bytes.length + CHECKSUM_BYTES);
      kept.set(bytes);
      new DataView(kept.buffer).setUint32(bytes.length, checksum(bytes), true);
      await store.put(`${WEIGHTS}${key}`, kept);
      onPut(kept.length);
      await store.put(`${WEIGHT_USES}${key}`, dayText(day));
    },
  };
}

export interface WeightSizes {
  readonly weights: number;
  readonly bytes: number;
}

const bytesOfKey = (key: string): number => Number(key.slice(key.lastIndexOf("-") + 1)) || 0;

/** What a store keeps of weights. */
export async function keptWeights(store: Store): Promise<WeightSizes> {
  const keys = (await store.list?.(WEIGHTS)) ?? [];
  return { weights: keys.length, bytes: keys.reduce((sum, key) => sum + bytesOfKey(key), 0) };
}

/** Drops the weights used longest ago until the others take at most `limitBytes`. */
export async function collectWeights(store: Store, limitBytes: number): Promise<WeightSizes> {
  const uses: { readonly name: string; readonly day: number }[] = [];
  for (const path of (await store.list?.(WEIGHTS)) ?? []) {
    const name = path.slice(WEIGHTS.length);
    const used = await store.get(`${WEIGHT_USES}${name}`);
    uses.push({ name, day: (used !== undefined && Number(new TextDecoder().decode(used))) || 0 });
  }
  uses.sort((a, b) => b.day - a.day || (a.name < b.name ? -1 : 1));
  let bytes = 0;
  let dropped = { weights: 0, bytes: 0 };
  for (const { name } of uses) {
    bytes += bytesOfKey(name);
    if (bytes <= limitBytes) continue;
    await store.delete(`${WEIGHTS}${name}`);
    await store.delete(`${WEIGHT_USES}${name}`);
    dropped = { weights: dropped.weights + 1, bytes: dropped.bytes + bytesOfKey(name) };
  }
  return dropped;
}
