/** A cache carried elsewhere: its entries as a pack, and a pack's entries back into a cache. */
import { digestJson } from "../core/digest.ts";
import { lookup, save } from "./artifact_cache.ts";
import { type CacheEntry, type Description, describe, readDescription, writeDescription } from "./cache_entries.ts";
import { type Pack, type PackItem, TUNING } from "./pack.ts";
import type { Store } from "./store/store.ts";

/** Entries as they go into a pack; damaged ones are left out. */
export async function entriesAsItems(store: Store, entries: readonly CacheEntry[]): Promise<readonly PackItem[]> {
  const items: PackItem[] = [];
  for (const { key, usedOn: _, ...description } of entries) {
    const { request, reads, tag, box, device } = description;
    const compiled = await lookup(store, key, reads);
    if (compiled === undefined) continue;
    items.push({
      ...{ tag, box, device, reads, compiled, request: key },
      structure: digestJson(request.graph),
      target: request.target,
      enabled: request.enabled,
      dtype: request.dtype,
      description: writeDescription(description),
    });
  }
  return items;
}

/** What a cache knows about devices' targets, by the keys that it has it under. */
export async function tuningRecords(store: Store): Promise<ReadonlyMap<string, Uint8Array>> {
  const records = new Map<string, Uint8Array>();
  for (const key of (await store.list?.(TUNING)) ?? []) {
    const bytes = await store.get(key);
    if (bytes !== undefined) records.set(key, bytes);
  }
  return records;
}

/**
 * Puts what a pack knows about devices' targets into a cache, but for devices and engines that were measured here; returns how
 * many were new. @throws FoveaError `damaged_pack`
 */
export async function importTuning(pack: Pack, store: Store): Promise<number> {
  let added = 0;
  for (const [key, digest] of Object.entries(pack.manifest.tuning ?? {})) {
    if ((await store.get(key)) !== undefined) continue;
    await store.put(key, await pack.blob(digest));
    added++;
  }
  return added;
}

/** Puts a pack's entries into a cache; returns how many were new. @throws FoveaError `damaged_pack` */
export async function importPack(pack: Pack, store: Store): Promise<number> {
  let added = 0;
  for (const entry of pack.manifest.entries) {
    if ((await lookup(store, entry.request, entry.reads)) !== undefined) continue;
    const compiled = await pack.load(entry);
    await save(store, entry.request, compiled, entry.reads);
    const description: Description | undefined =
      entry.description === undefined ? undefined : readDescription(await pack.blob(entry.description));
    if (description !== undefined) await describe(store, entry.request, description);
    added++;
  }
  return added;
}
