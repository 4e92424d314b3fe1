/** `fovea.lock`: the plugins that were added in a folder, each with the digest of what was checked then. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { Host } from "../../host/mod.ts";
import type { Trust } from "./plugin_choice.ts";

export const LOCK_FILE = "fovea.lock";

/** How a plugin comes. */
export type PluginForm = "wasm" | "component" | "wasm-pack" | "wgsl" | "javascript";

/** The trust that it was added with, which commands keep to, is among its members. */
export interface LockedPlugin extends Trust {
  /** Names of the plugins that it brings, with versions. */
  readonly plugins: readonly string[];
  readonly form: PluginForm;
  /**
   * SHA-256 of the description, which names the digests of all modules and shaders; of a module in JavaScript of that file alone,
   * of a package of wasm-pack of its glue and module.
   */
  readonly digest: string;
}

/** By source: a folder, module or package, as it was added. */
export type PluginLock = ReadonlyMap<string, LockedPlugin>;

/** What the working directory pins; nothing where it has no lock. @throws FoveaError `invalid_lock` */
export async function readLock(host: Host): Promise<PluginLock> {
  let text: string;
  try {
    text = new TextDecoder().decode(await host.readFile(LOCK_FILE));
  } catch (error) {
    if (error instanceof FoveaError && error.code === "file.not_found") return new Map();
    throw error;
  }
  try {
    const { parseLock } = await import("./plugin_lock_schema.ts");
    return new Map(Object.entries(parseLock(text)));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError(
      "invalid_lock",
      `${LOCK_FILE} cannot be read: ${why}. Restore it, or delete it and add its plugins again with \`fovea plugin add\`.`,
      { cause },
    );
  }
}

/** Writes the pins, sorted by source. */
export async function writeLock(host: Host, lock: PluginLock): Promise<void> {
  const plugins = Object.fromEntries([...lock].sort(([a], [b]) => (a < b ? -1 : 1)));
  const text = `${JSON.stringify({ lock: 1, plugins }, undefined, 2)}\n`;
  await host.writeFileAtomic(LOCK_FILE, new TextEncoder().encode(text));
}
