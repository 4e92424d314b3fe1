/** Modules that users name by path, such as configuration files. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** @param path relative paths start at the working directory */
export function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  return import(pathToFileURL(resolve(path)).href) as Promise<Readonly<Record<string, unknown>>>;
}

/** A package that stands beside fovea, such as an optional peer. */
export function importPackage(name: string): Promise<Readonly<Record<string, unknown>>> {
  return import(name) as Promise<Readonly<Record<string, unknown>>>;
}
