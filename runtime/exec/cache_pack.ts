/** A cache carried elsewhere: its entries as a pack, and a pack's entries back into a cache. */
import { digestJson } from "../core/digest.ts";
import { lookup, save } from "./artifact_cache.ts";
import { type CacheEntry, type Description, describe, readDescription, writeDescription } from "./cache_entries.ts";
import type { Pack, PackItem } from "./pack.ts";
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
