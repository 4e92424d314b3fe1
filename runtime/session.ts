/** Composition: host, plugins, device, store and compiler become a runtime. */
import type { Device, DeviceStats } from "./abi/device.ts";
import type { CheckpointScalar, ComponentSpec, Modality, Tensor } from "./abi/encoder.ts";
import type { Plugin } from "./abi/plugin.ts";
import { FoveaError } from "./core/diagnostics.ts";
import { exp } from "./core/math.ts";
import type { SourcePlace } from "./core/source_place.ts";
import type { TensorReader } from "./exec/instance_weights.ts";
import { createDirectoryStore } from "./exec/store/directory_store.ts";
import { createMemoryStore } from "./exec/store/memory_store.ts";
import type { Store } from "./exec/store/store.ts";
import { createTensorSource, openCheckpoint } from "./exec/weights/checkpoint.ts";
import { createDummySource } from "./exec/weights/dummy.ts";
import type { TensorSource } from "./exec/weights/tensor_source.ts";
import { detectHost, type Host } from "./host/mod.ts";
import { allOps } from "./session/all_ops.ts";
import { type ArtifactCounters, type Artifacts, createArtifacts, type Quarantined } from "./session/artifacts.ts";
import { type CompiledComponent, compileComponent } from "./session/component.ts";
import { type DeviceReport, deviceHost, openDevice, reportDevices } from "./session/devices.ts";
import { Encoder } from "./session/encoder.ts";
import { firstPartyPlugins } from "./session/first_party.ts";
import type { HubContext } from "./session/hub_source.ts";
import { createJournal, type Journal, type Recompile } from "./session/journal.ts";
import { checkComponents, openModel } from "./session/model_files.ts";
import { checkLoadOptions, checkRuntimeOptions, type LoadOptions, type RuntimeOptions } from "./session/options.ts";
import { resolveSettings } from "./session/settings.ts";
import { createMediaReader, type ModelSource, openModelSource } from "./session/source.ts";
import { type LoadedTower, loadTower } from "./session/tower.ts";
import { type RecordedSizes, type TunedComponent, type TuneRangesOptions, tuneRanges } from "./session/tune_ranges.ts";

export { findBreaks } from "./session/breaks.ts";
export type { CompiledComponent } from "./session/component.ts";
export type { DeviceReport } from "./session/devices.ts";
export type {
  AudioInput,
  EncodeInputs,
  EncodeOptions,
  EncodeResult,
  EncoderStats,
  ImageInput,
  TowerOutput,
} from "./session/encoder.ts";
export { Encoder } from "./session/encoder.ts";
export type { CompileCause, JournalEvent, LogTopic, Recompile } from "./session/journal.ts";
export type { HubSettings, LoadOptions, LogOptions, Progress, RuntimeOptions } from "./session/options.ts";
export { type MediaProcessor, openMediaProcessor } from "./session/processor.ts";
export { type PulledModel, type PullOptions, pullModel } from "./session/pull.ts";
export type { CompileConfig, CompileSettings } from "./session/settings.ts";
export type { ModelSource } from "./session/source.ts";
export type { RecordedSizes, TunedComponent, TuneRangesOptions } from "./session/tune_ranges.ts";
export { type Classification, type ClassifyOptions, classifyImages } from "./session/zero_shot.ts";

export interface RuntimeStats {
  readonly counters: Readonly<ArtifactCounters>;
  /** Kernels whose proofs failed on this device. */
  readonly quarantined: readonly Quarantined[];
  /** Compiles after their component was loaded, oldest first. */
  readonly recompiles: readonly Recompile[];
  readonly device: DeviceStats;
}

/** A model's kind and what it encodes. */
export interface ModelDescription {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  readonly modalities: readonly Modality[];
}

/** A component as `runtime.compile` takes it: tag, symbols and build; ranges and instances have defaults. */
export type ComponentInput = Pick<ComponentSpec, "tag" | "symbols" | "build"> & Partial<ComponentSpec>;

interface RuntimeParts {
  readonly host: Host;
  readonly plugins: readonly Plugin[];
  readonly device: Device;
  readonly artifacts: Artifacts;
  readonly journal: Journal;
  readonly options: RuntimeOptions;
}

/** A device with everything that runs on it. Made by {@link createRuntime}. */
export class Runtime {
  /** Name of the JavaScript runtime: `bun`, `deno` or `node`. */
  readonly host: string;
  readonly device: string;
  readonly target: string;
  /** Workers that compute; 0 when the caller's thread does. */
  readonly threads: number;
  readonly #parts: RuntimeParts;
  readonly #open = new Set<{ close(): void }>();
  #closed = false;

  constructor(parts: RuntimeParts) {
    this.#parts = parts;
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
      return await this.#load(source, options);
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
    const { modelType, model, files: modelFiles } = await openModel(files, plugins);
    checkComponents(modelType, model, options.components);
    const dummy = options.loadFormat === "dummy";
    if (!dummy && files.prepare !== undefined) {
      const { createSelect } = await import("./session/select_tensors.ts");
      const towers = model.towers.filter((t) => options.components?.includes(t.modality) ?? true);
      await files.prepare(createSelect(model, towers, allOps(plugins)));
    }
    const weights = dummy
      ? createDummySource(0)
      : createTensorSource(await openCheckpoint(files), model.prefixes, model.oldEndings);
    const towers = new Map<LoadedTower["spec"]["modality"], LoadedTower>();
    let encoder: Encoder | undefined;
    let weightsOpen = true;
    const closeWeights = async (): Promise<void> => {
      if (weightsOpen) await weights.close?.();
      weightsOpen = false;
    };
    try {
      for (const tower of model.towers) {
        if (options.components !== undefined && !options.components.includes(tower.modality)) continue;
        towers.set(tower.modality, await this.#loadTower(tower, weights, options.signal));
      }
      const processors = dummy ? {} : model.processors(modelFiles);
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
        deviceStats: () => device.stats(),
        now: () => host.now(),
        findPlace: (place) => host.originalPlace(place),
        onClose: () => {
          this.#open.delete(made);
          void closeWeights();
        },
      });
      encoder = made;
      this.#open.add(made);
      return made;
    } finally {
      // Lazy ranges read their weights later.
      if (encoder === undefined || [...towers.values()].every((t) => t.complete)) await closeWeights();
      if (encoder === undefined) for (const tower of towers.values()) tower.release();
    }
  }

  /**
   * Compiles one graph and loads its weights: anything from a small MLP to a tower.
   * @param weights f32 tensors by the names that the graph declares
   * @throws FoveaError `shape_error`, `invalid_range`, `no_kernel`, `missing_tensor`, `wrong_shape`
   */
  async compile(component: ComponentInput, weights: Readonly<Record<string, Tensor>> = {}): Promise<CompiledComponent> {
    this.#checkOpen();
    const { host, device, artifacts } = this.#parts;
    artifacts.begin();
    const made: CompiledComponent = await compileComponent(
      { instances: [""], ...component },
      {
        device,
        artifacts,
        reader: () => tensorReader(weights, component.tag),
        findPlace: (place) => host.originalPlace(place),
        onSizes: this.#parts.options.onSizes,
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
    const { host, plugins, device, options: own } = this.#parts;
    const { model } = await openModel(await openModelSource(source, host, { hub: this.#hub() }), plugins);
    const context = {
      ops: allOps(plugins),
      kernels: plugins.flatMap((p) => p.kernels ?? []).filter((k) => k.device === device.kind),
      target: device.target,
      capabilities: device.capabilities,
      settings: (spec: ComponentSpec) => resolveSettings(spec, own.compile ?? {}),
      findPlace: (place: SourcePlace) => host.originalPlace(place),
    };
    return tuneRanges(
      model.towers.flatMap((t) => t.components),
      sizes,
      context,
      options,
    );
  }

  stats(): RuntimeStats {
    const { artifacts, journal, device } = this.#parts;
    return {
      counters: { ...artifacts.counters },
      quarantined: artifacts.quarantined,
      recompiles: [...journal.recompiles],
      device: device.stats(),
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

  #loadTower(tower: LoadedTower["spec"], weights: TensorSource, signal: AbortSignal | undefined): Promise<LoadedTower> {
    const { host, device, artifacts, options } = this.#parts;
    const tell = (phase: "compile" | "weights") => (done: number, total: number, item: string) =>
      options.onProgress?.({ phase, modality: tower.modality, done, total, item });
    const abort = signal === undefined ? {} : { signal };
    return loadTower(tower, {
      device,
      artifacts,
      reader: (instance) => (name, shape) => weights.read(`${instance}${name}`, shape, abort),
      progress: { compile: tell("compile"), weights: tell("weights") },
      onSizes: options.onSizes,
      now: () => host.now(),
      ...abort,
    });
  }
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
 * @throws FoveaError `unknown_device`, `device_unavailable`, `unknown_target`, `invalid_options`
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  checkRuntimeOptions(options);
  const host = await detectHost();
  const plugins = options.plugins ?? (await firstPartyPlugins());
  const ops = allOps(plugins);
  const device = await openDevice(options.device ?? "wasm", plugins, deviceHost(host), {
    ...(options.target === undefined ? {} : { target: options.target }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
  });
  const journal = createJournal(options.log?.topics, options.log?.write);
  const artifacts = await createArtifacts({
    device,
    plugins,
    ops,
    config: options.compile ?? {},
    journal,
    engine: `${host.name} ${host.version} (${host.engine})`,
    onProblem: (sentence) => options.onProblem?.(sentence),
    store: openStore(options, host),
    now: () => host.now(),
    findPlace: (place) => host.originalPlace(place),
  });
  return new Runtime({ host, plugins, device, artifacts, journal, options });
}

/** Every device of the plugins on this machine, or why it is absent. */
export async function probeDevices(plugins?: readonly Plugin[]): Promise<readonly DeviceReport[]> {
  return reportDevices(plugins ?? (await firstPartyPlugins()), deviceHost(await detectHost()));
}
