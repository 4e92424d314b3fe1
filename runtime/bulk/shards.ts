/** Names of the files that vectors are divided into. */
import type { Host } from "../host/mod.ts";
import { formatOf } from "./formats/format.ts";
import { JOURNAL_SUFFIX } from "./journal.ts";

const DIGITS = 5;

/** `photos-00003.parquet` of `photos.parquet`. */
export function shardPath(out: string, number: number): string {
  const end = formatOf(out) ?? "";
  return `${out.slice(0, out.length - end.length)}-${String(number).padStart(DIGITS, "0")}${end}`;
}

/** A path as its folder and name. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const at = path.lastIndexOf("/");
  return at < 0 ? { folder: ".", name: path } : { folder: path.slice(0, at) || "/", name: path.slice(at + 1) };
}

export const joinPath = (folder: string, name: string): string => (folder === "." ? name : `${folder}/${name}`);

export interface FoundShards {
  /** Files of vectors by their number. */
  readonly shards: readonly { readonly number: number; readonly path: string }[];
  /** Journals of unfinished ones. */
  readonly journals: readonly { readonly number: number; readonly path: string }[];
}

/** Shards of an output that are there, in order. */
export async function findShards(host: Host, out: string): Promise<FoundShards> {
  const { folder, name } = splitPath(out);
  const end = formatOf(name) ?? "";
  const stem = `${name.slice(0, name.length - end.length)}-`;
  const numbered = (await host.listDir(folder)).flatMap(({ name: found }) => {
    const isJournal = found.endsWith(JOURNAL_SUFFIX);
    const own = isJournal ? found.slice(0, -JOURNAL_SUFFIX.length) : found;
    const digits = own.startsWith(stem) && own.endsWith(end) ? own.slice(stem.length, own.length - end.length) : "";
    return /^\d{5,}$/.test(digits) ? [{ isJournal, number: Number(digits), path: joinPath(folder, found) }] : [];
  });
  const of = (journals: boolean) =>
    numbered.filter((n) => n.isJournal === journals).map(({ number, path }) => ({ number, path }));
  return { shards: of(false), journals: of(true) };
}
