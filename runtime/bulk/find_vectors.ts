/** Files of vectors that arguments name. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import { isPattern } from "./find_files.ts";
import { formatOf, VECTOR_FORMATS } from "./formats/format.ts";
import { joinPath, splitPath } from "./shards.ts";

/** Files of vectors in a folder, in the order of their names. */
export async function vectorFilesIn(host: Host, folder: string): Promise<readonly string[]> {
  const entries = await host.listDir(folder);
  return entries.flatMap(({ name }) => (formatOf(name) === undefined ? [] : [joinPath(folder, name)]));
}

/** @throws FoveaError `no_files`, `file.not_found` */
export async function findVectorFiles(host: Host, places: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const place of places) {
    const there = await host.stat(place).catch((error: unknown) => {
      if (isPattern(place)) return undefined;
      throw error;
    });
    if (there === undefined) {
      const { default: picomatch } = await import("#glob");
      const matches = picomatch(place.replace(/^(\.\/)+/, ""));
      for (const path of await vectorFilesIn(host, splitPath(place).folder)) {
        if (matches(path.replace(/^(\.\/)+/, ""))) found.add(path);
      }
    } else if (there.kind === "directory") {
      for (const path of await vectorFilesIn(host, place.replace(/(?<=.)\/+$/, ""))) found.add(path);
    } else found.add(place);
  }
  if (found.size > 0) return [...found];
  throw new FoveaError(
    "no_files",
    `There is no file of vectors at ${places.join(", ")}; they end in ${VECTOR_FORMATS.join(", ")}.`,
  );
}
