/**
 * Packed weights that are worth keeping, such as quantised ones: under the files that hold their tensors and the recipe, so that
 * the next load reads a byte for each number instead of four and packs nothing.
 */
import type { WeightUse } from "../abi/artifact.ts";
import { digestJson } from "../core/digest.ts";
import type { Store, StoredValue } from "./store/store.ts";

export interface WeightCache {
  /**
   * Writes the packed bytes piece by piece, where they were kept.
   * @param write is lent the bytes of a piece, and told where in the whole they begin
   * @returns whether they are whole; else what was written is worth nothing
   */
  get(use: WeightUse, write: (bytes: Uint8Array, offset: number) => void): Promise<boolean>;
  put(use: WeightUse, bytes: Uint8Array): Promise<void>;
}

export const WEIGHTS = "weights/";
export const WEIGHT_USES = "weight-uses/";
/** Bytes of the checksum behind the packed ones. */
const CHECKSUM_BYTES = 4;

/** Bytes that are read at a time: few enough to stay in a processor's cache while they are checked and written. */
const PIECE_BYTES = 1 << 20;

/**
 * Multiplies and mixes words of 32 bits: tells damage, not intent.
 * @param hash of what comes before these bytes, which are then whole words; the number of all bytes at their beginning
 */
export function checksum(bytes: Uint8Array, hash: number = bytes.length): number {
  // Not `slice`, which gives a view of a Buffer that a store may hand out.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
  for (let i = 0; i < words.length; i++) {
    hash = Math.imul(hash ^ words[i], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (let i = words.length * 4; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x9e3779b1);
  return hash >>> 0;
}

/** The day that was noted; 0 where it cannot be read. */
const dayOf = (noted: Uint8Array): number => Number(new TextDecoder().decode(noted)) || 0;

/** Arrays that pieces are read into: as many as weights are read at a time, whatever the number of weights. */
export type PieceBuffers = Uint8Array[];

/** A value of a store, also of one that gives whole values only. */
async function openValue(store: Store, key: string): Promise<StoredValue | undefined> {
  if (store.open !== undefined) return store.open(key);
  const whole = await store.get(key);
  if (whole === undefined) return undefined;
  const read = async (into: Uint8Array, position: number): Promise<number> => {
    const part = whole.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  };
  return { size: whole.length, read, close: async () => undefined };
}

/** Hands over `bytes` of a value. @returns whether the value is whole: of that size, with the right checksum behind it */
async function readChecked(
  value: StoredValue,
  bytes: number,
  piece: Uint8Array,
  write: (bytes: Uint8Array, offset: number) => void,
): Promise<boolean> {
  if (value.size !== bytes + CHECKSUM_BYTES) return false;
  let sum = bytes;
  for (let at = 0; at < bytes; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes - at));
    if ((await value.read(part, at)) !== part.length) return false;
    sum = checksum(part, sum);
    write(part, at);
  }
  const end = piece.subarray(0, CHECKSUM_BYTES);
  if ((await value.read(end, bytes)) !== CHECKSUM_BYTES) return false;
  return new DataView(end.buffer, end.byteOffset).getUint32(0, true) === sum >>> 0;
}

/**
 * @param identityOf what tells the version of the file that holds a tensor, by the tensor's name relative to the instance;
 * nothing where it is not known, and then nothing is kept
 * @param day of the use, counted from 1970
 * @param onPut told the bytes that were added
 * @param buffers of all caches that are read in turns
 */
export function createWeightCache(
  store: Store,
  identityOf: (tensor: string) => string | undefined,
  day: number,
  onPut: (bytes: number) => void = () => {},
  buffers: PieceBuffers = [],
): WeightCache {
  const keyOf = (use: WeightUse): string | undefined => {
    const sources = use.sources.map(({ name }) => ({ name, file: identityOf(name) ?? "" }));
    if (sources.some((s) => s.file === "")) return undefined;
    // The size is part of the name: what is kept is counted without reading it.
    return `${digestJson({ sources, recipe: use.key })}-${use.bytes}`;
  };
  /** Once a day: writing takes longer than reading. */
  const noteUse = async (key: string): Promise<void> => {
    const noted = await store.get(key);
    if (noted === undefined || dayOf(noted) !== day) await store.put(key, new TextEncoder().encode(String(day)));
  };
  return {
    get: async (use, write) => {
      const key = keyOf(use);
      const value = key === undefined ? undefined : await openValue(store, `${WEIGHTS}${key}`);
      if (value === undefined) return false;
      const piece = buffers.pop() ?? new Uint8Array(PIECE_BYTES);
      const whole = await readChecked(value, use.bytes, piece, write).finally(() => {
        buffers.push(piece);
        return value.close();
      });
      if (whole) await noteUse(`${WEIGHT_USES}${key}`);
      else await store.delete(`${WEIGHTS}${key}`);
      return whole;
    },
    put: async (use, bytes) => {
      const key = keyOf(use);
      if (key === undefined) return;
      const kept = new Uint8Array(bytes.length + CHECKSUM_BYTES);
      kept.set(bytes);
      new DataView(kept.buffer).setUint32(bytes.length, checksum(bytes), true);
      await store.put(`${WEIGHTS}${key}`, kept);
      onPut(kept.length);
      await noteUse(`${WEIGHT_USES}${key}`);
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
    uses.push({ name, day: used === undefined ? 0 : dayOf(used) });
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
