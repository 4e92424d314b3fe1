/** Which contents a folder of results has vectors of: its shards and the journals of workers that run or were killed. */
import type { Host } from "../host/mod.ts";
import { vectorFilesIn } from "./find_vectors.ts";
import { readVectors } from "./formats/format.ts";
import { JOURNAL_SUFFIX, readJournal } from "./journal.ts";
import { joinPath } from "./shards.ts";
import { keyOf } from "./vectors.ts";

/** Journals of a folder, in the order of their names. */
export async function journalsIn(host: Host, folder: string): Promise<readonly string[]> {
  const entries = await host.listDir(folder);
  return entries.flatMap(({ name }) => (name.endsWith(JOURNAL_SUFFIX) ? [joinPath(folder, name)] : []));
}

export interface KnownRows {
  has(key: string): boolean;
  add(key: string): void;
  /** Reads what is new since the last time. */
  refresh(): Promise<void>;
}

export function createKnownRows(host: Host, folder: string): KnownRows {
  const keys = new Set<string>();
  const shards = new Set<string>();
  let reading: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    // Journals first: one that becomes a shard meanwhile is then found there.
    for (const path of await journalsIn(host, folder)) {
      const found = await readJournal(host, path);
      for (const { row } of found?.entries ?? []) keys.add(keyOf(row));
    }
    for (const path of await vectorFilesIn(host, folder)) {
      if (shards.has(path)) continue;
      for (const row of (await readVectors(host, path, { vectors: false })).rows) keys.add(keyOf(row));
      shards.add(path);
    }
  };
  return {
    has: (key) => keys.has(key),
    add: (key) => {
      keys.add(key);
    },
    refresh: () => {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}
