/** Making one file, or shards, of what workers wrote: each content once, killed workers' journals included. */

import { FoveaError } from "../core/diagnostics.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { checkCollectOptions } from "./check_options.ts";
import { vectorFilesIn } from "./find_vectors.ts";
import { checkOut, readVectors, writeVectors } from "./formats/format.ts";
import { readJournal } from "./journal.ts";
import { journalsIn } from "./known_rows.ts";
import { findShards, shardPath } from "./shards.ts";
import { checkSameVectors, entriesOf, keyOf, tableOf, type VectorEntry, type VectorHead } from "./vectors.ts";

/** What is written of a folder of results. */
export interface CollectOptions {
  /** `x.parquet`, `x.safetensors` or `x.npy`. */
  readonly out: string;
  /** Rows of a file; there are then `x-00000.parquet`, …; one file with all unless given. */
  readonly shardRows?: number;
}

/** What was collected. */
export interface CollectReport {
  /** What made the vectors. */
  readonly head: VectorHead;
  /** Rows that were written. */
  readonly rows: number;
  /** Rows that were there more than once, of jobs that were done twice. */
  readonly repeated: number;
  /** Shards and journals that were read. */
  readonly sources: number;
  /** Paths of the files that were written. */
  readonly written: readonly string[];
}

interface Found {
  readonly head: VectorHead | undefined;
  readonly entries: readonly VectorEntry[];
}

interface Source {
  readonly path: string;
  readonly read: () => Promise<Found>;
}

/** Journals are read before shards are listed: one that becomes a shard meanwhile is then found twice rather than not at all. */
async function sourcesIn(host: Host, folder: string): Promise<readonly Source[]> {
  const journals: Source[] = [];
  for (const path of await journalsIn(host, folder)) {
    const found = (await readJournal(host, path)) ?? { head: undefined, entries: [] };
    journals.push({ path, read: async () => found });
  }
  const shards = (await vectorFilesIn(host, folder)).map((path) => ({
    path,
    read: async () => {
      const table = await readVectors(host, path);
      return { head: table.head, entries: entriesOf(table) };
    },
  }));
  return [...shards, ...journals];
}

/** A folder of results, or the one model's in it. @throws FoveaError `no_files`, `bad_usage` */
async function findSources(host: Host, folder: string): Promise<readonly Source[]> {
  const own = await sourcesIn(host, folder);
  if (own.length > 0) return own;
  const below = (await host.listDir(folder)).filter(({ kind }) => kind === "directory").map(({ name }) => name);
  const found = [];
  for (const name of below) {
    const sources = await sourcesIn(host, `${folder}/${name}`);
    if (sources.length > 0) found.push({ name, sources });
  }
  if (found.length === 1) return found[0].sources;
  if (found.length === 0) throw new FoveaError("no_files", `There are no results of workers in ${folder}.`);
  throw new FoveaError(
    "bad_usage",
    `${folder} holds results of several models: ${found.map(({ name }) => name).join(", ")}; name one of these folders in it.`,
  );
}

/**
 * Reads a folder of results and writes each path's content once. What workers are still writing is taken as far as it is.
 * Rows of one file are in the order of their paths, those of shards in the order in which workers wrote them.
 * @throws FoveaError `no_files`, `bad_usage`, `other_model`, `unfinished_run` where shards of that name are there
 */
export async function collectResults(folder: string, options: CollectOptions): Promise<CollectReport> {
  checkCollectOptions("collectResults", options);
  const host = await detectHost();
  const { out, shardRows } = options;
  await checkOut(host, out);
  const sources = await findSources(host, folder.replace(/(?<=.)\/+$/, ""));
  if (shardRows !== undefined) {
    const [there] = (await findShards(host, out)).shards;
    if (there !== undefined) {
      throw new FoveaError("unfinished_run", `${there.path} is there already; delete it, or write to another name.`);
    }
  }
  const seen = new Set<string>();
  const written: string[] = [];
  let head: VectorHead | undefined;
  let repeated = 0;
  let entries: VectorEntry[] = [];
  const write = async (path: string, part: readonly VectorEntry[]): Promise<void> => {
    if (head === undefined) return;
    await writeVectors(host, path, tableOf(head, part));
    written.push(path);
  };
  for (const { path, read } of sources) {
    const source = await read();
    if (source.head === undefined) continue;
    head ??= source.head;
    checkSameVectors(source.head, head, path);
    for (const entry of source.entries) {
      const key = keyOf(entry.row);
      if (seen.has(key)) repeated++;
      else entries.push(entry);
      seen.add(key);
    }
    while (shardRows !== undefined && entries.length >= shardRows) {
      await write(shardPath(out, written.length), entries.slice(0, shardRows));
      entries = entries.slice(shardRows);
    }
  }
  if (head === undefined) throw new FoveaError("no_files", `The results in ${folder} hold no row yet.`);
  if (shardRows !== undefined) {
    if (entries.length > 0) await write(shardPath(out, written.length), entries);
  } else {
    await write(
      out,
      [...entries].sort((a, b) => (a.row.path < b.row.path ? -1 : 1)),
    );
  }
  return { head, rows: seen.size, repeated, sources: sources.length, written };
}
