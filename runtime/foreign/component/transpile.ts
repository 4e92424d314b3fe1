/** Components of any other shape: several core modules, or imports of WASI. jco makes glue for them; we count their loops. */
import { type Transpiled, transpiledCode, transpiledParts } from "../../abi/transpiled.ts";
import { digestBytes } from "../../core/digest.ts";
import { parseModule } from "../binary/module.ts";
import type { Feature } from "../binary/opcodes.ts";
import type { Refuse } from "../binary/reader.ts";
import { checkFeatures, checkValid } from "../inspect.ts";
import { countedModule } from "./count.ts";

/** `transpile` of `@bytecodealliance/jco/component`, as far as it is used. */
export type Transpile = (
  component: Uint8Array,
  options: Readonly<Record<string, unknown>>,
) => Promise<{ readonly files: readonly (readonly [string, Uint8Array])[]; readonly imports: readonly string[] }>;

/** Where glue comes from, and where it is kept. */
export interface TranspileSource {
  /** jco's function. @throws FoveaError `no_jco` with what to install */
  readonly transpile: () => Promise<Transpile>;
  readonly get: (key: string) => Promise<Uint8Array | undefined>;
  readonly put: (key: string, bytes: Uint8Array) => Promise<void>;
}

/** Changes with how glue is asked for. */
const REVISION = 1;

/** Name of the files that jco writes. */
const NAME = "kernel";

export const transpileOptions: Readonly<Record<string, unknown>> = {
  name: NAME,
  instantiation: { tag: "sync" },
  noTypescript: true,
  noNodejsCompat: true,
  base64Cutoff: 0,
  validLiftingOptimization: true,
};

/** Where the glue of a component is kept. */
export const transpiledKey = (component: Uint8Array): string => `components/${digestBytes(component)}-${REVISION}`;

/** As it is kept: the digest of what follows tells damage. */
export function writeTranspiled(made: Transpiled): Uint8Array {
  const code = transpiledCode(made);
  const digest = new TextEncoder().encode(digestBytes(code));
  const bytes = new Uint8Array(digest.length + code.length);
  bytes.set(digest);
  bytes.set(code, digest.length);
  return bytes;
}

const DIGEST_BYTES = 64;

function readTranspiled(bytes: Uint8Array): Transpiled | undefined {
  const code = bytes.slice(DIGEST_BYTES);
  if (new TextDecoder().decode(bytes.subarray(0, DIGEST_BYTES)) !== digestBytes(code)) return undefined;
  return transpiledParts(new WebAssembly.Module(code));
}

/** What jco makes of a component; kept, so that jco is asked once. @throws FoveaError `no_jco`, `refused_module` */
export async function transpiled(component: Uint8Array, source: TranspileSource, refuse: Refuse): Promise<Transpiled> {
  const key = transpiledKey(component);
  const bytes = await source.get(key);
  const kept = bytes === undefined ? undefined : readTranspiled(bytes);
  if (kept !== undefined) return kept;
  const transpile = await source.transpile();
  const { files, imports } = await transpile(component, transpileOptions).catch((cause: unknown) =>
    refuse(`jco could not transpile it: ${cause instanceof Error ? cause.message : String(cause)}.`),
  );
  const glue = files.find(([name]) => name === `${NAME}.js`);
  if (glue === undefined) return refuse("jco gave no glue for it.");
  const made: Transpiled = {
    glue: new TextDecoder().decode(glue[1]),
    imports,
    cores: new Map(files.filter(([name]) => name.endsWith(".wasm"))),
  };
  await source.put(key, writeTranspiled(made));
  return made;
}

/** The same with its core modules checked and their loops counted. */
export function countedCores(made: Transpiled, features: readonly Feature[], refuse: Refuse): Transpiled {
  const cores = [...made.cores].map(([name, bytes]) => {
    const module = parseModule(bytes, refuse, true);
    checkFeatures(module, features, refuse);
    checkValid(bytes, features, refuse);
    return [name, countedModule(module)] as const;
  });
  return { ...made, cores: new Map(cores) };
}
