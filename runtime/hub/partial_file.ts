/**
 * Unfinished downloads on disk. Each run writes a file of its own, `name.id.partial`; what an earlier run left is taken over
 * by renaming it, which only one can do. A run that ends in order leaves `name.partial`; a killed one leaves its own file,
 * known by that nothing changes in it.
 */
import { FoveaError } from "../core/diagnostics.ts";
import type { FileStat, Host } from "../host/mod.ts";
import { wait } from "./hub_fetch.ts";

export const PARTIAL = ".partial";

/** Milliseconds without a change after which a file counts as left by a run that was killed. */
const QUIET = 2000;
const POLL = 200;

const statOf = (host: Host, path: string): Promise<FileStat | undefined> => host.stat(path).catch(() => undefined);

/** False when the file was not there any more. */
async function moved(host: Host, from: string, to: string): Promise<boolean> {
  try {
    await host.rename(from, to);
    return true;
  } catch (error) {
    if (error instanceof FoveaError && error.code === "file.not_found") return false;
    throw error;
  }
}

/** True when nothing changes in a file for a while. */
async function isQuiet(host: Host, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  const before = await statOf(host, path);
  for (let now = before; now !== undefined; now = await statOf(host, path)) {
    if (now.size !== before?.size || now.modified !== before.modified) return false;
    if (Date.now() - now.modified > QUIET) return true;
    await wait(POLL, signal);
  }
  return false;
}

/**
 * A path for this run alone, with what an earlier run left if there is something.
 * @param name of the content, without folders
 */
export async function claimPartial(
  host: Host,
  folder: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const own = `${folder}/${name}.${crypto.randomUUID()}${PARTIAL}`;
  if (await moved(host, `${folder}/${name}${PARTIAL}`, own)) return own;
  for (const entry of await host.listDir(folder)) {
    if (!entry.name.startsWith(`${name}.`) || !entry.name.endsWith(PARTIAL)) continue;
    const left = `${folder}/${entry.name}`;
    if ((await isQuiet(host, left, signal)) && (await moved(host, left, own))) return own;
  }
  return own;
}

/** Leaves an unfinished file to the next run. */
export async function leavePartial(host: Host, folder: string, name: string, own: string): Promise<void> {
  await moved(host, own, `${folder}/${name}${PARTIAL}`).catch(() => undefined);
}
