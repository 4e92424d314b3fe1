/** Which files of the package's code a frozen folder gets. */
import { FoveaError } from "../core/diagnostics.ts";
import { edgeCodeUrl } from "../host/edge_code.ts";
import type { Host } from "../host/mod.ts";
import { didYouMean } from "../session/check.ts";

interface CodeFiles {
  readonly files: readonly string[];
}

/** files.json of the bundle. */
interface EdgeCode {
  readonly encoder: readonly string[];
  /** By the name of the plugin that brings the encoder. */
  readonly families: Readonly<Record<string, CodeFiles & { readonly entry: string }>>;
  readonly formats: Readonly<Record<string, CodeFiles & { readonly wasm: readonly string[] }>>;
}

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
}

const fileName = (specifier: string): string => specifier.slice(specifier.lastIndexOf("/") + 1);

/** @throws FoveaError `not_freezable`, `bad_usage` for an unknown format, `package.missing` */
export async function chooseCode(host: Host, plugin: string, formats: readonly string[]): Promise<ChosenCode> {
  const read = (name: string): Promise<Uint8Array> => host.readFile(host.pathOf(edgeCodeUrl(name)));
  const text = async (name: string): Promise<string> => new TextDecoder().decode(await read(name));
  const all = JSON.parse(await text("files.json")) as EdgeCode;
  const family = all.families[plugin];
  if (family === undefined) {
    throw new FoveaError(
      "not_freezable",
      `The encoder of the plugin "${plugin}" cannot be frozen: folders hold encoders that come with fovea (${Object.keys(all.families).join(", ")}), and kernels of anyone.`,
    );
  }
  const known = Object.keys(all.formats);
  const wanted = formats.map((name) => {
    const format = all.formats[name];
    if (format !== undefined) return format;
    throw new FoveaError(
      "bad_usage",
      `There is no format "${name}" to freeze; there are ${known.join(", ")}.${didYouMean(name, known)}`,
    );
  });
  const names = [...new Set([...all.encoder, ...family.files, ...wanted.flatMap((f) => f.files)])].sort();
  const codecs = [...new Set(wanted.flatMap((f) => f.wasm))];
  return {
    files: new Map(await Promise.all(names.map(async (name) => [name, await read(name)] as const))),
    entry: family.entry,
    codecs: new Map(await Promise.all(codecs.map(async (c) => [fileName(c), await host.loadPackageFile(c)] as const))),
    types: await text("encoder_types.ts"),
  };
}
