/** Components linked ahead: what jco makes of them, as files beside them. */
import { digestBytes } from "../../core/digest.ts";
import { refuserOf } from "../binary/reader.ts";
import type { LinkedManifest } from "../manifest.ts";
import { notLean } from "./load.ts";
import { parseComponent } from "./parse.ts";
import { type TranspileSource, transpiled } from "./transpile.ts";

export interface Ahead {
  readonly linked: LinkedManifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Glue and core modules of a component; nothing for one that needs no glue.
 * @param file its name in the plugin's folder; what is made goes into a folder named after it
 * @throws FoveaError `refused_module`, `no_jco`
 */
export async function linkAhead(
  component: Uint8Array,
  file: string,
  source: TranspileSource,
): Promise<Ahead | undefined> {
  const refuse = refuserOf(file);
  if (notLean(parseComponent(component, refuse)) === undefined) return undefined;
  const { glue, cores, imports } = await transpiled(component, source, refuse);
  const folder = file.replace(/\.wasm$/, ".linked");
  const files = new Map([
    [`${folder}/kernel.js`, new TextEncoder().encode(glue)],
    ...[...cores].map(([name, bytes]) => [`${folder}/${name}`, bytes] as const),
  ]);
  const [first, ...others] = [...files].map(([name, bytes]) => ({ file: name, sha256: digestBytes(bytes) }));
  return { linked: { glue: first, cores: others, imports }, files };
}
