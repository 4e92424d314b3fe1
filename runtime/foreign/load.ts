/** From a folder with `plugin.json` and its modules to a plugin like any other. */
import { definePlugin, type Plugin } from "../abi/plugin.ts";
import { withSandbox } from "../abi/sandbox.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Feature } from "./binary/opcodes.ts";
import { openComponents } from "./component/load.ts";
import type { TranspileSource } from "./component/transpile.ts";
import { inspectModule } from "./inspect.ts";
import { instrument } from "./instrument.ts";
import { type Build, foreignKernel, type Isolation } from "./kernel.ts";
import { type KernelLayout, layoutOf } from "./layout.ts";
import {
  type BuildManifest,
  type ComponentManifest,
  checkManifest,
  type KernelManifest,
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
}

export const MANIFEST = "plugin.json";

/** The least trusting first. */
export const ISOLATIONS: readonly Isolation[] = ["worker", "own-memory", "shared-memory"];

const MEMORY = { worker: "worker", "own-memory": "own", "shared-memory": "shared" } as const;

/** A plugin of files, checked: what it brings and what its code may touch. */
export interface ForeignPlugin {
  readonly manifest: PluginManifest | BundleManifest;
  readonly layouts: readonly KernelLayout[];
  readonly isolation: Isolation;
  readonly plugin: Plugin;
  /** SHA-256 of the description, which names those of all modules. */
  readonly digest: string;
  /** Bytes of each module or shader by file. */
  readonly modules: ReadonlyMap<string, number>;
}

const strength = (features: readonly Feature[]): number =>
  features.includes("relaxed-simd") ? 2 : features.includes("simd128") ? 1 : 0;

function parse(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("invalid_manifest", `${file} is not valid JSON: ${reason}.`, { cause });
  }
}

/** A file whose digest is what the description says. @throws FoveaError `changed_plugin`, `file.*` */
async function readPinned(files: PluginFiles, { file, sha256 }: Omit<BuildManifest, "features">): Promise<Uint8Array> {
  const bytes = await files.read(file);
  const digest = digestBytes(bytes);
  if (digest === sha256) return bytes;
  throw new FoveaError(
    "changed_plugin",
    `${files.name}/${file} has the SHA-256 ${digest}, but its description says ${sha256}; install the plugin again, or write the new digest into ${MANIFEST} if the file is yours.`,
  );
}

export interface OpenForeignOptions {
  /** `shared-memory` trusts the code with all of the device's memory. */
  readonly isolation: Isolation;
  /** For components that the lean loader does not take. */
  readonly transpiling: TranspileSource;
}

/** A bundle of shaders: they reach their operands alone, so that there is nothing to choose. */
async function openBundle(files: PluginFiles, manifest: BundleManifest, isolation: Isolation): Promise<ForeignPlugin> {
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
  return { manifest, layouts, isolation, plugin, digest: digestJson(manifest), modules };
}

/** What a plugin's modules or components come to. */
interface Opened {
  readonly kernels: readonly KernelManifest[];
  readonly builds: readonly Build[];
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
  files: ReadonlyMap<string, Uint8Array>,
  folder: string,
  { isolation, transpiling }: OpenForeignOptions,
): Promise<Opened> {
  if (manifest.form === "wasm") return openModules(manifest, files, folder, isolation);
  if (isolation === "shared-memory") {
    throw new FoveaError(
      "invalid_options",
      `${folder} is a component, whose memory is always its own; load it without \`isolation: "shared-memory"\`.`,
    );
  }
  return openComponents(componentBuilds(manifest, files, folder), MEMORY[isolation], transpiling);
}

const componentBuilds = ({ builds }: ComponentManifest, files: ReadonlyMap<string, Uint8Array>, folder: string) =>
  builds.map(({ file, features }) => ({
    features,
    bytes: files.get(file) ?? internal(`no file ${file}`),
    file: `${folder}/${file}`,
  }));

/**
 * Reads, checks and rewrites a plugin of files. Of a module or shader nothing has run or was linked when this returns; a component was
 * asked what it offers, with nothing but its own memory.
 * @throws FoveaError `invalid_manifest`, `unsupported_abi`, `changed_plugin`, `refused_module`, `no_jco`, `file.*`
 */
export async function openForeignPlugin(files: PluginFiles, options: OpenForeignOptions): Promise<ForeignPlugin> {
  const place = `${files.name}/${MANIFEST}`;
  const described = parse(await files.read(MANIFEST), place);
  if (typeof described === "object" && described !== null && "form" in described && described.form === "wgsl")
    return openBundle(files, checkBundle(described, place), options.isolation);
  const manifest = checkManifest(described, place);
  const contents = new Map<string, Uint8Array>();
  for (const build of manifest.builds) contents.set(build.file, await readPinned(files, build));
  const opened = await openForm(manifest, contents, files.name, options);
  const { isolation } = options;
  const layouts = opened.kernels.map((kernel) => layoutOf(kernel, place));
  const builds = [...opened.builds].sort((a, b) => strength(b.features) - strength(a.features));
  const { name, version, abi } = manifest;
  const plugin = definePlugin({
    name,
    version,
    abi,
    revision: digestJson({ manifest, isolation }).slice(0, 16),
    kernels: layouts.map((layout) => foreignKernel({ plugin: name, layout, builds, isolation })),
  });
  const modules = new Map([...contents].map(([file, bytes]) => [file, bytes.length]));
  return { manifest, layouts, isolation, plugin, digest: digestJson(manifest), modules };
}
