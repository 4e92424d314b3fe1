/** The runtime: what callers do with a device and everything that runs on it. */
import type { ComponentSpec, Modality, Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { SourcePlace } from "../core/source_place.ts";
import type { PackManifest } from "../exec/pack.ts";
import type { FreezeOptions, FrozenFolder } from "../freeze/options.ts";
import type { CacheMiss, EntryCheck } from "./artifacts/cache_admin.ts";
import { createCacheLimit } from "./artifacts/cache_limit.ts";
import { findDevice } from "./artifacts/devices.ts";
import { closeAll } from "./artifacts/places.ts";
import { checkComponent, checkWeights } from "./check_arguments.ts";
import { type CompiledComponent, compileComponent, type OpenedComponent } from "./component.ts";
import { dtypeOf, weightSettingsOf } from "./config/settings.ts";
import type { Encoder } from "./encoder.ts";
import type { NumericsReport } from "./explain/numerics.ts";
import type { EncodeInputs } from "./inputs/inputs.ts";
import { createPixelCutter, type PixelCutter } from "./inputs/pixels.ts";
import type { ModelSource } from "./inputs/source.ts";
import { tensorReader } from "./inputs/tensor_reader.ts";
import { createKeptWeights, type KeptWeights } from "./models/kept_weights.ts";
import { type LoadContext, loadModel } from "./models/load_model.ts";
import { openConfigured, withTower } from "./models/model_access.ts";
import type { ModelIdentity } from "./models/model_identity.ts";
import { type PreparedModel, prepareModel, tracedModel } from "./models/prepared_model.ts";
import {
  type BuildPackOptions,
  type CacheMissesOptions,
  type CompileOptions,
  checkBuildPackOptions,
  checkCacheMissesOptions,
  checkCompileOptions,
  checkFreezeOptions,
  checkLoadOptions,
  checkNumericsOptions,
  checkPrepareOptions,
  checkTuneGranularityOptions,
  checkTuneRangesOptions,
  checkVerifyCacheOptions,
  type LoadOptions,
  type MeasureNumericsOptions,
  type PrepareModelOptions,
  type TuneGranularityOptions,
  type VerifyCacheOptions,
} from "./options.ts";
import type { RuntimeParts } from "./runtime_parts.ts";
import { type RuntimeStats, statsOf } from "./runtime_stats.ts";
import { openedDevice, type ReloadableEntry, Reopenings } from "./towers/reopen.ts";
import type { GranularityReport } from "./tune/tune_granularity.ts";
import type { RecordedSizes, TunedComponent, TuneRangesOptions } from "./tune/tune_ranges.ts";

/** A model's kind and what it encodes. */
export interface ModelDescription {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** Towers that the configuration has: `vision`, `text`, `audio`. */
  readonly modalities: readonly Modality[];
}

/** A component as `runtime.compile` takes it: tag, symbols and build; ranges and instances have defaults. */
export type ComponentInput = Pick<ComponentSpec, "tag" | "symbols" | "build"> & Partial<ComponentSpec>;

/** A device with all that runs on it, made by `createRuntime`. Calls may overlap; after {@link close} they throw FoveaError `closed`. */
export class Runtime {
  /** Name of the JavaScript runtime: `bun`, `deno`, `node` or `browser`. */
  readonly host: string;
  /** Kind of its own device, which computes what no setting places elsewhere: `wasm`, `webgpu`, `reference` or a plugin's. */
  readonly device: string;
  /** Kind of the device that answers for encoders until they are ready on `device`; nothing unless encoders are handed over. */
  readonly interim: string | undefined;
  /** Target that code for that device is generated for, such as `wasm-simd128`. */
  readonly target: string;
  /** Workers that compute; 0 when the caller's thread does. */
  readonly threads: number;
  readonly #parts: RuntimeParts;
  readonly #cutter: PixelCutter;
  readonly #interimCutter: PixelCutter | undefined;
  readonly #kept: KeptWeights;
  /** Keeps the cache within its limit after something was added. */
  readonly #tidy: () => Promise<void>;
  readonly #open = new Set<ReloadableEntry>();
  readonly #closing = new AbortController();
  readonly #reopenings = new Reopenings();
  #closed: Promise<void> | undefined;

  /**
   * Runtimes are made by `createRuntime`.
   * @internal
   */
  constructor(parts: RuntimeParts) {
    this.#parts = parts;
    const { artifacts, interim } = parts;
    this.#cutter = createPixelCutter(artifacts);
    if (interim !== undefined)
      this.#interimCutter = createPixelCutter(artifacts, { device: interim.kind, target: interim.target });
    this.#kept = createKeptWeights(parts.store, parts.options.cache);
    this.#tidy = createCacheLimit(parts, this.#kept);
    this.host = parts.host.name;
    this.device = parts.device.kind;
    this.interim = parts.interim?.kind;
    this.target = parts.device.target;
    this.threads = parts.device.threads;
  }

  /**
   * What a model is, from its configuration alone.
   * @throws FoveaError `bad_source`, `no_config`, `unknown_model_type`, `invalid_config`
   */
  async inspect(source: ModelSource): Promise<ModelDescription> {
    this.#checkOpen();
    const { modelType, model } = await openConfigured(this.#parts, source);
    return { modelType, modalities: model.towers.map((t) => t.modality) };
  }

  /**
   * What tells a model's vectors from those of others; reads all bytes of its weights unless it is of the hub.
   * @throws FoveaError as {@link inspect}
   */
  async identify(source: ModelSource): Promise<ModelIdentity> {
    this.#checkOpen();
    const { identifyModel } = await import("./models/model_identity.ts");
    return identifyModel(this.#parts, source);
  }

  /**
   * Traces a model's components and compiles what is not lazy, from its configuration alone: no weights are read
   * and nothing is left to close. What was compiled is in the cache, and ready for {@link load}.
   * @throws FoveaError as {@link inspect}, `no_component`, and what tracing and compiling throw: `invalid_range`, `shape_error`,
   * `no_kernel`, `tag_conflict`, `impure_build`, `proof_failed`, TraceBreakError
   */
  async prepare(source: ModelSource, options: PrepareModelOptions = {}): Promise<PreparedModel> {
    return this.#whileOpen(async () => {
      checkPrepareOptions(options);
      return prepareModel(this.#parts, source, options);
    });
  }

  /**
   * Loads a model folder in the layout that Hugging Face publishes: `config.json`, `*.safetensors`, processor and
   * tokenizer files. Compiles its components, or takes them from the cache.
   * @param source a folder, `hf:organisation/name@revision` (fetched as far as it is not kept, see `hub`), an http(s) or
   * file URL, files by name, or `{ files }` that a page was given
   * @throws FoveaError that says what is missing or wrong: as {@link prepare}, of weights `no_checkpoint`, `missing_tensor`,
   * `wrong_shape` and others, `out_of_memory`, `sealed`, `hub.*`, `file.*`, `fetch_failed`; the signal's reason on abort. Nothing
   * stays behind then.
   */
  async load(source: ModelSource, options: LoadOptions = {}): Promise<Encoder> {
    this.#checkOpen();
    checkLoadOptions(options);
    return this.#whileOpen(async () => {
      const context = { ...this.#loading(), interimCutter: this.#interimCutter };
      const encoder = await this.#reopenings.through(() => loadModel(this.#parts, source, options, context));
      await this.#tidy();
      if (this.#closed !== undefined) encoder.close();
      this.#checkOpen();
      return encoder;
    }, options.signal);
  }

  /**
   * Compiles a model's components for targets, from its configuration alone, and writes the pack into a folder. This
   * machine need not have the targets.
   * @throws FoveaError `unknown_target`, what compiling throws, `folder_in_use` for a folder that holds something else, `file.*`
   * where it cannot be written
   */
  async buildPack(source: ModelSource, folder: string, options: BuildPackOptions = {}): Promise<PackManifest> {
    this.#checkOpen();
    checkBuildPackOptions(options);
    const { buildModelPack } = await import("./artifacts/model_pack.ts");
    return buildModelPack(this.#parts, source, folder, options);
  }

  /**
   * Writes a model into a folder of ES modules that runs where no code may be made: edges, and every other runtime. The
   * runtime's target is the one that it is frozen for.
   * @throws FoveaError `too_large` with figures and what would fit, `not_freezable`, `invalid_range`, `folder_in_use` for a
   * folder that holds something else, and what {@link load} throws
   */
  async freeze(source: ModelSource, folder: string, options: FreezeOptions = {}): Promise<FrozenFolder> {
    return this.#whileOpen(async () => {
      checkFreezeOptions(options);
      const { freezeModel } = await import("../freeze/freeze.ts");
      return freezeModel(this.#parts, source, folder, options);
    });
  }

  /**
   * For each range of a model's components, from its configuration alone: a hit, or a miss with the first difference.
   * @throws FoveaError as {@link inspect}, and what tracing throws
   */
  async cacheMisses(source: ModelSource, options: CacheMissesOptions = {}): Promise<readonly CacheMiss[]> {
    checkCacheMissesOptions(options);
    const { towers } = tracedModel(await this.prepare(source, { ...options, compile: false }));
    const all = [...towers.values()].flatMap((t) => [...t.components.values()]);
    return (await import("./artifacts/cache_admin.ts")).cacheMisses(this.#parts.store, all);
  }

  /** Checks every byte of the cache, and proves what it holds for this runtime's device and target. */
  async verifyCache(options: VerifyCacheOptions = {}): Promise<readonly EntryCheck[]> {
    return this.#whileOpen(async () => {
      checkVerifyCacheOptions(options);
      const { verifyEntries } = await import("./artifacts/cache_admin.ts");
      return verifyEntries(this.#parts, options);
    });
  }

  /**
   * Measures one tower of a model with its calls cut into components of several sizes; see {@link GranularityReport}.
   * @throws FoveaError as {@link load}
   */
  async tuneGranularity(source: ModelSource, options: TuneGranularityOptions = {}): Promise<GranularityReport> {
    const { tuneGranularity } = await import("./tune/tune_granularity.ts");
    return this.#whileOpen(async () => {
      checkTuneGranularityOptions(options);
      const { host, artifacts, ops } = this.#parts;
      const { component: _, loadFormat: __, dtype: ___, ...how } = options;
      return withTower(this.#parts, source, options, ({ tower, read }) =>
        tuneGranularity(tower, { artifacts, ops, read, call: dtypeOf(options), now: () => host.now() }, how),
      );
    });
  }

  /**
   * How large the columns are that the products of a model's layers multiply, over all inputs: what `load` takes as
   * `calibration` for `dtype: "int8"`, and for `f16` on the device `webgpu`.
   * @param inputs as `encode` takes them, one call each
   * @throws FoveaError as {@link load} and `encode`
   */
  async calibrate(
    source: ModelSource,
    inputs: readonly EncodeInputs[],
    options: Pick<LoadOptions, "components" | "signal"> = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    return this.#whileOpen(async () => {
      checkLoadOptions(options);
      const { calibrateModel } = await import("./tune/calibrate.ts");
      return calibrateModel(this.#parts, source, inputs, options, this.#loading());
    });
  }

  /**
   * Measures what a tower's types of weights cost in precision, by component call; see {@link NumericsReport}.
   * @throws FoveaError as {@link load}
   */
  async numerics(source: ModelSource, options: MeasureNumericsOptions = {}): Promise<NumericsReport> {
    return this.#whileOpen(async () => {
      checkNumericsOptions(options);
      const { host, artifacts } = this.#parts;
      const { measureNumerics } = await import("./explain/numerics.ts");
      return withTower(this.#parts, source, options, ({ tower, read }) => {
        const parts = { artifacts, read, call: weightSettingsOf(options), now: () => host.now() };
        return measureNumerics(tower, parts, { example: options.example ?? {} });
      });
    });
  }

  /**
   * Compiles one graph and loads its weights: anything from a small MLP to a tower.
   * @param weights f32 tensors by the names that the graph declares
   * @throws FoveaError `invalid_input`, `shape_error`, `invalid_range`, `no_kernel`, `missing_tensor`, `invalid_tensor`,
   * `wrong_shape`, `non_finite_weights`, `weight_overflow`
   */
  async compile(
    component: ComponentInput,
    weights: Readonly<Record<string, Tensor>> = {},
    options: CompileOptions = {},
  ): Promise<CompiledComponent> {
    return this.#whileOpen(async () => {
      checkComponent(component);
      checkWeights(weights);
      checkCompileOptions(options);
      const { host, artifacts, options: own } = this.#parts;
      artifacts.begin();
      const how = {
        ...{ artifacts, reader: () => tensorReader(weights, component.tag), call: dtypeOf(options) },
        findPlace: (place: SourcePlace) => host.originalPlace(place),
        ...{ onSizes: own.onSizes, now: () => host.now(), trace: own.trace },
      };
      const made = await this.#reopenings.through(async () => {
        const onClose = (): void => void this.#open.delete(opened);
        const opened: OpenedComponent = await compileComponent({ instances: [""], ...component }, { ...how, onClose });
        this.#open.add(opened);
        return opened;
      });
      if (this.#closed !== undefined) made.close();
      this.#checkOpen();
      return made.component;
    });
  }

  /**
   * Ranges for a model's components that take the least time for recorded sizes, as the target's roofline predicts it and, with
   * `measure`, as it is.
   * @param source a model; its `config.json` is enough
   * @throws FoveaError `no_sizes`, and what opening a model throws
   */
  async tuneRanges(
    source: ModelSource,
    sizes: readonly RecordedSizes[],
    options: TuneRangesOptions = {},
  ): Promise<readonly TunedComponent[]> {
    return this.#whileOpen(async () => {
      checkTuneRangesOptions(options);
      const { tuneModelRanges } = await import("./tune/tune_ranges.ts");
      return tuneModelRanges(this.#parts, source, sizes, options);
    });
  }

  /**
   * Code of a device's kernels as text, a line a statement; nothing where the device does not tell.
   * @param device its kind
   * @param code a blob of an artifact for it
   * @throws FoveaError `unknown_device`
   */
  async describeCode(device: string, code: Uint8Array): Promise<readonly string[] | undefined> {
    return findDevice(device, this.#parts.plugins).describeCode?.(code);
  }

  /** Figures as of now, of everything that was loaded so far. */
  stats(): RuntimeStats {
    return statsOf(this.#parts);
  }

  /**
   * From now on nothing is compiled, nor taken from cache and packs, which makes engines compile too: what is not ready yet throws
   * {@link SealedError}. Equal components of models that are loaded later are ready. Call it when all that will be served is loaded.
   */
  seal(): void {
    this.#checkOpen();
    this.#parts.artifacts.seal();
  }

  /**
   * Opens a device anew, whether it was lost (`device_lost`, `worker_failed`) or not, and loads again what was on it: code from
   * the cache, weights from where models were loaded. Encoders and components then compute as before. Calls under way end with
   * `device_lost`, or as the loss ended them; calls that begin meanwhile wait. Sealed runtimes may do it.
   * @param kind the runtime's own device unless given
   * @throws FoveaError `unknown_device`, `device_unavailable`, and what loading throws; it may be tried again
   */
  async reopen(kind: string = this.device): Promise<void> {
    this.#checkOpen();
    const { device, places, artifacts } = this.#parts;
    const wanted = openedDevice(kind, device, places.others);
    artifacts.begin();
    return this.#reopenings.begin(wanted, this.#open);
  }

  /** True after {@link seal}. */
  get sealed(): boolean {
    return this.#parts.artifacts.sealed;
  }

  /** Closes encoders, components, workers and memory; calls under way reject with `closed`. Who calls it again waits for the same. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    this.#closing.abort(new FoveaError("closed", "This runtime was closed while its device was opened anew."));
    const opened = [...this.#open];
    for (const one of opened) one.close();
    const ended = await Promise.allSettled(opened.map((one) => one.ended?.()));
    await this.#reopenings.ended;
    const { places, device } = this.#parts;
    await closeAll([places, device]);
    // What kept one from ending keeps nothing else open.
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #loading(): LoadContext {
    return { cutter: this.#cutter, open: this.#open, kept: this.#kept, closing: this.#closing.signal };
  }

  /** Whatever an abort or a close breaks off, that is the reason which the caller is told. */
  async #whileOpen<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#checkOpen();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      this.#checkOpen();
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new FoveaError("closed", "This runtime was closed; create another one.");
  }
}
