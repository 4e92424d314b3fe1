/** Modules that users name by path, such as configuration files. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** @param path relative paths start at the working directory */
export function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  return import(pathToFileURL(resolve(path)).href) as Promise<Readonly<Record<string, unknown>>>;
}
