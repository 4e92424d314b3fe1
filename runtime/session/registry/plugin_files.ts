/** Plugins that are named by a path or a package: folders with `plugin.json`, and modules that export plugins. */
import { ISOLATIONS, type Isolation } from "../../abi/isolation.ts";
import { checkPlugin, type Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { digestBytes } from "../../core/digest.ts";
import type { Store } from "../../exec/store/store.ts";
import type { ForeignPlugin, PluginFiles } from "../../foreign/load.ts";
import { detectHost, type Host } from "../../host/mod.ts";
import { BOOLEAN, CACHE, checkOptions, type Expected, isObject, oneOf } from "../check.ts";
import { type GivenPlugin, isChoice, type Trust } from "./plugin_choice.ts";
import { isPlugin } from "./plugins.ts";
import { transpileSource } from "./transpile_source.ts";
import { findWasmPack, openWasmPack, type WasmPackFiles, wasmPackDigest } from "./wasm_pack.ts";

/** A folder, a `plugin.json`, a module or an installed package; or the files of a folder by name. */
export type PluginSource = string | ReadonlyMap<string, Uint8Array>;

/** How a plugin of files is loaded. */
export interface LoadPluginOptions {
  /**
   * What code in WebAssembly may touch: `worker`, copies of its operands in a worker of its own; `own-memory`, copies in a
   * memory of its own; `shared-memory`, all of the device's memory, for code that is trusted. Unless given, what its
   * description asks for, which is `own-memory` at most.
   */
  readonly isolation?: Isolation;
  /**
   * Runs glue that a component's folder brings (`fovea plugin build` makes it), JavaScript with all that this process may do.
   * Without it jco makes glue anew. False unless given.
   */
  readonly trustGlue?: boolean;
  /**
   * Where what jco made of a component is kept: a folder or store; the platform's folder for caches unless given, `false` for
   * nowhere.
   */
  readonly cache?: string | Store | false;
}

const OPTIONS: Readonly<Record<keyof LoadPluginOptions, Expected>> = {
  isolation: oneOf(...ISOLATIONS),
  trustGlue: BOOLEAN,
  cache: CACHE,
};

const DESCRIPTION = "plugin.json";
const MODULE = /\.[cm]?[jt]s$/;

/** What a path holds, or nothing. */
async function kindOf(host: Host, path: string): Promise<"file" | "directory" | undefined> {
  try {
    const { kind } = await host.stat(path);
    return kind === "other" ? undefined : kind;
  } catch (error) {
    if (error instanceof FoveaError && error.code === "file.not_found") return undefined;
    throw error;
  }
}

async function modulePlugins(host: Host, path: string): Promise<readonly Plugin[]> {
  const module = await host.importModule(path).catch((error: unknown) => {
    const why = (error instanceof Error ? error.message : String(error)).replace(/\.?$/, ".");
    throw new FoveaError(
      "bad_plugin",
      `The plugin ${path} cannot be loaded by ${host.name}: ${why} The error's cause has the line; --verbose prints it.`,
      { cause: error },
    );
  });
  const plugins = [...new Set(Object.values(module))].filter(isPlugin);
  for (const plugin of plugins) checkPlugin(plugin);
  if (plugins.length > 0) return plugins;
  throw new FoveaError("bad_plugin", `${path} exports no plugin; export what definePlugin returns.`);
}

/** The module that a package's `package.json` names. @throws FoveaError `bad_plugin` where it is not there */
async function mainOf(host: Host, folder: string): Promise<string> {
  const text = new TextDecoder().decode(await host.readFile(`${folder}/package.json`));
  const { exports, main } = JSON.parse(text) as { readonly exports?: unknown; readonly main?: unknown };
  const root = isObject(exports) && "." in exports ? exports["."] : exports;
  const entry = isObject(root) ? (root.import ?? root.default) : root;
  const named = typeof entry === "string" ? entry : typeof main === "string" ? main : "index.js";
  const module = `${folder}/${named}`;
  if ((await kindOf(host, module)) === "file") return module;
  throw new FoveaError(
    "bad_plugin",
    `The package ${folder} has no ${named}, which its package.json names as its module; build the plugin first (\`npm run build\`), or correct the name.`,
  );
}

/** Where a source lies: a folder with a description, a package of wasm-pack, or a module. */
async function find(
  host: Host,
  source: string,
): Promise<{ readonly folder: string } | { readonly module: string } | { readonly pack: WasmPackFiles }> {
  for (const path of [source, `node_modules/${source}`]) {
    const kind = await kindOf(host, path);
    if (kind === "file") {
      if (path.endsWith(DESCRIPTION)) return { folder: path.slice(0, -DESCRIPTION.length - 1) || "." };
      if (MODULE.test(path)) return { module: path };
      throw new FoveaError(
        "bad_plugin",
        `${path} is no plugin; expected a folder with ${DESCRIPTION}, that file, or a module that exports plugins.`,
      );
    }
    if (kind !== "directory") continue;
    if ((await kindOf(host, `${path}/${DESCRIPTION}`)) === "file") return { folder: path };
    const pack = await findWasmPack(host, path);
    if (pack !== undefined) return { pack };
    if ((await kindOf(host, `${path}/package.json`)) === "file") return { module: await mainOf(host, path) };
    throw new FoveaError(
      "bad_plugin",
      `The folder ${path} is no plugin: it holds neither ${DESCRIPTION} nor package.json, nor what wasm-pack writes.`,
    );
  }
  throw new FoveaError(
    "bad_plugin",
    `There is no plugin ${source}: it is no file or folder, and no package of that name lies in node_modules of the working directory.`,
  );
}

function filesOf(host: Host, folder: string): PluginFiles {
  return {
    name: folder,
    read: (file) => host.readFile(`${folder}/${file}`),
    importModule: (file) => host.importModule(`${folder}/${file}`),
  };
}

function givenFiles(files: ReadonlyMap<string, Uint8Array>): PluginFiles {
  return {
    name: "the files given",
    read: async (file) => {
      const bytes = files.get(file);
      if (bytes !== undefined) return bytes;
      throw new FoveaError(
        "file.not_found",
        `The plugin has no file ${file}; there are ${[...files.keys()].join(", ")}.`,
      );
    },
  };
}

/** Plugins of a module in JavaScript, or of a package of wasm-pack with its glue: code that is trusted. */
export interface ModulePlugins {
  readonly form: "javascript" | "wasm-pack";
  /** The module, or the package's folder. */
  readonly module: string;
  readonly plugins: readonly Plugin[];
  /** SHA-256 of that file; of a package of wasm-pack, of its glue and module. */
  readonly digest: string;
}

export interface OpenPluginOptions extends LoadPluginOptions {
  /** Digest that it must have; looked at before anything of it runs. */
  readonly pinned?: string | undefined;
}

function checkPinned(source: PluginSource, digest: string, pinned: string | undefined): void {
  if (pinned === undefined || digest === pinned) return;
  throw new FoveaError(
    "changed_plugin",
    `The plugin ${String(source)} is not what was added: it has the digest ${digest}, and fovea.lock pins ${pinned}. If the change is meant, check and add it again with \`fovea plugin add ${String(source)}\`.`,
  );
}

/** A plugin of files with what its description says, or the plugins of a module. @throws FoveaError as {@link loadPlugin} */
export async function openPlugin(
  source: PluginSource,
  { pinned, ...options }: OpenPluginOptions = {},
): Promise<ForeignPlugin | ModulePlugins> {
  checkOptions("loadPlugin", options, OPTIONS);
  const { isolation, trustGlue = false, cache } = options;
  const open = async (files: PluginFiles): Promise<ForeignPlugin> => {
    const { openForeignPlugin } = await import("../../foreign/load.ts");
    const { checkPatterns } = await import("./check_patterns.ts");
    const transpiling = await transpileSource(cache);
    const admit = (digest: string): void => checkPinned(source, digest, pinned);
    const opened = await openForeignPlugin(files, { isolation, trustGlue, transpiling, admit });
    checkPatterns(opened.layouts, `${files.name}/${DESCRIPTION}`);
    return opened;
  };
  if (typeof source !== "string") return open(givenFiles(source));
  const host = await detectHost();
  const found = await find(host, source);
  if ("folder" in found) return open(filesOf(host, found.folder));
  if (isolation !== undefined)
    throw new FoveaError(
      "invalid_options",
      `The plugin ${source} is JavaScript, trusted code with all that this process may do, so that there is no isolation to choose; leave \`isolation: "${isolation}"\` out, or do not load it.`,
    );
  if ("pack" in found) {
    const digest = await wasmPackDigest(host, found.pack);
    checkPinned(source, digest, pinned);
    const plugins = [await openWasmPack(host, found.pack)];
    return { form: "wasm-pack", module: found.pack.folder, plugins, digest };
  }
  const digest = digestBytes(await host.readFile(found.module));
  checkPinned(source, digest, pinned);
  const plugins = await modulePlugins(host, found.module);
  return { form: "javascript", module: found.module, plugins, digest };
}

/** What a user trusts a plugin with, as options of {@link loadPlugin}. */
export const trustOf = ({ isolation, trustGlue }: Trust): Trust => ({
  ...(isolation === undefined ? {} : { isolation }),
  ...(trustGlue === undefined ? {} : { trustGlue }),
});

/** All plugins of a source. @throws FoveaError as {@link loadPlugin} */
export async function loadPlugins(source: PluginSource, options: LoadPluginOptions = {}): Promise<readonly Plugin[]> {
  const opened = await openPlugin(source, options);
  return "plugins" in opened ? opened.plugins : [opened.plugin];
}

/**
 * Loads a plugin for `createRuntime({ plugins })`. Code in WebAssembly is checked before it is linked and runs in a sandbox;
 * a module in JavaScript, and the glue of a package of wasm-pack, run with all that this process may do.
 * @param source a folder with `plugin.json`, that file, a module that exports a plugin, an installed package, what wasm-pack
 * wrote, or files by name
 * @throws FoveaError `bad_plugin`, `invalid_manifest`, `unsupported_abi`, `changed_plugin`, `refused_module`, `no_jco`, `file.*`
 */
export async function loadPlugin(source: PluginSource, options: LoadPluginOptions = {}): Promise<Plugin> {
  const plugins = await loadPlugins(source, options);
  if (plugins.length === 1) return plugins[0];
  throw new FoveaError(
    "bad_plugin",
    `${String(source)} exports ${plugins.length} plugins (${plugins.map((p) => p.name).join(", ")}); import the one that is meant.`,
  );
}

/** Plugins as they are given: those that are named by a path or package are loaded. @throws FoveaError as {@link loadPlugin} */
export async function givenPlugins(given: readonly GivenPlugin[]): Promise<readonly Plugin[]> {
  const lists = await Promise.all(
    given.map((p) => {
      if (typeof p === "string") return loadPlugins(p);
      return isChoice(p) ? loadPlugins(p.plugin, trustOf(p)) : [p];
    }),
  );
  return lists.flat();
}
