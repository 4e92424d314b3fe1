/** Paths that are written to, before the work whose results go there. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import { foundText, TEXT } from "./check.ts";

/** @throws FoveaError `bad_usage` for what is no path of a folder */
export function checkFolderPath(of: string, folder: unknown): void {
  if (TEXT.holds(folder)) return;
  throw new FoveaError("bad_usage", `${of} takes the path of a folder to write into; found ${foundText(folder)}.`);
}

/**
 * Looks whether a file could be made at a path.
 * @param called what errors call it; the path itself unless given
 * @throws FoveaError `bad_usage` for a folder, and where the folder around it is not there
 */
export async function checkOutFile(host: Pick<Host, "stat">, path: string, called: string = path): Promise<void> {
  const isFolder = async (place: string): Promise<boolean> =>
    (await host.stat(place).catch(() => undefined))?.kind === "directory";
  if (await isFolder(path)) {
    throw new FoveaError("bad_usage", `${called} cannot be written: it is a folder. Name a file.`);
  }
  const folder = /^(.*)[/\\]/.exec(path)?.[1] ?? "";
  if (folder === "" || (await isFolder(folder))) return;
  throw new FoveaError("bad_usage", `${called} cannot be written: there is no folder ${folder}. Create it first.`);
}
