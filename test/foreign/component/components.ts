/** The components of tests, built from square.c beside this file by examples/kernel-component/build.mjs. */
import { readFileSync } from "node:fs";
import { digestBytes } from "../../../runtime/core/digest.ts";
import { repositoryPath } from "../../kit/run_cli.ts";

/** A component of square.c told to commit a sin by its number; 0 for none. `hosted` has imports of WASI. */
export function squareComponent(sin: number, name: "square" | "hosted" = "square"): Uint8Array {
  const bytes = Uint8Array.from(readFileSync(repositoryPath(`test/foreign/component/${name}.wasm`)));
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
