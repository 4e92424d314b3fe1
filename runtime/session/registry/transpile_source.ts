/** jco, where it is installed, and where what it made is kept. */
import { FoveaError } from "../../core/diagnostics.ts";
import { createDirectoryStore } from "../../exec/store/directory_store.ts";
import type { Store } from "../../exec/store/store.ts";
import type { Transpile, TranspileSource } from "../../foreign/component/transpile.ts";
import { detectHost } from "../../host/mod.ts";

const JCO = "@bytecodealliance/jco/component";

/** @param cache a folder or store; the platform's folder for caches unless given, `false` for nowhere */
export async function transpileSource(cache: string | Store | false | undefined): Promise<TranspileSource> {
  const host = await detectHost();
  const folder = cache ?? host.defaultCacheDir() ?? false;
  const store = typeof folder === "string" ? createDirectoryStore(host, folder) : folder;
  return {
    transpile: async () => {
      const jco = await host.importPackage(JCO).catch((cause: unknown) => {
        throw new FoveaError(
          "no_jco",
          `The plugin is a component of several core modules or with imports, which jco links, and jco is not installed: npm install @bytecodealliance/jco. A component of one core module that imports nothing needs no jco (${cause instanceof Error ? cause.message : String(cause)}).`,
          { cause },
        );
      });
      return jco.transpile as Transpile;
    },
    get: async (key) => (store === false ? undefined : store.get(key)),
    put: async (key, bytes) => {
      if (store !== false) await store.put(key, bytes);
    },
  };
}
