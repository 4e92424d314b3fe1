/** What `createRuntime` takes, and what it tells while it works. */
import type { Plugin } from "../abi/plugin.ts";
import type { Store } from "../exec/store/store.ts";
import { checkOptions, type Expected, FUNCTION, isObject, oneOf, SIGNAL, TEXT, TEXTS, withMethods } from "./check.ts";
import type { CompileConfig } from "./settings.ts";

/** Progress of a load: `done` of `total` steps of a phase. */
export interface Progress {
  readonly phase: "compile" | "weights";
  readonly modality: string;
  readonly done: number;
  readonly total: number;
  /** The component or instance that was finished. */
  readonly item: string;
}

export interface RuntimeOptions {
  /** Device kind; `wasm` unless given. */
  readonly device?: string;
  /** Kernels, devices, encoders and ops. First-party plugins are used when left out. */
  readonly plugins?: readonly Plugin[];
  /** Where artifacts are kept: a folder, a store of one's own, or `false` for this process alone (the default). */
  readonly cache?: string | Store | false;
  /** How components are compiled; `{ enabled: false }` runs every op alone, on the same kernels: for debugging. */
  readonly compile?: CompileConfig;
  /** Workers that compute; 0 computes on the caller's thread. One per core unless given. */
  readonly threads?: number;
  /** Pins a target, such as `wasm-simd128` for bit-equal results everywhere; the best one that the engine has otherwise. */
  readonly target?: string;
  /** Most device memory in bytes. */
  readonly memory?: number;
  readonly onProgress?: (progress: Progress) => void;
  /** Told once about each thing that was worked around, such as a cache folder that cannot be written. */
  readonly onProblem?: (sentence: string) => void;
}

export interface LoadOptions {
  /** Towers to load; all that the configuration has unless given. */
  readonly components?: readonly ("vision" | "text" | "audio")[];
  /** Type that the arithmetic uses; `f32`. */
  readonly dtype?: "f32";
  /** `dummy` makes seeded normal weights (standard deviation 0.02) and reads `config.json` alone. */
  readonly loadFormat?: "safetensors" | "dummy";
  readonly signal?: AbortSignal;
}

/** More than any machine has processors; each worker costs memory and time to start. */
export const MAX_THREADS: number = 512;

const STORE = withMethods("a store", "get", "put", "delete");

const RUNTIME_OPTIONS: Readonly<Record<keyof RuntimeOptions, Expected>> = {
  device: TEXT,
  plugins: {
    text: "a list of plugins, as definePlugin makes them",
    holds: (v) => Array.isArray(v) && v.every((p) => isObject(p) && TEXT.holds(p.name)),
  },
  cache: {
    text: "a folder's path, a store (get, put and delete), or false",
    holds: (v) => v === false || TEXT.holds(v) || STORE.holds(v),
  },
  compile: { text: "an object such as { enabled: false }", holds: isObject },
  threads: {
    text: `a whole number from 0 (no workers) to ${MAX_THREADS}`,
    holds: (v) => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= MAX_THREADS,
  },
  target: TEXT,
  memory: { text: "a number of bytes above 0", holds: (v) => Number.isFinite(v) && (v as number) > 0 },
  onProgress: FUNCTION,
  onProblem: FUNCTION,
};

const BOOLEAN: Expected = { text: "true or false", holds: (v) => typeof v === "boolean" };

const COMPILE_OPTIONS: Readonly<Record<keyof CompileConfig, Expected>> = {
  enabled: BOOLEAN,
  base: { text: "an object of settings", holds: isObject },
  components: { text: "an object of settings by tag", holds: isObject },
  strict: BOOLEAN,
};

const LOAD_OPTIONS: Readonly<Record<keyof LoadOptions, Expected>> = {
  components: TEXTS,
  dtype: {
    text: '"f32", the type of this version\'s arithmetic (weights of f16 and bf16 are widened)',
    holds: (v) => v === "f32",
  },
  loadFormat: oneOf("safetensors", "dummy"),
  signal: SIGNAL,
};

/** @throws FoveaError `invalid_options` */
export function checkRuntimeOptions(options: RuntimeOptions): void {
  checkOptions("createRuntime", options, RUNTIME_OPTIONS);
  if (options.compile !== undefined) checkOptions("createRuntime's `compile`", options.compile, COMPILE_OPTIONS);
}

/** @throws FoveaError `invalid_options` */
export function checkLoadOptions(options: LoadOptions): void {
  checkOptions("load", options, LOAD_OPTIONS);
}
