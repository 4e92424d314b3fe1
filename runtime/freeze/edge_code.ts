/** Which files of the package's code a frozen folder gets. */
import { FoveaError } from "../core/diagnostics.ts";
import { edgeCodeUrl } from "../host/edge_code.ts";
import type { Host } from "../host/mod.ts";
import { didYouMean } from "../session/check.ts";
import { encoderModules, findPluginModule } from "./encoder_modules.ts";

interface CodeFiles {
  readonly files: readonly string[];
}

/** files.json of a bundle. */
interface EdgeCode {
  readonly encoder: readonly string[];
  /** With the server's routes. */
  readonly app: readonly string[];
  readonly formats: Readonly<Record<string, CodeFiles & { readonly wasm: readonly string[] }>>;
}

type Entries = Readonly<Record<string, CodeFiles & { readonly entry: string }>>;

/** The one for fovea's own encoders: these by the name of their plugin. */
interface FamilyCode extends EdgeCode {
  readonly families: Entries;
}

/** The one for encoders of others: what they may import of fovea. */
interface LibraryCode extends EdgeCode {
  readonly libraries: Entries;
}

const OWN = "own/";
/** Below `lib/`: modules of an encoder of others, and what exports its plugin. */
const MODULES = "plugin/";
const PLUGIN = "plugin.js";

/** What a folder is put together of. */
export interface ChosenCode {
  /** By name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** File that exports the encoder's plugin. */
  readonly entry: string;
  /** WebAssembly of picture codecs, by name. */
  readonly codecs: ReadonlyMap<string, Uint8Array>;
  /** Types of the folder's encoder. */
  readonly types: string;
  /** Types of its application, where it has one. */
  readonly appTypes: string | undefined;
}

/** What a folder gets beside its encoder. */
export interface Additions {
  readonly formats: readonly string[];
  readonly app: boolean;
}

const fileName = (specifier: string): string => specifier.slice(specifier.lastIndexOf("/") + 1);

/** What a plugin's code takes of a bundle, and what it brings itself. */
interface PluginCode {
  readonly code: EdgeCode;
  /** Folder of the bundle. */
  readonly at: string;
  readonly names: readonly string[];
  readonly own: ReadonlyMap<string, Uint8Array>;
  readonly entry: string;
}

/**
 * @param plugin name of the plugin that brings the encoder
 * @param sources where plugins of others lie
 * @throws FoveaError `not_freezable`, `bad_usage` for an unknown format, `package.missing`
 */
export async function chooseCode(
  host: Host,
  plugin: string,
  sources: readonly string[],
  { formats, app }: Additions,
): Promise<ChosenCode> {
  const read = (name: string): Promise<Uint8Array> => host.readFile(host.pathOf(edgeCodeUrl(name)));
  const text = async (name: string): Promise<string> => new TextDecoder().decode(await read(name));
  const describe = async (at: string): Promise<unknown> => JSON.parse(await text(`${at}files.json`));
  const families = (await describe("")) as FamilyCode;
  const family = families.families[plugin];
  const { code, at, names, own, entry }: PluginCode =
    family === undefined
      ? await codeOfOthers(host, plugin, sources, (await describe(OWN)) as LibraryCode)
      : { code: families, at: "", names: family.files, own: new Map(), entry: family.entry };
  const known = Object.keys(code.formats);
  const wanted = formats.map((name) => {
    const format = code.formats[name];
    if (format !== undefined) return format;
    throw new FoveaError(
      "bad_usage",
      `There is no format "${name}" to freeze; there are ${known.join(", ")}.${didYouMean(name, known)}`,
    );
  });
  const all = [
    ...new Set([...code.encoder, ...(app ? code.app : []), ...names, ...wanted.flatMap((f) => f.files)]),
  ].sort();
  const codecs = [...new Set(wanted.flatMap((f) => f.wasm))];
  const copied = await Promise.all(all.map(async (name) => [name, await read(at + name)] as const));
  return {
    files: new Map([...copied, ...own]),
    entry,
    codecs: new Map(await Promise.all(codecs.map(async (c) => [fileName(c), await host.loadPackageFile(c)] as const))),
    types: await text("encoder_types.ts"),
    appTypes: app ? await text("app_types.ts") : undefined,
  };
}

async function codeOfOthers(
  host: Host,
  plugin: string,
  sources: readonly string[],
  code: LibraryCode,
): Promise<PluginCode> {
  const found = await findPluginModule(host, plugin, sources);
  if (found === undefined) {
    throw new FoveaError(
      "not_freezable",
      `The encoder of the plugin "${plugin}" cannot be frozen: its code goes into the folder, and it is not known where that lies. Name its module to \`createRuntime({ plugins })\`, to \`pluginSources\` of \`freeze\` or to \`--plugin\`.`,
    );
  }
  const libraries = new Map(Object.entries(code.libraries).map(([name, { entry }]) => [name, entry]));
  const modules = await encoderModules(host, found.path, libraries);
  const own = new Map([...modules.files].map(([name, bytes]) => [MODULES + name, bytes]));
  const exports = `export { ${found.exported} as plugin } from ${JSON.stringify(`./${MODULES}${modules.entry}`)};\n`;
  return {
    ...{ code, at: OWN, entry: PLUGIN, own: own.set(PLUGIN, new TextEncoder().encode(exports)) },
    names: [...modules.libraries].flatMap((name) => code.libraries[name].files),
  };
}
