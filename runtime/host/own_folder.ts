/** Folders that files are written into: what somebody else keeps in one is not mixed with them, and never overwritten. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "./host.ts";

const absent = (error: unknown): boolean => error instanceof FoveaError && error.code === "file.not_found";

/**
 * Takes folders that are absent, empty but for hidden files and `first`, or that hold one of `marks`.
 * @param first folder in it that is made before anything else, and may be all that a failure left
 * @param marks files or folders below it, any of which tells that it was written by the same
 * @param verb of what is written: "pulled"
 * @param noun of the act: "pull"
 * @throws FoveaError `folder_in_use` that names a file in it
 */
export async function checkOwnFolder(
  host: Host,
  folder: string,
  first: string,
  marks: readonly string[],
  verb: string,
  noun: string,
): Promise<void> {
  const entries = await host.listDir(folder).catch((error: unknown) => {
    if (absent(error)) return [];
    throw error;
  });
  const other = entries.find((e) => !e.name.startsWith(".") && e.name !== first);
  if (other === undefined) return;
  for (const mark of marks) {
    const found = await host.stat(`${folder}/${mark}`).catch((error: unknown) => {
      if (absent(error)) return undefined;
      throw error;
    });
    if (found !== undefined) return;
  }
  throw new FoveaError(
    "folder_in_use",
    `${folder} holds files that were not ${verb}, such as ${other.name}. Name a folder that is new, empty, or of an earlier ${noun}.`,
  );
}
