/** Entries that are addressed by the digest of their bytes. */
import { digestBytes } from "../../core/digest.ts";
import type { Store } from "./store.ts";

/** Stores bytes under `prefix/<digest>` and returns the digest (SHA-256, hexadecimal). */
export async function putContent(store: Store, prefix: string, bytes: Uint8Array): Promise<string> {
  const digest = digestBytes(bytes);
  await store.put(`${prefix}/${digest}`, bytes);
  return digest;
}

/** Where a blob lies, by the digest of its bytes. */
export const blobKey = (digest: string): string => `blobs/${digest}`;

/** The bytes at `key` when their digest is `digest`. A damaged entry is deleted and counts as absent. */
export async function getVerified(store: Store, key: string, digest: string): Promise<Uint8Array | undefined> {
  const bytes = await store.get(key);
  if (bytes === undefined || digestBytes(bytes) === digest) return bytes;
  await store.delete(key);
  return undefined;
}
