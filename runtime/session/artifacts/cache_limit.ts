/** Keeping a runtime's cache within its limit. */
import { noteGrowth } from "../../exec/cache_entries.ts";
import type { KeptWeights } from "../models/kept_weights.ts";
import type { RuntimeParts } from "../runtime_parts.ts";

/** Most bytes of a cache unless the caller gives another number. */
const CACHE_LIMIT = 512 * 2 ** 20;
/** Packed weights may take this many times as much. */
const KEPT_WEIGHTS = 8;

/** @returns drops what was used longest ago, where something was added since the last time */
export function createCacheLimit(
  { store, artifacts, options }: Pick<RuntimeParts, "store" | "artifacts" | "options">,
  kept: KeptWeights,
): () => Promise<void> {
  const limit = options.cacheLimit ?? CACHE_LIMIT;
  /** Bytes in the cache that its limit was held against. */
  let tidied = 0;
  return async () => {
    await kept.tidy(limit * KEPT_WEIGHTS);
    const added = artifacts.counters.storedBytes - tidied;
    if (added === 0) return;
    tidied += added;
    await noteGrowth(store, added, limit);
  };
}
