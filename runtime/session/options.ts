/** What `createRuntime` takes, and what it tells while it works. */
import type { Tensor } from "../abi/encoder.ts";
import { WEIGHT_DTYPES, type WeightDType } from "../core/dtype.ts";
import type { TraceSink } from "../core/trace.ts";
import type { Store } from "../exec/store/store.ts";
import type { FreezeOptions } from "../freeze/options.ts";
import type { EntryCheck } from "./artifacts/cache_admin.ts";
import type { PackSource } from "./artifacts/pack_source.ts";
import {
  BOOLEAN,
  CACHE,
  CALL_OPTIONS,
  checkOptions,
  type Expected,
  FUNCTION,
  isObject,
  oneOf,
  SIGNAL,
  TEXT,
  TEXTS,
} from "./check.ts";
import type { CompileConfig, NamedCompileConfig } from "./config/settings.ts";
import { checkDeviceOptions } from "./device_options.ts";
import type { NumericsOptions } from "./explain/numerics.ts";
import { checkLogOptions, type LogOptions } from "./log_options.ts";
import { checkPluginsOption, type GivenPlugin } from "./registry/plugin_choice.ts";
import type { GranularityOptions } from "./tune/tune_granularity.ts";
import type { RecordedSizes, TuneRangesOptions } from "./tune/tune_ranges.ts";

export type { LogOptions } from "./log_options.ts";

/** How far a load, a pull or a build of a pack is. */
export interface Progress {
  /** What is counted: components compiled or found, instances of weights loaded, bytes fetched, or encoders handed over. */
  readonly phase: "compile" | "weights" | "download" | "handover";
  /** Tower that it is for; empty where it is for all: in downloads, packs and handovers. */
  readonly modality: string;
  /** Of `total`, in the unit of the phase. */
  readonly done: number;
  /** Components, instances or bytes; 1 for a handover. */
  readonly total: number;
  /** The component or instance that was finished, the file that is being fetched, or the device that has taken over. */
  readonly item: string;
  /** Device that it is for, on runtimes with `handover`: loading for the second ends before that for the first. */
  readonly device?: string;
}

/** How models of the Hugging Face hub (`hf:organisation/name`) are reached and kept. */
export interface HubSettings {
  /**
   * Where they are kept: `hub` in the cache's folder unless given, or in the platform's folder for caches; `false` keeps
   * nothing and reads over the network.
   */
  readonly folder?: string | false;
  /** True forbids the network: what was not pulled is an error. */
  readonly offline?: boolean;
  /** For private and gated models; HF_TOKEN, or the one that a login of the hub's own clients left, unless given. */
  readonly token?: string;
  /** Address of another hub; HF_ENDPOINT, or the public one, unless given. */
  readonly endpoint?: string;
}

/** What `createRuntime` takes; all of it may be left out. */
export interface RuntimeOptions {
  /** Device kind, or several, of which the first that is available is opened; `wasm` unless given. */
  readonly device?: string | readonly string[];
  /**
   * With two devices, encoders answer on the second as soon as they are loaded there, and on the first once it is ready: `load`
   * returns after the former, and `encoder.handover` tells the latter. Weights lie on both until then. `threads` are the second's.
   * Results name the device that answered; they differ as far as those of two devices may.
   */
  readonly handover?: boolean;
  /**
   * Kernels, devices, encoders and ops, in the place of the first-party ones: list those that are wanted beside your own. A text
   * names a folder, a module or a package, as for `loadPlugin`, and so does `{ plugin, isolation }`, with what its code may touch.
   * First-party plugins unless given, each loaded when it is needed.
   */
  readonly plugins?: readonly GivenPlugin[];
  /**
   * Where artifacts are kept: a folder (in browsers its name among what Cache storage keeps), a store of one's own, or `false`
   * for this process alone (the default).
   */
  readonly cache?: string | Store | false;
  /**
   * How components are compiled; `{ enabled: false }` runs every op alone, on the same kernels: for debugging. Of several
   * configurations the first that has a value for a component decides about that value.
   */
  readonly compile?: CompileConfig | readonly NamedCompileConfig[];
  /** Packs that `fovea build` or `runtime.buildPack` made, asked before the cache. */
  readonly packs?: readonly PackSource[];
  /** Most bytes of compiled artifacts in the cache; those used longest ago go first. 512 MiB unless given. Quantised weights may take eight times as much. */
  readonly cacheLimit?: number;
  /** For models that are named `hf:organisation/name`. */
  readonly hub?: HubSettings;
  /** Workers that compute; 0 computes on the caller's thread. One per core unless given, 0 where workers can share no memory. */
  readonly threads?: number;
  /**
   * Pins a target, such as `wasm-simd128` for bit-equal results everywhere; unless given the best one of this engine, or else one
   * that `packs` hold.
   */
  readonly target?: string;
  /** False is `target: "wasm-simd128"`: the same bits on every engine and with any number of threads. For the device `wasm`. */
  readonly relaxed?: boolean;
  /** Most device memory in bytes; all that the device can address unless given. */
  readonly memory?: number;
  /** For the device `webgpu` alone. */
  readonly webgpu?: WebGpuOptions;
  /** Told after each step of loading, preparing, building packs and downloading. */
  readonly onProgress?: (progress: Progress) => void;
  /** Told once about each thing that was worked around, such as a cache folder that cannot be written. */
  readonly onProblem?: (sentence: string) => void;
  /** Told how the time of loading and of every call is spent; a call's own sink takes its place. */
  readonly trace?: TraceSink;
  /** Told the dims of each component that a call runs, equal ones once: what `fovea tune ranges` learns from. */
  readonly onSizes?: (sizes: RecordedSizes) => void;
  /** Told what happens of these topics: ranges that split, cache hits and misses, compiles after load. */
  readonly log?: LogOptions;
}

/** What the device `webgpu` may use. */
export interface WebGpuOptions {
  /** Features that are no standard yet: subgroup matrices, for `dtype: "f16"`, where the adapter has them; `target` says so then. */
  readonly unsafe?: boolean;
}

/** How a model is loaded. */
export interface LoadOptions {
  /** Towers to load; all that the configuration has unless given. */
  readonly components?: readonly ("vision" | "text" | "audio")[];
  /**
   * Type that large weights (those of products, and tables that are looked up) are kept in; `f32` unless given here or
   * configured. `f16` and `bf16` halve the memory and round the weights to nearest even, with arithmetic in f32
   * (`f16` on the device `webgpu` keeps some values so too), which changes nothing where the checkpoint holds that type. `int8` quantises the weights of layers, a byte each, and
   * computes their products with integers; embeddings, heads and tables stay f32.
   */
  readonly dtype?: WeightDType;
  /**
   * For `dtype: "int8"`: how large the columns are that products multiply, as `calibrate` or `fovea tune calibration` tell; a
   * safetensors file or its tensors. Without it the parameters of norms tell. For `f16` on the device `webgpu` it bounds values.
   */
  readonly calibration?: string | Readonly<Record<string, Tensor>>;
  /**
   * Lets JPEG files be read at a half, a quarter or an eighth of their size, by libjpeg in the optional package sharp, where
   * that leaves well more pixels than the processor resizes to (sides of 1.5, 2 and 3 times as many): faster, and other pixels
   * than the model's Hugging Face processor has. False unless given.
   */
  readonly jpegShrinkOnLoad?: boolean;
  /** `dummy` makes seeded normal weights (standard deviation 0.02) and reads `config.json` alone. */
  readonly loadFormat?: "safetensors" | "dummy";
  /**
   * Compiles a range, and loads its weights, when it is first used, as the setting of this name does; settings by tag are stronger.
   * `"never"` is stronger than every setting: what a runtime needs that is to be sealed. Components that their encoder itself
   * leaves for their first use wait then as well, unless a setting says `lazy: false`.
   */
  readonly lazy?: boolean | "never";
  /** Ends downloads, reading, packing and proofs, and compiling between two artifacts; `load` rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** What `runtime.prepare` takes. */
export interface PrepareModelOptions extends Pick<LoadOptions, "components" | "dtype" | "calibration"> {
  /** False compiles nothing: components are traced, their ranges and settings known. */
  readonly compile?: boolean;
}

/** What `runtime.cacheMisses` takes. */
export type CacheMissesOptions = Pick<LoadOptions, "components" | "dtype" | "calibration">;

/** What `runtime.buildPack` takes. */
export interface BuildPackOptions extends Pick<LoadOptions, "components" | "dtype" | "calibration"> {
  /** Targets to compile for, whether this machine has them or not; the runtime's own unless given. */
  readonly targets?: readonly string[];
}

/** What `runtime.verifyCache` takes. */
export interface VerifyCacheOptions {
  /** Compiles entries again from their recorded graphs, with the true corners of their ranges and far more elements. */
  readonly full?: boolean;
  /** Told after each entry. */
  readonly onChecked?: (check: EntryCheck) => void;
}

/** What `runtime.tuneGranularity` takes. */
export interface TuneGranularityOptions extends Pick<LoadOptions, "loadFormat" | "dtype">, GranularityOptions {
  /** Tower; the model's first unless given. */
  readonly component?: "vision" | "text" | "audio";
}

/** What `runtime.numerics` takes. */
export interface MeasureNumericsOptions
  extends Pick<LoadOptions, "loadFormat" | "dtype" | "calibration">,
    NumericsOptions {
  /** Tower; the model's first unless given. */
  readonly component?: "vision" | "text" | "audio";
}

/** More than any machine has processors; each worker costs memory and time to start. */
export const MAX_THREADS: number = 512;

const RUNTIME_OPTIONS: Readonly<Record<keyof RuntimeOptions, Expected>> = {
  device: {
    text: "a text, or a list of names",
    holds: (v) => TEXT.holds(v) || TEXTS.holds(v),
  },
  handover: BOOLEAN,
  plugins: {
    text: "a list of plugins, as definePlugin makes them, or of their folders",
    holds: Array.isArray,
  },
  cache: CACHE,
  // Its own schema says what is wrong with it.
  compile: { text: "anything", holds: () => true },
  hub: { text: "an object such as { offline: true }", holds: isObject },
  threads: {
    text: `a whole number from 0 (no workers) to ${MAX_THREADS}`,
    holds: (v) => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= MAX_THREADS,
  },
  target: TEXT,
  relaxed: BOOLEAN,
  packs: {
    text: "a list of packs: folders, URLs, or Maps of files by name",
    holds: (v) => Array.isArray(v) && v.every((p) => TEXT.holds(p) || p instanceof URL || p instanceof Map),
  },
  cacheLimit: { text: "a number of bytes above 0", holds: (v) => Number.isFinite(v) && (v as number) > 0 },
  memory: { text: "a number of bytes above 0", holds: (v) => Number.isFinite(v) && (v as number) > 0 },
  webgpu: { text: "an object such as { unsafe: true }", holds: isObject },
  onProgress: FUNCTION,
  onProblem: FUNCTION,
  trace: CALL_OPTIONS.trace,
  onSizes: FUNCTION,
  log: { text: 'an object such as { topics: ["recompiles"], write: console.log }', holds: isObject },
};

const WEBGPU_OPTIONS: Readonly<Record<keyof WebGpuOptions, Expected>> = { unsafe: BOOLEAN };

const HUB_SETTINGS: Readonly<Record<keyof HubSettings, Expected>> = {
  folder: { text: "a folder's path or false", holds: (v) => v === false || TEXT.holds(v) },
  offline: BOOLEAN,
  token: TEXT,
  endpoint: TEXT,
};

const LOAD_OPTIONS: Readonly<Record<keyof LoadOptions, Expected>> = {
  components: TEXTS,
  dtype: oneOf(...WEIGHT_DTYPES),
  calibration: { text: "a file, or tensors by name", holds: (v) => TEXT.holds(v) || isObject(v) },
  jpegShrinkOnLoad: BOOLEAN,
  loadFormat: oneOf("safetensors", "dummy"),
  lazy: { text: 'true, false or "never"', holds: (v) => BOOLEAN.holds(v) || v === "never" },
  signal: SIGNAL,
};

const PREPARE_OPTIONS: Readonly<Record<keyof PrepareModelOptions, Expected>> = {
  components: TEXTS,
  dtype: LOAD_OPTIONS.dtype,
  calibration: LOAD_OPTIONS.calibration,
  compile: BOOLEAN,
};

const isCut = (v: unknown): boolean =>
  v === "op" || v === "block" || v === "tower" || (Number.isInteger(v) && (v as number) >= 2);

const TUNE_GRANULARITY_OPTIONS: Readonly<Record<keyof TuneGranularityOptions, Expected>> = {
  component: oneOf("vision", "text", "audio"),
  loadFormat: LOAD_OPTIONS.loadFormat,
  dtype: LOAD_OPTIONS.dtype,
  cuts: {
    text: 'a list of "op", "block", "tower" and numbers of blocks from 2 on',
    holds: (v) => Array.isArray(v) && v.length > 0 && v.every(isCut),
  },
  runs: { text: "a whole number from 1 on", holds: (v) => Number.isInteger(v) && (v as number) >= 1 },
  example: { text: "sizes such as { batch: 4 }", holds: isObject },
};

const NUMERICS_OPTIONS: Readonly<Record<keyof MeasureNumericsOptions, Expected>> = {
  component: TUNE_GRANULARITY_OPTIONS.component,
  loadFormat: LOAD_OPTIONS.loadFormat,
  dtype: LOAD_OPTIONS.dtype,
  calibration: LOAD_OPTIONS.calibration,
  example: TUNE_GRANULARITY_OPTIONS.example,
};

/** @throws FoveaError `invalid_options` */
export function checkNumericsOptions(options: MeasureNumericsOptions): void {
  checkOptions("numerics", options, NUMERICS_OPTIONS);
}

/** @throws FoveaError `invalid_options` */
export async function checkRuntimeOptions(options: RuntimeOptions): Promise<void> {
  checkOptions("createRuntime", options, RUNTIME_OPTIONS);
  checkDeviceOptions(options);
  if (options.plugins !== undefined) checkPluginsOption(options.plugins);
  if (options.hub !== undefined) checkHubSettings(options.hub);
  if (options.webgpu !== undefined) checkOptions("createRuntime's `webgpu`", options.webgpu, WEBGPU_OPTIONS);
  if (options.log !== undefined) checkLogOptions(options.log);
  // The schema library loads only where there is something to check.
  if (options.compile !== undefined) (await import("./config/config_schema.ts")).checkCompileOption(options.compile);
}

/** @throws FoveaError `invalid_options` */
export function checkHubSettings(settings: HubSettings): void {
  checkOptions("`hub`", settings, HUB_SETTINGS);
}

/** What `runtime.compile` takes beside graph and weights. */
export interface CompileOptions {
  /** As {@link LoadOptions.dtype}. */
  readonly dtype?: WeightDType;
}

const COMPONENT_OPTIONS: Readonly<Record<keyof CompileOptions, Expected>> = { dtype: oneOf(...WEIGHT_DTYPES) };

/** @throws FoveaError `invalid_options` */
export function checkCompileOptions(options: CompileOptions): void {
  checkOptions("compile", options, COMPONENT_OPTIONS);
}

/** @throws FoveaError `invalid_options` */
export function checkLoadOptions(options: LoadOptions): void {
  checkOptions("load", options, LOAD_OPTIONS);
}

/** @throws FoveaError `invalid_options` */
export function checkPrepareOptions(options: PrepareModelOptions): void {
  checkOptions("prepare", options, PREPARE_OPTIONS);
}

const isIntervals = (v: unknown): boolean =>
  Array.isArray(v) && v.every((i) => Array.isArray(i) && i.length === 2 && i.every((n) => Number.isSafeInteger(n)));

const FREEZE_OPTIONS: Readonly<Record<keyof FreezeOptions, Expected>> = {
  components: TEXTS,
  ranges: {
    text: "intervals by symbol, such as { batch: [[1, 4]] }",
    holds: (v) => isObject(v) && Object.values(v).every(isIntervals),
  },
  dtype: LOAD_OPTIONS.dtype,
  calibration: LOAD_OPTIONS.calibration,
  loadFormat: LOAD_OPTIONS.loadFormat,
  formats: { text: "a list of formats", holds: (v) => Array.isArray(v) && v.every(TEXT.holds) },
  memory: RUNTIME_OPTIONS.memory,
  weights: oneOf("fetched", "bundled"),
  app: BOOLEAN,
  pluginSources: { text: "a list of modules or packages", holds: (v) => Array.isArray(v) && v.every(TEXT.holds) },
  name: TEXT,
};

/** @throws FoveaError `invalid_options` */
export function checkFreezeOptions(options: FreezeOptions): void {
  checkOptions("freeze", options, FREEZE_OPTIONS);
}

const { components, dtype, calibration } = LOAD_OPTIONS;
const CACHE_MISSES_OPTIONS: Readonly<Record<keyof CacheMissesOptions, Expected>> = { components, dtype, calibration };

/** @throws FoveaError `invalid_options` */
export function checkCacheMissesOptions(options: CacheMissesOptions): void {
  checkOptions("cacheMisses", options, CACHE_MISSES_OPTIONS);
}

const BUILD_PACK_OPTIONS: Readonly<Record<keyof BuildPackOptions, Expected>> = {
  components: TEXTS,
  targets: TEXTS,
  dtype: LOAD_OPTIONS.dtype,
  calibration: LOAD_OPTIONS.calibration,
};

/** @throws FoveaError `invalid_options` */
export function checkBuildPackOptions(options: BuildPackOptions): void {
  checkOptions("buildPack", options, BUILD_PACK_OPTIONS);
}

/** @throws FoveaError `invalid_options` */
export function checkTuneGranularityOptions(options: TuneGranularityOptions): void {
  checkOptions("tuneGranularity", options, TUNE_GRANULARITY_OPTIONS);
}

const TUNE_RANGES_OPTIONS: Readonly<Record<keyof TuneRangesOptions, Expected>> = {
  budget: TUNE_GRANULARITY_OPTIONS.runs,
  measure: BOOLEAN,
};

/** @throws FoveaError `invalid_options` */
export function checkTuneRangesOptions(options: TuneRangesOptions): void {
  checkOptions("tuneRanges", options, TUNE_RANGES_OPTIONS);
}

const VERIFY_CACHE_OPTIONS: Readonly<Record<keyof VerifyCacheOptions, Expected>> = {
  full: BOOLEAN,
  onChecked: FUNCTION,
};

/** @throws FoveaError `invalid_options` */
export function checkVerifyCacheOptions(options: VerifyCacheOptions): void {
  checkOptions("verifyCache", options, VERIFY_CACHE_OPTIONS);
}
