/** From a folder with `plugin.json` and its modules to a plugin like any other. */
import type { GlueLinks, Instantiate } from "../abi/glue.ts";
import { DEFAULT_ISOLATION, grantedIsolation, type Isolation } from "../abi/isolation.ts";
import { definePlugin, type Plugin } from "../abi/plugin.ts";
import { withSandbox } from "../abi/sandbox.ts";

import { FoveaError, internal } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import { parseJson } from "../core/json_problem.ts";
import type { Feature } from "./binary/opcodes.ts";
import { type ComponentBuild, type LinkedAhead, openComponents } from "./component/load.ts";
import type { TranspileSource } from "./component/transpile.ts";
import { inspectModule } from "./inspect.ts";
import { instrument } from "./instrument.ts";
import { type Build, foreignKernel } from "./kernel.ts";
import { type KernelLayout, layoutOf } from "./layout.ts";
import {
  type BuildManifest,
  type ComponentManifest,
  checkManifest,
  type KernelManifest,
  type LinkedManifest,
  type ModuleManifest,
  type PluginManifest,
} from "./manifest.ts";
import { shaderKernel } from "./wgsl/kernel.ts";
import { type BundleManifest, checkBundle } from "./wgsl/manifest.ts";

/** Where the files of a plugin come from. */
export interface PluginFiles {
  /** What messages call the folder. */
  readonly name: string;
  /** @throws FoveaError `file.*` */
  read(file: string): Promise<Uint8Array>;
  /** What a file exports as a module, where it lies in a folder. */
  importModule?(file: string): Promise<Readonly<Record<string, unknown>>>;
}

export const MANIFEST = "plugin.json";

const MEMORY = { worker: "worker", "own-memory": "own", "shared-memory": "shared" } as const;

/** A plugin of files, checked: what it brings and what its code may touch. */
export interface ForeignPlugin {
  readonly manifest: PluginManifest | BundleManifest;
  readonly layouts: readonly KernelLayout[];
  readonly isolation: Isolation;
  /** What its description asks for. */
  readonly asked: Isolation | undefined;
  /** Whether JavaScript of its own links it, which the user trusts. */
  readonly trustsGlue: boolean;
  readonly plugin: Plugin;
  /** SHA-256 of the description, which names those of all modules. */
  readonly digest: string;
  /** Bytes of each module or shader by file. */
  readonly modules: ReadonlyMap<string, number>;
}

const strength = (features: readonly Feature[]): number =>
  features.includes("relaxed-simd") ? 2 : features.includes("simd128") ? 1 : 0;

function parse(bytes: Uint8Array, file: string): unknown {
  return parseJson(new TextDecoder().decode(bytes), file, "invalid_manifest");
}

/** A file whose digest is what the description says. @throws FoveaError `changed_plugin`, `file.*` */
async function readPinned(files: PluginFiles, { file, sha256 }: Omit<BuildManifest, "features">): Promise<Uint8Array> {
  const bytes = await files.read(file).catch((error: unknown) => {
    const isAbsent = error instanceof FoveaError && error.code === "file.not_found";
    throw isAbsent ? error.adding(`${MANIFEST} names it; build the plugin first.`) : error;
  });
  const digest = digestBytes(bytes);
  if (digest === sha256) return bytes;
  throw new FoveaError(
    "changed_plugin",
    `${files.name}/${file} has the SHA-256 ${digest}, but its description says ${sha256}; install the plugin again, or write the new digest into ${MANIFEST} if the file is yours.`,
  );
}

export interface OpenForeignOptions {
  /** What the user chose; nothing where nobody did. */
  readonly isolation: Isolation | undefined;
  /** Runs glue that came with a component, with all that this process may do. */
  readonly trustGlue: boolean;
  /** For components that the lean loader does not take. */
  readonly transpiling: TranspileSource;
  /** Told the description's digest before anything of the plugin runs; throws where it is not the one that was added. */
  readonly admit?: (digest: string) => void;
}

/** A bundle of shaders: they reach their operands alone, so that there is nothing to choose. */
async function openBundle(
  files: PluginFiles,
  manifest: BundleManifest,
  { isolation = DEFAULT_ISOLATION, admit }: Pick<OpenForeignOptions, "isolation" | "admit">,
): Promise<ForeignPlugin> {
  admit?.(digestJson(manifest));
  const place = `${files.name}/${MANIFEST}`;
  if (isolation !== "own-memory") {
    throw new FoveaError(
      "invalid_options",
      `${files.name} is a bundle of WGSL, which reaches its operands alone on the GPU; load it without \`isolation: "${isolation}"\`.`,
    );
  }
  const texts = new Map<string, string>();
  const modules = new Map<string, number>();
  for (const kernel of manifest.kernels) {
    for (const shader of [kernel, ...Object.values(kernel.operands).flatMap((o) => o.prepack ?? [])]) {
      const bytes = await readPinned(files, shader);
      texts.set(shader.file, new TextDecoder().decode(bytes));
      modules.set(shader.file, bytes.length);
    }
  }
  const kernels = manifest.kernels.map((kernel) => shaderKernel(manifest, kernel, texts, place));
  const { name, version, abi } = manifest;
  const plugin = definePlugin({
    ...{ name, version, abi },
    revision: digestJson({ manifest }).slice(0, 16),
    kernels: kernels.map((k) => k.spec),
  });
  const layouts = kernels.map((k) => k.layout);
  return {
    manifest,
    layouts,
    isolation,
    asked: undefined,
    trustsGlue: false,
    plugin,
    digest: digestJson(manifest),
    modules,
  };
}

/** What a plugin's modules or components come to. */
interface Opened {
  readonly kernels: readonly KernelManifest[];
  readonly builds: readonly Build[];
  readonly links?: GlueLinks;
}

function openModules(
  { memory: { reserved }, kernels, builds }: ModuleManifest,
  files: ReadonlyMap<string, Uint8Array>,
  folder: string,
  isolation: Isolation,
): Opened {
  if (isolation === "shared-memory" && reserved > 0) {
    throw new FoveaError(
      "invalid_manifest",
      `${folder}/${MANIFEST} reserves ${reserved} bytes of memory for data and stack, which only its own memory has; a kernel in the device's memory has none.`,
    );
  }
  const entries = [...new Set(kernels.map((k) => k.entry))];
  const memory = MEMORY[isolation];
  return {
    kernels,
    builds: builds.map(({ file, features }) => {
      const bytes = files.get(file) ?? internal(`no file ${file}`);
      const module = inspectModule(bytes, `${folder}/${file}`, { reserved, features, entries });
      return {
        features,
        code: ({ kernel, sandbox }) =>
          withSandbox(instrument(module, { entry: kernel.entry, reserved }), { memory, reserved, arguments: sandbox }),
      };
    }),
  };
}

async function openForm(
  manifest: PluginManifest,
  files: PluginFiles,
  contents: ReadonlyMap<string, Uint8Array>,
  isolation: Isolation,
  { transpiling, trustGlue }: OpenForeignOptions,
): Promise<Opened> {
  const folder = files.name;
  if (manifest.form === "wasm") return openModules(manifest, contents, folder, isolation);
  if (isolation === "shared-memory") {
    throw new FoveaError(
      "invalid_options",
      `${folder} is a component, whose memory is always its own; load it without \`isolation: "shared-memory"\`.`,
    );
  }
  const builds = manifest.builds.map(async ({ file, features, linked }): Promise<ComponentBuild> => {
    const bytes = contents.get(file) ?? internal(`no file ${file}`);
    const build = { features, bytes, file: `${folder}/${file}` };
    if (linked === undefined) return build;
    return { ...build, linked: trustGlue ? await linkedAhead(files, linked, contents) : "untrusted" };
  });
  return openComponents(await Promise.all(builds), MEMORY[isolation], transpiling);
}

const hasGlue = ({ form, builds }: PluginManifest): boolean =>
  form === "component" && (builds as ComponentManifest["builds"]).some((b) => b.linked !== undefined);

/** All files that a description names, with their digests. */
function filesOf(manifest: PluginManifest): readonly Omit<BuildManifest, "features">[] {
  if (manifest.form === "wasm") return manifest.builds;
  return manifest.builds.flatMap((build) => [
    build,
    ...(build.linked === undefined ? [] : [build.linked.glue, ...build.linked.cores]),
  ]);
}

const nameOf = (file: string): string => file.slice(file.lastIndexOf("/") + 1);

/** Glue that the user trusts: imported where it lies in a folder, else kept as text. */
async function linkedAhead(
  files: PluginFiles,
  { glue, cores, imports }: LinkedManifest,
  contents: ReadonlyMap<string, Uint8Array>,
): Promise<LinkedAhead> {
  const bytes = ({ file }: { readonly file: string }): Uint8Array => contents.get(file) ?? internal(`no file ${file}`);
  const made = {
    glue: new TextDecoder().decode(bytes(glue)),
    cores: new Map(cores.map((core) => [nameOf(core.file), bytes(core)])),
    imports,
  };
  if (files.importModule === undefined) return { made };
  const { instantiate } = await files.importModule(glue.file);
  if (typeof instantiate === "function") return { made, instantiate: instantiate as Instantiate };
  throw new FoveaError(
    "invalid_manifest",
    `${files.name}/${glue.file} exports no function \`instantiate\`; write it anew with \`fovea plugin build\`.`,
  );
}

/**
 * Reads, checks and rewrites a plugin of files. Of a module or shader nothing has run or was linked when this returns; a component was
 * asked what it offers, with nothing but its own memory.
 * @throws FoveaError `invalid_manifest`, `unsupported_abi`, `changed_plugin`, `refused_module`, `no_jco`, `file.*`
 */
export async function openForeignPlugin(files: PluginFiles, options: OpenForeignOptions): Promise<ForeignPlugin> {
  const place = `${files.name}/${MANIFEST}`;
  const described = parse(await files.read(MANIFEST), place);
  if (typeof described === "object" && described !== null && "form" in described && described.form === "wgsl")
    return openBundle(files, checkBundle(described, place), options);
  const manifest = checkManifest(described, place);
  options.admit?.(digestJson(manifest));
  const contents = new Map<string, Uint8Array>();
  for (const file of filesOf(manifest)) contents.set(file.file, await readPinned(files, file));
  const isolation = grantedIsolation(options.isolation, manifest.isolation);
  const opened = await openForm(manifest, files, contents, isolation, options);
  const trustsGlue = options.trustGlue && hasGlue(manifest);
  const layouts = opened.kernels.map((kernel) => layoutOf(kernel, place));
  const builds = [...opened.builds].sort((a, b) => strength(b.features) - strength(a.features));
  const { name, version, abi } = manifest;
  const plugin = definePlugin({
    name,
    version,
    abi,
    revision: digestJson({ manifest, isolation, ...(trustsGlue ? { trustsGlue } : {}) }).slice(0, 16),
    ...(opened.links === undefined || opened.links.size === 0 ? {} : { links: opened.links }),
    kernels: layouts.map((layout) => foreignKernel({ plugin: name, layout, builds, isolation })),
  });
  const modules = new Map([...contents].map(([file, bytes]) => [file, bytes.length]));
  return {
    manifest,
    layouts,
    isolation,
    asked: manifest.isolation,
    trustsGlue,
    plugin,
    digest: digestJson(manifest),
    modules,
  };
}
