/** Where packs come from: folders, addresses, memory. */
import { FoveaError } from "../../core/diagnostics.ts";
import { openPack, type Pack, type PackFiles } from "../../exec/pack.ts";
import type { Host } from "../../host/mod.ts";
import { foundText } from "../check.ts";
import { addressOf } from "../inputs/source.ts";

/** A folder's path, a file or http(s) URL of one, or files by name. */
export type PackSource = string | URL | ReadonlyMap<string, Uint8Array>;

function folderFiles(host: Host, path: string): PackFiles {
  const root = path.replace(/(?<=.)[/\\]+$/, "");
  return { description: root, read: (name) => host.readFile(`${root}/${name}`) };
}

function addressFiles(address: URL): PackFiles {
  const base = address.href.endsWith("/") ? address.href : `${address.href}/`;
  return {
    description: base,
    read: async (name) => {
      const response = await fetch(new URL(name, base));
      if (response.ok) return new Uint8Array(await response.arrayBuffer());
      throw new FoveaError("fetch_failed", `${base}${name} answered with status ${response.status}.`);
    },
  };
}

function memoryFiles(files: ReadonlyMap<string, Uint8Array>): PackFiles {
  return {
    description: "memory",
    read: async (name) => {
      const bytes = files.get(name);
      if (bytes !== undefined) return bytes;
      throw new FoveaError("file.not_found", `The pack in memory has no file "${name}".`);
    },
  };
}

/** @throws FoveaError `no_pack`, `damaged_pack`, `bad_source` */
export async function openPackSource(source: PackSource, host: Host): Promise<Pack> {
  if (source instanceof Map) return openPack(memoryFiles(source));
  const address = source instanceof URL ? source : addressOf(String(source), host);
  if (address?.protocol === "file:") return openPack(folderFiles(host, host.pathOf(address)));
  if (address !== undefined && /^https?:$/.test(address.protocol)) return openPack(addressFiles(address));
  if (typeof source === "string" && source !== "" && address === undefined) return openPack(folderFiles(host, source));
  throw new FoveaError(
    "bad_source",
    `A pack is a folder's path, a file or http(s) URL, or a Map of files by name; found ${foundText(source)}.`,
  );
}
