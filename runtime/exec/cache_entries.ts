/**
 * What a compile cache holds, as people ask for it: entries with names, sizes and last use, checks of every byte, what to
 * drop when there is too much, copies into another store.
 */

import type { Capabilities } from "../abi/device.ts";
import { canonicalJson } from "../core/canonical_json.ts";
import { digestJson } from "../core/digest.ts";
import type { Box } from "../core/dim.ts";
import { type CompileRequest, requestKey } from "./artifact_cache.ts";
import { codeDigests, decodeArtifact } from "./codec.ts";
import { TUNING } from "./pack.ts";
import { blobKey, getVerified } from "./store/content.ts";
import type { Store } from "./store/store.ts";
import { WEIGHT_USES, WEIGHTS } from "./weight_cache.ts";

/** What is known about one request beside its digest: kept for people, part of no digest. */
export interface Description {
  /** Component that asked first. */
  readonly tag: string;
  /** Kind of the device that it was compiled for. */
  readonly device: string;
  readonly box: Box;
  /** With the data of the graph in place of its digest. */
  readonly request: CompileRequest;
  /** Capability values that were read. */
  readonly reads: Capabilities;
  /** Digest of the artifact. */
  readonly artifact: string;
  /** Bytes by digest: the artifact's and its code's. */
  readonly blobs: Readonly<Record<string, number>>;
}

/** An entry of a cache. */
export interface CacheEntry extends Description {
  /** Digest of the request. */
  readonly key: string;
  /** Day of the last use, counted from 1970; 0 where none was noted. */
  readonly usedOn: number;
}

const DESCRIPTIONS = "descriptions/";
const USES = "uses/";
const ATTESTATIONS = "attestations/";

const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The day of a time in milliseconds since 1970. */
export const dayOf = (ms: number): number => Math.floor(ms / 86_400_000);

/** A description as bytes. Its own digest tells damage. */
export function writeDescription(description: Description): Uint8Array {
  return encode(canonicalJson({ description, digest: digestJson(description) }));
}

/** The inverse of {@link writeDescription}; nothing for damaged bytes. */
export function readDescription(bytes: Uint8Array): Description | undefined {
  try {
    const { description, digest } = JSON.parse(decode(bytes)) as { description: Description; digest: string };
    return digestJson(description) === digest ? description : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a description under its request's digest. */
export async function describe(store: Store, key: string, description: Description): Promise<void> {
  await store.put(`${DESCRIPTIONS}${key}`, writeDescription(description));
}

/** Notes a use, once a day. */
export async function noteUse(store: Store, key: string, day: number): Promise<void> {
  const known = await store.get(`${USES}${key}`);
  if (known === undefined || decode(known) !== String(day)) await store.put(`${USES}${key}`, encode(String(day)));
}

const listOf = async (store: Store, prefix: string): Promise<readonly string[]> => (await store.list?.(prefix)) ?? [];

/** All entries that have a description, those used last first. */
export async function cacheEntries(store: Store): Promise<readonly CacheEntry[]> {
  const entries: CacheEntry[] = [];
  for (const path of await listOf(store, DESCRIPTIONS)) {
    const key = path.slice(DESCRIPTIONS.length);
    const bytes = await store.get(path);
    const description = bytes === undefined ? undefined : readDescription(bytes);
    if (description === undefined) continue;
    const used = await store.get(`${USES}${key}`);
    entries.push({ ...description, key, usedOn: (used !== undefined && Number(decode(used))) || 0 });
  }
  return entries.sort(
    (a, b) => b.usedOn - a.usedOn || (a.tag < b.tag ? -1 : a.tag > b.tag ? 1 : corner(a) - corner(b)),
  );
}

/** Requests whose description is damaged: what they lead to is used all the same, until {@link collect} drops it. */
export async function undescribed(store: Store): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const path of await listOf(store, DESCRIPTIONS)) {
    const bytes = await store.get(path);
    if (bytes !== undefined && readDescription(bytes) === undefined) keys.push(path.slice(DESCRIPTIONS.length));
  }
  return keys;
}

/** Orders the ranges of one component. */
const corner = ({ box }: CacheEntry): number => Object.values(box).reduce((sum, { min }) => sum + min, 0);

/** Bytes of entries; blobs that several share count once. */
export function bytesOfEntries(entries: readonly CacheEntry[]): number {
  const blobs = new Map(entries.flatMap((e) => Object.entries(e.blobs)));
  return [...blobs.values()].reduce((a, b) => a + b, 0);
}

/** What is wrong with an entry, as a sentence; nothing when every byte is as it was written. */
export async function entryProblem(store: Store, entry: CacheEntry): Promise<string | undefined> {
  const bytes = await getVerified(store, blobKey(entry.artifact), entry.artifact);
  if (bytes === undefined) return `its artifact ${entry.artifact} is missing or damaged.`;
  try {
    for (const digest of codeDigests(decodeArtifact(bytes))) {
      if ((await getVerified(store, blobKey(digest), digest)) === undefined)
        return `its code ${digest} is missing or damaged.`;
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return (await store.get(requestKey(entry.key))) === undefined ? "its request leads nowhere." : undefined;
}

/** Forgets entries. Blobs stay until {@link collect}. */
export async function forget(store: Store, entries: readonly CacheEntry[]): Promise<void> {
  for (const { key } of entries) {
    await store.delete(requestKey(key));
    await store.delete(`${DESCRIPTIONS}${key}`);
    await store.delete(`${USES}${key}`);
  }
}

export interface Collected {
  readonly entries: number;
  readonly blobs: number;
  /** Bytes that were given back, as far as their sizes are known. */
  readonly bytes: number;
}

/**
 * Drops the entries used longest ago until the others take at most `limitBytes`, then everything that no entry needs.
 * A load that runs meanwhile compiles again what it misses.
 */
export async function collect(store: Store, limitBytes: number = Number.POSITIVE_INFINITY): Promise<Collected> {
  const all = await cacheEntries(store);
  const kept: CacheEntry[] = [];
  const blobs = new Map<string, number>();
  let bytes = 0;
  for (const entry of all) {
    const fresh = Object.entries(entry.blobs).filter(([digest]) => !blobs.has(digest));
    const more = fresh.reduce((n, [, size]) => n + size, 0);
    // Whatever was used before the first that has no room goes as well.
    if (bytes + more > limitBytes) break;
    bytes += more;
    kept.push(entry);
    for (const [digest, size] of fresh) blobs.set(digest, size);
  }
  const dropped = all.filter((e) => !kept.includes(e));
  await forget(store, dropped);
  const keys = new Set(kept.map((e) => e.key));
  const artifacts = new Set(kept.map((e) => e.artifact));
  const needed: readonly (readonly [string, (name: string) => boolean])[] = [
    [DESCRIPTIONS, (name) => keys.has(name)],
    ["requests/", (name) => keys.has(name)],
    [USES, (name) => keys.has(name)],
    [ATTESTATIONS, (name) => artifacts.has(name.split("/")[0])],
    ["blobs/", (name) => blobs.has(name)],
  ];
  let removed = 0;
  for (const [prefix, isNeeded] of needed) {
    for (const path of await listOf(store, prefix)) {
      if (isNeeded(path.slice(prefix.length))) continue;
      await store.delete(path);
      if (prefix === "blobs/") removed++;
    }
  }
  return { entries: dropped.length, blobs: removed, bytes: bytesOfEntries(all) - bytes };
}

/** Deletes everything that a cache holds. */
export async function clear(store: Store): Promise<number> {
  const paths = (
    await Promise.all(
      [DESCRIPTIONS, USES, ATTESTATIONS, TUNING, "requests/", "blobs/", WEIGHTS, WEIGHT_USES, SIZE].map((p) =>
        listOf(store, p),
      ),
    )
  ).flat();
  for (const path of paths) await store.delete(path);
  return paths.length;
}

const SIZE = "size";

/** Keeps a store within `limitBytes` when `added` bytes came: its size is noted, so that it is counted only when it is over. */
export async function noteGrowth(store: Store, added: number, limitBytes: number): Promise<void> {
  const noted = await store.get(SIZE);
  const known = noted === undefined ? Number.NaN : Number(decode(noted));
  let bytes = Number.isFinite(known) ? known + added : bytesOfEntries(await cacheEntries(store));
  if (bytes > limitBytes) {
    // A little room, so that the next load does not collect again.
    await collect(store, limitBytes * 0.9);
    bytes = bytesOfEntries(await cacheEntries(store));
  }
  await store.put(SIZE, encode(String(bytes)));
}
