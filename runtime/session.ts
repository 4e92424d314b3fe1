/** Composition: host, plugins, device, store and compiler become a runtime. */
import type { Device, DeviceStats } from "./abi/device.ts";
import type { CheckpointScalar, ComponentSpec, EncoderModel, Modality, Tensor, TowerSpec } from "./abi/encoder.ts";
import type { Plugin } from "./abi/plugin.ts";
import { FoveaError } from "./core/diagnostics.ts";
import { exp } from "./core/math.ts";
import type { SourcePlace } from "./core/source_place.ts";
import { VERSION } from "./core/version.ts";
import { cacheEntries, noteGrowth } from "./exec/cache_entries.ts";
import type { TensorReader } from "./exec/instance_weights.ts";
import type { PackManifest } from "./exec/pack.ts";
import { createDirectoryStore } from "./exec/store/directory_store.ts";
import { createMemoryStore } from "./exec/store/memory_store.ts";
import type { Store } from "./exec/store/store.ts";
import { createTensorSource, openCheckpoint } from "./exec/weights/checkpoint.ts";
import { createDummySource } from "./exec/weights/dummy.ts";
import type { TensorSource } from "./exec/weights/tensor_source.ts";
import { detectHost, type Host } from "./host/mod.ts";
import type { OpTable } from "./ir/node.ts";
import { allOps } from "./session/all_ops.ts";
import { type ArtifactCounters, type Artifacts, createArtifacts, type Uncompiled } from "./session/artifacts.ts";
import type { CacheMiss, EntryCheck } from "./session/cache_admin.ts";
import { type CompiledComponent, compileComponent } from "./session/component.ts";
import { type DeviceReport, deviceHost, findDevice, openDevice, reportDevices } from "./session/devices.ts";
import { Encoder } from "./session/encoder.ts";
import { firstPartyPlugins } from "./session/first_party.ts";
import type { HubContext } from "./session/hub_source.ts";
import { createJournal, type Journal, type Recompile } from "./session/journal.ts";
import { checkComponents, type OpenedModel, openModel } from "./session/model_files.ts";
import {
  type BuildPackOptions,
  type CompileOptions,
  checkBuildPackOptions,
  checkCompileOptions,
  checkLoadOptions,
  checkPrepareOptions,
  checkRuntimeOptions,
  checkTuneGranularityOptions,
  type LoadOptions,
  type PrepareModelOptions,
  type Progress,
  type RuntimeOptions,
  type TuneGranularityOptions,
  type VerifyCacheOptions,
} from "./session/options.ts";
import { openPackSource } from "./session/pack_source.ts";
import { createPatternWatch, type PatternWatch } from "./session/patterns.ts";
import { createPixelCutter, cutComponents, type PixelCutter } from "./session/pixels.ts";
import { createPlaces, type Places } from "./session/places.ts";
import { checkPlugins } from "./session/plugins.ts";
import type { Quarantined } from "./session/quarantine.ts";
import { type CallSettings, compileLayers, resolveSettings, strictly } from "./session/settings.ts";
import { createMediaReader, type ModelSource, openModelSource, type SourceFiles } from "./session/source.ts";
import { type LoadedTower, loadTower, type PreparedTower, prepareTower } from "./session/tower.ts";
import { type GranularityReport, tuneGranularity } from "./session/tune_granularity.ts";
import { type RecordedSizes, type TunedComponent, type TuneRangesOptions, tuneRanges } from "./session/tune_ranges.ts";

export type { Uncompiled } from "./session/artifacts.ts";
export { findBreaks } from "./session/breaks.ts";
export type { CacheMiss, EntryCheck } from "./session/cache_admin.ts";
export type { CompiledComponent } from "./session/component.ts";
export type { DeviceReport } from "./session/devices.ts";
export type { EncodeOptions, EncodeResult, EncoderStats, TowerOutput } from "./session/encoder.ts";
export { Encoder } from "./session/encoder.ts";
export type { AudioInput, EncodeInputs, ImageInput, VideoFrames, VideoInput } from "./session/inputs.ts";
export type { CompileCause, JournalEvent, LogTopic, Recompile } from "./session/journal.ts";
export type {
  BuildPackOptions,
  CompileOptions,
  HubSettings,
  LoadOptions,
  LogOptions,
  PrepareModelOptions,
  Progress,
  RuntimeOptions,
  TuneGranularityOptions,
  VerifyCacheOptions,
} from "./session/options.ts";
export type { PackSource } from "./session/pack_source.ts";
export { type MediaProcessor, openMediaProcessor } from "./session/processor.ts";
export { type PulledModel, type PullOptions, pullModel } from "./session/pull.ts";
export {
  type CompileConfig,
  type CompileSettings,
  defineConfig,
  type FoveaConfig,
  type NamedCompileConfig,
} from "./session/settings.ts";
export type { ModelSource } from "./session/source.ts";
export type { Cut, CutReport, GranularityReport } from "./session/tune_granularity.ts";
export type { RecordedSizes, TunedComponent, TuneRangesOptions } from "./session/tune_ranges.ts";
export { type Classification, type ClassifyOptions, classifyImages } from "./session/zero_shot.ts";

export interface RuntimeStats {
  readonly counters: Readonly<ArtifactCounters>;
  /** Kernels whose proofs failed on this device. */
  readonly quarantined: readonly Quarantined[];
  /** Compiles after their component was loaded, oldest first. */
  readonly recompiles: readonly Recompile[];
  /** Components that run op by op, and what says so: a setting, or the encoder's own gate. */
  readonly uncompiled: readonly Uncompiled[];
  readonly device: DeviceStats;
  /** Devices beside the runtime's own that components were placed on, by kind. */
  readonly otherDevices: Readonly<Record<string, DeviceStats>>;
}

/** A model's kind and what it encodes. */
export interface ModelDescription {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  readonly modalities: readonly Modality[];
}

/** A model's towers, traced and, unless lazy, compiled; no weights. */
export interface PreparedModel {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  readonly towers: ReadonlyMap<Modality, PreparedTower>;
}

/** A component as `runtime.compile` takes it: tag, symbols and build; ranges and instances have defaults. */
export type ComponentInput = Pick<ComponentSpec, "tag" | "symbols" | "build"> & Partial<ComponentSpec>;

interface RuntimeParts {
  readonly host: Host;
  readonly plugins: readonly Plugin[];
  readonly device: Device;
  readonly places: Places;
  readonly artifacts: Artifacts;
  readonly store: Store;
  readonly ops: OpTable;
  readonly patterns: PatternWatch;
  readonly journal: Journal;
  readonly options: RuntimeOptions;
}

/** Most bytes of a cache unless the caller gives another number. */
const CACHE_LIMIT = 512 * 2 ** 20;

/** A device with everything that runs on it. Made by {@link createRuntime}. */
export class Runtime {
  /** Name of the JavaScript runtime: `bun`, `deno` or `node`. */
  readonly host: string;
  readonly device: string;
  readonly target: string;
  /** Workers that compute; 0 when the caller's thread does. */
  readonly threads: number;
  readonly #parts: RuntimeParts;
  readonly #cutter: PixelCutter;
  readonly #open = new Set<{ close(): void }>();
  #closed = false;
  /** Bytes in the cache that its limit was held against. */
  #tidied = 0;

  constructor(parts: RuntimeParts) {
    this.#parts = parts;
    this.#cutter = createPixelCutter(parts.artifacts);
    this.host = parts.host.name;
    this.device = parts.device.kind;
    this.target = parts.device.target;
    this.threads = parts.device.threads;
  }

  /**
   * What a model is, from its configuration alone.
   * @throws FoveaError `no_config`, `unknown_model_type`, `invalid_config`
   */
  async inspect(source: ModelSource): Promise<ModelDescription> {
    this.#checkOpen();
    const { host, plugins } = this.#parts;
    const { modelType, model } = await openModel(await openModelSource(source, host, { hub: this.#hub() }), plugins);
    return { modelType, modalities: model.towers.map((t) => t.modality) };
  }

  /**
   * Traces a model's components and compiles what is not lazy, from its configuration alone: no weights are read
   * and nothing is left to close.
   * @throws FoveaError that says what is missing or wrong
   */
  async prepare(source: ModelSource, options: PrepareModelOptions = {}): Promise<PreparedModel> {
    this.#checkOpen();
    checkPrepareOptions(options);
    const { host, plugins, artifacts } = this.#parts;
    artifacts.begin();
    const opened = await openModel(await openModelSource(source, host, { hub: this.#hub() }), plugins);
    const towers = new Map<Modality, PreparedTower>();
    for (const tower of this.#wantedTowers(opened, options.components)) {
      const prepared = await prepareTower(tower, {
        artifacts,
        plugin: opened.plugin,
        onPrepared: this.#teller(tower.modality, "compile"),
        call: dtypeOf(options),
        defer: options.compile === false,
      });
      towers.set(tower.modality, prepared);
    }
    return { modelType: opened.modelType, towers };
  }

  /**
   * Loads a model folder in the layout that Hugging Face publishes: `config.json`, `*.safetensors`, processor and
   * tokenizer files. Compiles its components, or takes them from the cache.
   * @param source a folder, `hf:organisation/name@revision` (fetched as far as it is not kept, see `hub`), an http(s) or
   * file URL, or files by name
   * @throws FoveaError that says what is missing or wrong; nothing stays behind then
   */
  async load(source: ModelSource, options: LoadOptions = {}): Promise<Encoder> {
    this.#checkOpen();
    checkLoadOptions(options);
    try {
      const encoder = await this.#load(source, options);
      await this.#tidy();
      return encoder;
    } catch (error) {
      // Whatever an abort broke off, the reason of the abort is what the caller waits for.
      options.signal?.throwIfAborted();
      throw error;
    }
  }

  async #load(source: ModelSource, options: LoadOptions): Promise<Encoder> {
    const { host, plugins, device, artifacts } = this.#parts;
    const begin = host.now();
    artifacts.begin();
    const files = await openModelSource(source, host, { hub: this.#hub(), signal: options.signal });
    const opened = await openModel(files, plugins);
    const { modelType, model, files: modelFiles } = opened;
    const wanted = this.#wantedTowers(opened, options.components);
    const dummy = options.loadFormat === "dummy";
    const weights = await this.#openWeights(files, model, wanted, dummy);
    const towers = new Map<LoadedTower["spec"]["modality"], LoadedTower>();
    let encoder: Encoder | undefined;
    let weightsOpen = true;
    const closeWeights = async (): Promise<void> => {
      if (weightsOpen) await weights.close?.();
      weightsOpen = false;
    };
    try {
      for (const tower of wanted) {
        towers.set(tower.modality, await this.#loadTower(tower, opened.plugin, weights, options));
      }
      const processors = dummy ? {} : model.processors(modelFiles);
      if (processors.pixels !== undefined && towers.has("vision")) await this.#cutter.prepare(processors.pixels);
      const readLogit = (scalar: CheckpointScalar): Promise<number> => readScalar(scalar, dummy ? undefined : weights);
      const logitScale = model.logitScale === undefined ? undefined : exp(await readLogit(model.logitScale));
      const logitBias = model.logitBias === undefined ? 0 : await readLogit(model.logitBias);
      const made = new Encoder({
        model,
        modelType,
        towers,
        processors,
        logitScale,
        logitBias,
        loadMs: host.now() - begin,
        media: createMediaReader(host),
        cutter: this.#cutter,
        deviceStats: () => device.stats(),
        now: () => host.now(),
        findPlace: (place) => host.originalPlace(place),
        trace: this.#parts.options.trace,
        onClose: () => {
          this.#open.delete(made);
          void closeWeights();
        },
      });
      encoder = made;
      this.#open.add(made);
      this.#parts.options.trace?.span({ kind: "load", name: modelType, begin, end: host.now() });
      return made;
    } finally {
      // Lazy ranges read their weights later.
      if (encoder === undefined || [...towers.values()].every((t) => t.complete)) await closeWeights();
      if (encoder === undefined) for (const tower of towers.values()) tower.release();
    }
  }

  /**
   * Compiles a model's components for targets, from its configuration alone, and writes the pack into a folder. This
   * machine need not have the targets.
   * @throws FoveaError `unknown_target`, what compiling throws, `file.*` where the folder cannot be written
   */
  async buildPack(source: ModelSource, folder: string, options: BuildPackOptions = {}): Promise<PackManifest> {
    this.#checkOpen();
    checkBuildPackOptions(options);
    const { host, plugins, ops, places, options: own } = this.#parts;
    const opened = await openModel(await openModelSource(source, host, { hub: this.#hub() }), plugins);
    const [{ packItems }, { packFolder }, { writePack }] = await Promise.all([
      import("./session/build_pack.ts"),
      import("./session/pack_source.ts"),
      import("./exec/pack.ts"),
    ]);
    const towers = this.#wantedTowers(opened, options.components);
    const { pixels } = towers.some((t) => t.modality === "vision") ? opened.model.processors(opened.files) : {};
    const items = await packItems({
      components: [...towers.flatMap((t) => t.components), ...(pixels === undefined ? [] : cutComponents(pixels))],
      targets: options.targets ?? [this.target],
      layers: compileLayers(own.compile),
      home: places.home,
      ...{ plugins, ops },
      findPlace: (place) => host.originalPlace(place),
      onCompiled: (done, total, item) => own.onProgress?.({ phase: "compile", modality: "", done, total, item }),
    });
    return writePack(packFolder(host, folder), items, { fovea: VERSION, model: opened.modelType });
  }

  /**
   * How the cache stands to a model's components, from its configuration alone: each range a hit, or a miss with the first
   * thing in which it differs from what the cache has.
   */
  async cacheMisses(source: ModelSource, options: Pick<LoadOptions, "components"> = {}): Promise<readonly CacheMiss[]> {
    const { towers } = await this.prepare(source, { ...options, compile: false });
    const components = [...towers.values()].flatMap((t) => [...t.components.values()]);
    const { cacheMisses } = await import("./session/cache_admin.ts");
    return cacheMisses(this.#parts.store, components);
  }

  /** Checks every byte of the cache, and proves what it holds for this runtime's target. */
  async verifyCache(options: VerifyCacheOptions = {}): Promise<readonly EntryCheck[]> {
    this.#checkOpen();
    const { store, places, ops } = this.#parts;
    const { checkEntry } = await import("./session/cache_admin.ts");
    const checks: EntryCheck[] = [];
    for (const entry of await cacheEntries(store)) {
      const check = await checkEntry(entry, { store, places, ops, full: options.full === true });
      checks.push(check);
      options.onChecked?.(check);
    }
    return checks;
  }

  /** Keeps the cache within its limit after something was added. */
  async #tidy(): Promise<void> {
    const { store, artifacts, options } = this.#parts;
    const added = artifacts.counters.storedBytes - this.#tidied;
    if (added === 0) return;
    this.#tidied += added;
    await noteGrowth(store, added, options.cacheLimit ?? CACHE_LIMIT);
  }

  /**
   * Measures one tower of a model with its calls cut into components of several sizes; see {@link GranularityReport}.
   * @throws FoveaError as {@link load}
   */
  async tuneGranularity(source: ModelSource, options: TuneGranularityOptions = {}): Promise<GranularityReport> {
    this.#checkOpen();
    checkTuneGranularityOptions(options);
    const { host, plugins, artifacts, ops } = this.#parts;
    const { component, loadFormat, dtype: _, ...how } = options;
    artifacts.begin();
    const files = await openModelSource(source, host, { hub: this.#hub() });
    const opened = await openModel(files, plugins);
    const [tower] = this.#wantedTowers(opened, component === undefined ? undefined : [component]);
    const weights = await this.#openWeights(files, opened.model, [tower], loadFormat === "dummy");
    try {
      const read: TensorReader = (name, shape) => weights.read(name, shape, {});
      return await tuneGranularity(tower, { artifacts, ops, read, call: dtypeOf(options), now: () => host.now() }, how);
    } finally {
      await weights.close?.();
    }
  }

  /**
   * Compiles one graph and loads its weights: anything from a small MLP to a tower.
   * @param weights f32 tensors by the names that the graph declares
   * @throws FoveaError `shape_error`, `invalid_range`, `no_kernel`, `missing_tensor`, `wrong_shape`, `weight_overflow`
   */
  async compile(
    component: ComponentInput,
    weights: Readonly<Record<string, Tensor>> = {},
    options: CompileOptions = {},
  ): Promise<CompiledComponent> {
    this.#checkOpen();
    checkCompileOptions(options);
    const { host, artifacts, options: own } = this.#parts;
    artifacts.begin();
    const made: CompiledComponent = await compileComponent(
      { instances: [""], ...component },
      {
        artifacts,
        reader: () => tensorReader(weights, component.tag),
        call: dtypeOf(options),
        findPlace: (place) => host.originalPlace(place),
        onSizes: own.onSizes,
        now: () => host.now(),
        trace: own.trace,
        onClose: () => this.#open.delete(made),
      },
    );
    this.#open.add(made);
    return made;
  }

  /**
   * Ranges for a model's components that take the least time for recorded sizes, as the target's roofline predicts it.
   * @param source a model; its `config.json` is enough
   * @throws FoveaError `no_sizes`, and what opening a model throws
   */
  async tuneRanges(
    source: ModelSource,
    sizes: readonly RecordedSizes[],
    options: TuneRangesOptions = {},
  ): Promise<readonly TunedComponent[]> {
    this.#checkOpen();
    const { host, plugins, device, places, options: own } = this.#parts;
    const { model } = await openModel(await openModelSource(source, host, { hub: this.#hub() }), plugins);
    const context = {
      ops: allOps(plugins),
      kernels: plugins.flatMap((p) => p.kernels ?? []).filter((k) => k.device === device.kind),
      target: device.target,
      capabilities: device.capabilities,
      settings: (spec: ComponentSpec) => resolveSettings(spec, compileLayers(own.compile), places.home),
      findPlace: (place: SourcePlace) => host.originalPlace(place),
    };
    return tuneRanges(
      model.towers.flatMap((t) => t.components),
      sizes,
      context,
      options,
    );
  }

  /** Code of a device's kernels as text, a line a statement; nothing where the device does not tell. */
  describeCode(device: string, code: Uint8Array): readonly string[] | undefined {
    return findDevice(device, this.#parts.plugins).describeCode?.(code);
  }

  stats(): RuntimeStats {
    const { artifacts, journal, device, places } = this.#parts;
    return {
      counters: { ...artifacts.counters },
      quarantined: artifacts.quarantined,
      recompiles: [...journal.recompiles],
      uncompiled: [...artifacts.uncompiled.values()],
      device: device.stats(),
      otherDevices: Object.fromEntries([...places.others].map(([kind, other]) => [kind, other.stats()])),
    };
  }

  /**
   * From now on nothing is compiled: what has no artifact yet throws {@link SealedError}. Call it when all that will be
   * served is loaded.
   */
  seal(): void {
    this.#checkOpen();
    this.#parts.artifacts.seal();
  }

  /** True after {@link seal}. */
  get sealed(): boolean {
    return this.#parts.artifacts.sealed;
  }

  /** Closes encoders, components, workers and memory. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const one of [...this.#open]) one.close();
    await this.#parts.places.close();
    await this.#parts.device.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #hub(): HubContext {
    const { hub: settings = {}, cache, onProgress, onProblem } = this.#parts.options;
    return { settings, cache, onProgress, onProblem };
  }

  #checkOpen(): void {
    if (this.#closed) throw new FoveaError("closed", "This runtime was closed; create another one.");
  }

  /** The towers that were asked for. @throws FoveaError `no_component` */
  #wantedTowers({ modelType, model }: OpenedModel, wanted: LoadOptions["components"]): readonly TowerSpec[] {
    checkComponents(modelType, model, wanted);
    this.#parts.patterns.loaded(
      modelType,
      model.towers.flatMap((t) => t.components.map((c) => c.tag)),
    );
    return model.towers.filter((t) => wanted === undefined || wanted.includes(t.modality));
  }

  /** The checkpoint's tensors; of a model of the hub those that the towers read are fetched first. */
  async #openWeights(
    files: SourceFiles,
    model: EncoderModel,
    towers: readonly TowerSpec[],
    dummy: boolean,
  ): Promise<TensorSource> {
    if (dummy) return createDummySource(0);
    if (files.prepare !== undefined) {
      const { createSelect } = await import("./session/select_tensors.ts");
      await files.prepare(createSelect(model, towers, this.#parts.ops));
    }
    return createTensorSource(await openCheckpoint(files), model.prefixes, model.oldEndings);
  }

  #teller(modality: Modality, phase: Progress["phase"]): (done: number, total: number, item: string) => void {
    return (done, total, item) => this.#parts.options.onProgress?.({ phase, modality, done, total, item });
  }

  #loadTower(tower: TowerSpec, plugin: string, weights: TensorSource, load: LoadOptions): Promise<LoadedTower> {
    const { host, artifacts } = this.#parts;
    const { signal } = load;
    const { modality } = tower;
    const abort = signal === undefined ? {} : { signal };
    return loadTower(tower, {
      artifacts,
      plugin,
      call: dtypeOf(load),
      reader: (instance) => (name, shape, giveUp) =>
        weights.read(`${instance}${name}`, shape, giveUp === undefined ? {} : { signal: giveUp }),
      progress: { compile: this.#teller(modality, "compile"), weights: this.#teller(modality, "weights") },
      now: () => host.now(),
      trace: this.#parts.options.trace,
      onSizes: this.#parts.options.onSizes,
      ...abort,
    });
  }
}

function dtypeOf({ dtype }: Pick<LoadOptions, "dtype">): CallSettings {
  return dtype === undefined ? {} : { dtype };
}

/** Reads from tensors in memory. */
function tensorReader(weights: Readonly<Record<string, Tensor>>, tag: string): TensorReader {
  return async (name, shape) => {
    const tensor = weights[name];
    if (tensor === undefined) {
      throw new FoveaError(
        "missing_tensor",
        `Component "${tag}" needs the weight "${name}"; given are ${Object.keys(weights).join(", ") || "none"}.`,
      );
    }
    if (tensor.shape.join() !== shape.join() || tensor.data.length !== shape.reduce((a, b) => a * b, 1)) {
      throw new FoveaError(
        "wrong_shape",
        `The weight "${name}" of component "${tag}" has the shape [${tensor.shape.join(", ")}]; expected [${shape.join(", ")}].`,
      );
    }
    return tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data);
  };
}

/** Checkpoints store a number as a tensor without axes or with one of size 1. */
async function readScalar({ name, fallback }: CheckpointScalar, weights: TensorSource | undefined): Promise<number> {
  if (weights === undefined || !weights.has(name)) return fallback;
  const shape = weights.shapeOf(name)?.length === 1 ? [1] : [];
  return (await weights.read(name, shape))[0];
}

function openStore(options: RuntimeOptions, host: Host): Store {
  const { cache = false } = options;
  if (cache === false) return createMemoryStore();
  if (typeof cache !== "string") return cache;
  return createDirectoryStore(host, cache, { onProblem: (sentence) => options.onProblem?.(sentence) });
}

/**
 * Opens a device and makes a runtime on it.
 * @throws FoveaError `unknown_device`, `device_unavailable`, `unknown_target`, `invalid_options`, `invalid_plugin`
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  await checkRuntimeOptions(options);
  const host = await detectHost();
  const plugins = options.plugins ?? (await firstPartyPlugins());
  checkPlugins(plugins);
  const ops = allOps(plugins);
  const device = await openDevice(options.device ?? "wasm", plugins, deviceHost(host), {
    ...(options.target === undefined ? {} : { target: options.target }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
  });
  const journal = createJournal(options.log?.topics, options.log?.write);
  const layers = compileLayers(options.compile);
  const places = createPlaces({ device, plugins, host: deviceHost(host) });
  const store = openStore(options, host);
  const packs = await Promise.all((options.packs ?? []).map((pack) => openPackSource(pack, host)));
  const artifacts = await createArtifacts({
    places,
    ops,
    layers,
    strict: strictly(layers),
    journal,
    engine: `${host.name} ${host.version} (${host.engine})`,
    onProblem: (sentence) => options.onProblem?.(sentence),
    store,
    packs,
    now: () => host.now(),
    trace: options.trace,
    findPlace: (place) => host.originalPlace(place),
    today: () => Date.now(),
  });
  const patterns = createPatternWatch(layers, (sentence) => options.onProblem?.(sentence));
  return new Runtime({ host, plugins, device, places, artifacts, store, ops, patterns, journal, options });
}

/** Every device of the plugins on this machine, or why it is absent. */
export async function probeDevices(plugins?: readonly Plugin[]): Promise<readonly DeviceReport[]> {
  return reportDevices(plugins ?? (await firstPartyPlugins()), deviceHost(await detectHost()));
}
