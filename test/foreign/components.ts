/** The components of tests, built from test/fixtures/components/square.c by examples/kernel-component/build.mjs. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { digestBytes } from "../../runtime/core/digest.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import type { Store } from "../../runtime/exec/store/store.ts";
import { transpiledKey } from "../../runtime/foreign/component/transpile.ts";
import { repositoryPath } from "../kit/run_cli.ts";

/** A component of square.c told to commit a sin by its number; 0 for none. `hosted` has imports of WASI. */
export function squareComponent(sin: number, name: "square" | "hosted" = "square"): Uint8Array {
  const bytes = Uint8Array.from(readFileSync(repositoryPath(`test/fixtures/components/${name}.wasm`)));
  const at = new TextDecoder("latin1").decode(bytes).indexOf("sin=00");
  if (at < 0) throw new Error(`${name}.wasm does not hold sin=00`);
  bytes.set(new TextEncoder().encode(String(sin).padStart(2, "0")), at + 4);
  return bytes;
}

/** Files of a plugin of one component. */
export function componentFiles(component: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const manifest = {
    name: "@test/foreign",
    version: "1.0.0",
    abi: 1,
    form: "component",
    builds: [{ features: ["simd128"], file: "kernel.wasm", sha256: digestBytes(component) }],
  };
  return new Map([
    ["plugin.json", new TextEncoder().encode(JSON.stringify(manifest))],
    ["kernel.wasm", component],
  ]);
}

/**
 * What jco 1.35 made of a component with imports of WASI, as the cache keeps it: recorded, since jco and what it needs take
 * 340 MB. Only the digit of the sin differs between components.
 */
export async function recordedCache(...sins: readonly number[]): Promise<Store> {
  const store = createMemoryStore();
  const kept = gunzipSync(readFileSync(repositoryPath("test/fixtures/components/hosted.jco.gz")));
  const at = kept.indexOf("sin=00");
  for (const sin of sins) {
    const code = Uint8Array.from(kept.subarray(64));
    code.set(new TextEncoder().encode(String(sin).padStart(2, "0")), at - 64 + 4);
    const bytes = new Uint8Array(kept.length);
    bytes.set(new TextEncoder().encode(digestBytes(code)));
    bytes.set(code, 64);
    await store.put(transpiledKey(squareComponent(sin, "hosted")), bytes);
  }
  return store;
}
