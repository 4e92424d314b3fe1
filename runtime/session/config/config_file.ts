/** Configuration files (`fovea.config.ts`, `.js`, `.mjs`, `.json`) and configurations given as JSON. */
import { FoveaError } from "../../core/diagnostics.ts";
import { parseJson } from "../../core/json_problem.ts";
import type { Host } from "../../host/mod.ts";
import type { GivenPlugin } from "../registry/plugin_choice.ts";
import type { FoveaConfig, NamedCompileConfig } from "./settings.ts";

/** The schema library loads only where there is something to check. */
const schema = (): Promise<typeof import("./config_schema.ts")> => import("./config_schema.ts");

/** Names that are looked for in the working directory. */
export const CONFIG_FILES: readonly string[] = [
  "fovea.config.ts",
  "fovea.config.js",
  "fovea.config.mjs",
  "fovea.config.json",
];

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Absent and not permitted are the same for a file that nobody named. */
async function isThere(host: Host, path: string): Promise<boolean> {
  try {
    return (await host.stat(path)).kind === "file";
  } catch (error) {
    if (error instanceof FoveaError) return false;
    throw error;
  }
}

/**
 * The configuration file of the working directory, where there is one.
 * @throws FoveaError `invalid_options` when there are several
 */
export async function findConfigFile(host: Host): Promise<string | undefined> {
  const found: string[] = [];
  for (const name of CONFIG_FILES) if (await isThere(host, name)) found.push(name);
  if (found.length <= 1) return found[0];
  throw new FoveaError(
    "invalid_options",
    `The working directory holds ${found.join(" and ")}; keep one, or name the one to use with --config.`,
  );
}

async function readModule(host: Host, path: string): Promise<unknown> {
  const file = await host.openFile(path);
  await file.close();
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await host.importModule(path);
  } catch (cause) {
    if ((cause as { code?: string }).code === "ERR_UNKNOWN_FILE_EXTENSION") {
      throw new FoveaError(
        "invalid_options",
        `${path} cannot be read: ${host.name} ${host.version} does not run TypeScript. Write it as fovea.config.mjs or fovea.config.json, or use Bun, Deno, or Node 22.18 or later.`,
        { cause },
      );
    }
    throw new FoveaError("invalid_options", `${path} cannot be read: ${reasonOf(cause)}.`, { cause });
  }
  if (module.default !== undefined) return module.default;
  throw new FoveaError(
    "invalid_options",
    `${path} has no default export; write \`export default defineConfig({ compile: { … } })\`.`,
  );
}

const parse = (text: string, source: string): unknown => parseJson(text, source, "invalid_options");

/** @throws FoveaError `invalid_options`, `file.not_found` and its kin */
export async function readConfigFile(host: Host, path: string): Promise<FoveaConfig> {
  const value = path.endsWith(".json")
    ? parse(new TextDecoder().decode(await host.readFile(path)), path)
    : await readModule(host, path);
  return (await schema()).checkConfig(value, path);
}

export interface ConfigSources {
  /** A file instead of the one in the working directory. */
  readonly file?: string;
  /** JSON of a `compile` section, and the option that gave it. */
  readonly json?: string;
  /** Why nothing is to be compiled, such as `--no-compile`. */
  readonly off?: string;
}

/** What a command line is told. */
export interface Configuration {
  /** How components are compiled, the strongest first: switched off altogether, JSON, file. */
  readonly layers: readonly NamedCompileConfig[];
  /** Those of the file. */
  readonly plugins: readonly GivenPlugin[];
}

/** @throws FoveaError `invalid_options` */
export async function readConfiguration(host: Host, { file, json, off }: ConfigSources): Promise<Configuration> {
  const path = file ?? (await findConfigFile(host));
  const { compile, plugins = [] } = path === undefined ? {} : await readConfigFile(host, path);
  const option = "--compile-config";
  const layers = [
    ...(off === undefined ? [] : [{ name: off, config: { enabled: false } }]),
    ...(json === undefined
      ? []
      : [{ name: option, config: (await schema()).checkCompileConfig(parse(json, option), option) }]),
    ...(path === undefined || compile === undefined ? [] : [{ name: path, config: compile }]),
  ];
  return { layers, plugins };
}
