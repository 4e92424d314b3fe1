/** Bytes by key: what a cache, a pack or an edge platform's storage must be able to do. */
import { internal } from "../../core/diagnostics.ts";

/** A stored value, open to be read piece by piece. */
export interface StoredValue {
  /** Bytes. */
  readonly size: number;
  /** Fills `into` from `position` and returns the bytes read: fewer than asked only at the end, or where it is broken. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Called once when nothing more is read. */
  close(): Promise<void>;
}

/**
 * Keys are lower-case segments joined by slashes, such as `blobs/<hex>`. A store that is broken behaves as one that holds
 * nothing: its functions do not throw for that. A runtime holds a caller's own store to it, and takes `null` for nothing.
 */
export interface Store {
  /** For messages and `doctor`: what it is and where. */
  readonly description: string;
  /** The bytes, which the caller may change, or nothing. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** The same bytes for whoever needs few of them at a time; large values are then never whole in memory. */
  open?(key: string): Promise<StoredValue | undefined>;
  /** Replaces what was there; readers see the old bytes or the new ones. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** No error when the key is absent. */
  delete(key: string): Promise<void>;
  /** Keys that begin with `prefix`, sorted. */
  list?(prefix: string): Promise<readonly string[]>;
}

const KEY = /^[a-z0-9_-]+(\/[a-z0-9_-]+)*$/;

/** Longest key; paths of directory stores stay within what file systems take. */
const MAX_KEY = 200;

export function isStoreKey(key: string): boolean {
  return key.length <= MAX_KEY && KEY.test(key);
}

/** @throws Error `internal:` for a key that could leave the store, or that two file systems would tell apart differently. */
export function checkStoreKey(key: string): void {
  if (!isStoreKey(key)) internal(`"${key}" is no store key`);
}
