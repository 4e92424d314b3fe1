/** The code of an encoder that does not come with fovea: its own modules, which are copied into a frozen folder. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import { openPlugin } from "../session/registry/plugin_files.ts";
import { moduleImports } from "./module_imports.ts";

/** Where a plugin's module lies and how it exports the plugin. */
export interface PluginModule {
  readonly path: string;
  readonly exported: string;
}

/** The first of the sources whose module exports the plugin of that name. @throws what loading a plugin throws */
export async function findPluginModule(
  host: Host,
  plugin: string,
  sources: readonly string[],
): Promise<PluginModule | undefined> {
  for (const source of sources) {
    const opened = await openPlugin(source);
    if (!("plugins" in opened) || opened.form !== "javascript") continue;
    const own = opened.plugins.find((p) => p.name === plugin);
    if (own === undefined) continue;
    const [exported] = Object.entries(await host.importModule(opened.module)).find(([, value]) => value === own) ?? [];
    if (exported !== undefined) return { path: opened.module, exported };
  }
  return undefined;
}

/** Parts of fovea that such code may import, by specifier, as files beside the folder of its modules. */
export type Libraries = ReadonlyMap<string, string>;

export interface EncoderModules {
  /** By path below the folder of modules. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Path of the one that exports the plugin. */
  readonly entry: string;
  /** Libraries that are imported, by specifier. */
  readonly libraries: ReadonlySet<string>;
}

const SCRIPT = /\.m?js$/;

const refusal = (path: string, what: string): FoveaError =>
  new FoveaError("not_freezable", `The encoder's module ${path} cannot be frozen: ${what}`);

/** The path of `specifier` as `from` imports it; both with slashes. */
function resolved(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") {
      // Paths may be relative to the working directory.
      if (parts.length === 0 || parts.at(-1) === "..") parts.push("..");
      else parts.pop();
    } else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

/** Folders that all paths begin with, with the slash behind them. */
function sharedFolder(paths: readonly string[]): string {
  const [first, ...others] = paths.map((path) => path.split("/").slice(0, -1));
  const length = first.findIndex((part, i) => others.some((parts) => parts[i] !== part));
  const shared = first.slice(0, length < 0 ? first.length : length);
  return shared.length === 0 ? "" : `${shared.join("/")}/`;
}

interface Replacement {
  readonly begin: number;
  readonly end: number;
  readonly text: string;
}

function replaced(text: string, replacements: readonly Replacement[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { begin, end, text: by } of replacements.toSorted((a, b) => a.begin - b.begin)) {
    parts.push(text.slice(at, begin), by);
    at = end;
  }
  return [...parts, text.slice(at)].join("");
}

/**
 * The module at `path` and all that it imports, as a folder beside the libraries' files. Imports of one another stay as they
 * are; those of libraries become relative.
 * @throws FoveaError `not_freezable` for what edges cannot import: other packages, Node's modules, computed names, TypeScript
 */
export async function encoderModules(host: Host, path: string, libraries: Libraries): Promise<EncoderModules> {
  const begin = path.replaceAll("\\", "/").replaceAll(/(?<=^|\/)(?:\.\/)+/g, "");
  const texts = new Map<string, string>();
  const used = new Set<string>();
  const read = async (file: string): Promise<void> => {
    if (texts.has(file)) return;
    if (!SCRIPT.test(file))
      throw refusal(
        file,
        "it is no JavaScript; freeze what `tsc` or a bundler makes of it (.js, .mjs), named by `--plugin`.",
      );
    const text = new TextDecoder().decode(await host.readFile(file));
    texts.set(file, text);
    for (const { specifier } of moduleImports(text)) {
      if (specifier === undefined)
        throw refusal(file, "it imports a name that is computed, and edges import what is named.");
      if (libraries.has(specifier)) used.add(specifier);
      else if (/^\.\.?\//.test(specifier)) await read(resolved(file, specifier));
      else
        throw refusal(
          file,
          `it imports "${specifier}", which is neither a file of its own nor ${[...libraries.keys()].join(", ")}; bundle it with its encoder.`,
        );
    }
  };
  await read(begin);
  const root = sharedFolder([...texts.keys()]);
  const files = new Map<string, Uint8Array>();
  for (const [file, text] of texts) {
    const name = file.slice(root.length);
    const up = "../".repeat(name.split("/").length);
    const replacements = moduleImports(text).flatMap((found): Replacement[] => {
      const library = libraries.get(found.specifier ?? "");
      return library === undefined ? [] : [{ ...found, text: `${up}${library}` }];
    });
    files.set(name, new TextEncoder().encode(replaced(text, replacements)));
  }
  return { files, entry: begin.slice(root.length), libraries: used };
}
