/** Files of vectors for callers of `fovea/bulk`: formats by the ends of names. */
import { detectHost, type Host } from "../host/mod.ts";
import { isThere } from "./durable.ts";
import * as format from "./formats/format.ts";
import { journalOf, readJournal } from "./journal.ts";
import type { VectorHead, VectorTable } from "./vectors.ts";

/**
 * A `.parquet`, `.safetensors` or `.npy` file of vectors that fovea wrote, whole in memory.
 * @throws FoveaError `bad_usage` for another name, `invalid_vectors`, and those of files
 */
export async function readVectors(path: string): Promise<VectorTable> {
  return format.readVectors(await detectHost(), path);
}

/** Writes a file of vectors under a temporary name, waits for the disk and renames. @throws FoveaError `bad_usage`, and those of files */
export async function writeVectors(path: string, table: VectorTable): Promise<void> {
  return format.writeVectors(await detectHost(), path, table);
}

/**
 * Looks whether a file of vectors could be written, before the work whose result it would hold.
 * @throws FoveaError `bad_usage` for a name of no known format or a folder that is not there
 */
export async function checkOut(path: string): Promise<void> {
  return format.checkOut(await detectHost(), path);
}

/** As {@link findHead}. */
export async function headAt(host: Host, path: string): Promise<VectorHead | undefined> {
  if (await isThere(host, path)) return (await format.readVectors(host, path, { vectors: false })).head;
  return (await readJournal(host, journalOf(path)))?.head;
}

/** What made the vectors of a file, or of the run that is to write it; nothing where neither is there. */
export async function findHead(path: string): Promise<VectorHead | undefined> {
  return headAt(await detectHost(), path);
}
