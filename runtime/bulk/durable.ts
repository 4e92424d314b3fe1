/** Files that are there whole or not at all, also after a power cut. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";

/** Ends what is still being written; whoever writes the file next begins it anew. */
const UNFINISHED = ".unfinished";

/** Writes beside the file, waits for the disk and renames. One writer at a time. */
export async function writeDurably(host: Host, path: string, parts: Iterable<Uint8Array>): Promise<void> {
  const unfinished = `${path}${UNFINISHED}`;
  await host.remove(unfinished);
  const file = await host.openForWriting(unfinished);
  try {
    let at = 0;
    for (const part of parts) {
      await file.write(part, at);
      at += part.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await host.rename(unfinished, path);
}

const orNothing = (error: unknown): undefined => {
  if (error instanceof FoveaError && error.code === "file.not_found") return undefined;
  throw error;
};

/** Whether something has this path. */
export async function isThere(host: Host, path: string): Promise<boolean> {
  return (await host.stat(path).catch(orNothing)) !== undefined;
}

/** The bytes of a file, or nothing where there is none. */
export async function readIfThere(host: Host, path: string): Promise<Uint8Array | undefined> {
  return host.readFile(path).catch(orNothing);
}
