/** Composition: host, plugins, device, store and compiler become a runtime. */
import type { Plugin } from "./abi/plugin.ts";
import { createDirectoryStore } from "./exec/store/directory_store.ts";
import { createMemoryStore } from "./exec/store/memory_store.ts";
import { createOwnStore } from "./exec/store/own_store.ts";
import type { Store } from "./exec/store/store.ts";
import { detectHost, type Host } from "./host/mod.ts";
import { allOps } from "./session/artifacts/all_ops.ts";
import { createArtifacts } from "./session/artifacts/artifacts.ts";
import {
  type DeviceReport,
  deviceHost,
  findDevice,
  openFirst,
  reportDevices,
  type TuningSource,
} from "./session/artifacts/devices.ts";
import { createJournal } from "./session/artifacts/journal.ts";
import { openDevices } from "./session/artifacts/open_devices.ts";
import { openPackSource } from "./session/artifacts/pack_source.ts";
import { closeAll, createPlaces } from "./session/artifacts/places.ts";
import { keepTuning, type MeasuredTuning, readTuning } from "./session/artifacts/tuning.ts";
import { createPatternWatch } from "./session/config/patterns.ts";
import { compileLayers, strictly } from "./session/config/settings.ts";
import { wantedTarget } from "./session/device_options.ts";
import { checkRuntimeOptions, type RuntimeOptions } from "./session/options.ts";
import { encodersOf } from "./session/registry/encoder_plugins.ts";
import { configuredDevices, devicePlugins, FIRST_PARTY_ENCODERS } from "./session/registry/first_party.ts";
import { givenPlugins } from "./session/registry/plugin_files.ts";
import { checkPlugins } from "./session/registry/plugins.ts";
import { Runtime } from "./session/runtime.ts";

export type { Isolation } from "./abi/isolation.ts";
export type { Difference } from "./exec/first_difference.ts";
export type { CallOptions } from "./exec/forward_context.ts";
export type { PackEntry, PackManifest } from "./exec/pack.ts";
export type { ResultMemory } from "./exec/result_memory.ts";
export type { Store, StoredValue } from "./exec/store/store.ts";
export type { ByteSource, CheckpointFiles } from "./exec/weights/checkpoint.ts";
export type { FolderHandle, GivenFile, GivenFiles } from "./exec/weights/given_files.ts";
export type { FreezeOptions, FrozenFolder, FrozenIntervals, FrozenMemory } from "./freeze/options.ts";
export type { SourceCounters } from "./session/artifacts/artifact_sources.ts";
export type { ArtifactCounters, Uncompiled } from "./session/artifacts/artifacts.ts";
export { findBreaks } from "./session/artifacts/breaks.ts";
export type { CacheMiss, CheckedEntry, EntryCheck } from "./session/artifacts/cache_admin.ts";
export type { DeviceReport } from "./session/artifacts/devices.ts";
export type { CompileCause, Demand, JournalEvent, LogTopic, Recompile } from "./session/artifacts/journal.ts";
export type { PackSource } from "./session/artifacts/pack_source.ts";
export type { Quarantined } from "./session/artifacts/quarantine.ts";
export type { MeasuredTuning } from "./session/artifacts/tuning.ts";
export type { CompiledComponent } from "./session/component.ts";
export {
  type CompileConfig,
  type CompileSettings,
  defineConfig,
  type FoveaConfig,
  type Granularity,
  type NamedCompileConfig,
} from "./session/config/settings.ts";
export type { EncodeOptions, EncodeResult, EncoderStats, TowerOutput } from "./session/encoder.ts";
export { Encoder } from "./session/encoder.ts";
export type {
  CallNumerics,
  Deviation,
  NumericsOptions,
  NumericsReport,
  ValueNumerics,
} from "./session/explain/numerics.ts";
export type {
  AudioInput,
  EncodeInputs,
  ImageDataLike,
  ImageInput,
  VideoFrames,
  VideoInput,
} from "./session/inputs/inputs.ts";
export type { EncodeItem } from "./session/inputs/items.ts";
export { type MediaProcessor, openMediaProcessor } from "./session/inputs/processor.ts";
export type { ModelSource } from "./session/inputs/source.ts";
export type { ModelIdentity } from "./session/models/model_identity.ts";
export type { PreparedModel } from "./session/models/prepared_model.ts";
export { type PulledModel, type PullOptions, pullModel } from "./session/models/pull.ts";
export type {
  BuildPackOptions,
  CacheMissesOptions,
  CompileOptions,
  HubSettings,
  LoadOptions,
  LogOptions,
  MeasureNumericsOptions,
  PrepareModelOptions,
  Progress,
  RuntimeOptions,
  TuneGranularityOptions,
  VerifyCacheOptions,
  WebGpuOptions,
} from "./session/options.ts";
export type { GivenPlugin, PluginChoice, Trust } from "./session/registry/plugin_choice.ts";
export { type LoadPluginOptions, loadPlugin, type PluginSource } from "./session/registry/plugin_files.ts";
export { type ComponentInput, type ModelDescription, Runtime } from "./session/runtime.ts";
export type { RuntimeStats } from "./session/runtime_stats.ts";
export { deviceOf } from "./session/towers/answered_by.ts";
export type { Handover, HandoverState, HandoverStats } from "./session/towers/handover_state.ts";
export type { RunLimit } from "./session/towers/run_limit.ts";
export type { SegmentReport } from "./session/towers/segments.ts";
export type { EncoderTower, ModelTower, RunStats } from "./session/towers/tower_facts.ts";
export type { MeasuredRanges } from "./session/tune/measure_ranges.ts";
export type { CutReport, GranularityOptions, GranularityReport } from "./session/tune/tune_granularity.ts";
export type { LeftOutSizes, RecordedSizes, TunedComponent, TuneRangesOptions } from "./session/tune/tune_ranges.ts";
export { type Classification, type ClassifyOptions, classifyImages } from "./session/zero_shot.ts";

function openStore(options: RuntimeOptions, host: Host): Store {
  const { cache = false } = options;
  if (cache === false) return createMemoryStore();
  const onProblem = (sentence: string): void => options.onProblem?.(sentence);
  if (typeof cache !== "string") return createOwnStore(cache, onProblem);
  return createDirectoryStore(host, cache, { onProblem });
}

/**
 * Opens a device and makes a runtime on it, on which models are loaded and graphs compiled. Close it when it is no longer needed:
 * its workers and its memory stay until then.
 * @throws FoveaError `invalid_options`, `unknown_device`, `device_unavailable` with each reason, `unknown_target`,
 * `unsupported_target`, `no_workers`, `invalid_plugin`, `tag_conflict`, what {@link loadPlugin} throws, and of packs `no_pack`,
 * `damaged_pack`, `bad_source`
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  await checkRuntimeOptions(options);
  const host = await detectHost();
  const kinds = typeof options.device === "string" ? [options.device] : (options.device ?? ["wasm"]);
  const layers = compileLayers(options.compile);
  const wanted = [...kinds, ...configuredDevices(layers)];
  const plugins = await (options.plugins === undefined ? devicePlugins(wanted) : givenPlugins(options.plugins));
  checkPlugins(plugins);
  const encoders = options.plugins === undefined ? FIRST_PARTY_ENCODERS : encodersOf(plugins);
  const ops = allOps(plugins);
  const packs = await Promise.all((options.packs ?? []).map((pack) => openPackSource(pack, host)));
  const target = wantedTarget(options);
  const open = {
    ...(target === undefined ? {} : { target }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
  };
  const packed = packs.flatMap((pack) => pack.manifest.entries);
  const store = openStore(options, host);
  const tuning: TuningSource = (kind, engine) => readTuning(store, kind, engine);
  const devicesOf = deviceHost(host, options.webgpu?.unsafe === true);
  const onProblem = (sentence: string): void => options.onProblem?.(sentence);
  const strict = strictly(layers);
  const { device, interim } = await openDevices(
    { kinds, handover: options.handover === true, open, strict, onProblem },
    (kind) => findDevice(kind, plugins).targets,
    (some, how) => openFirst(some, plugins, devicesOf, how, packed, tuning),
  );
  const beside = interim === undefined ? [] : [interim];
  try {
    const journal = createJournal(options.log?.topics, options.log?.write);
    const places = createPlaces({ device, beside, plugins, host: devicesOf });
    const artifacts = await createArtifacts({
      places,
      ops,
      layers,
      strict,
      journal,
      engine: `${host.name} ${host.version} (${host.engine})`,
      onProblem,
      store,
      packs,
      now: () => host.now(),
      trace: options.trace,
      findPlace: (place) => host.originalPlace(place),
      today: () => Date.now(),
      fresh: host.uncleared,
    });
    const patterns = createPatternWatch(layers, onProblem);
    return new Runtime({
      ...{ host, plugins, encoders, device, interim, places, artifacts, store, ops, patterns, journal, options },
    });
  } catch (error) {
    await closeAll([device, ...beside]).catch(() => undefined);
    throw error;
  }
}

/**
 * Every device of the plugins on this machine, or why it is absent. None is opened.
 * @param plugins first-party ones unless given
 * @param cache folder or store that may hold what `fovea tune kernels` measured
 */
export async function probeDevices(
  plugins?: readonly Plugin[],
  cache?: RuntimeOptions["cache"],
): Promise<readonly DeviceReport[]> {
  const host = await detectHost();
  const store = openStore(cache === undefined ? {} : { cache }, host);
  const tuning: TuningSource = (kind, engine) => readTuning(store, kind, engine);
  return reportDevices(plugins ?? (await devicePlugins()), deviceHost(host), tuning);
}

/** Keeps what was measured about a device's targets where runtimes with this cache find it. */
export async function keepMeasured(cache: NonNullable<RuntimeOptions["cache"]>, tuning: MeasuredTuning): Promise<void> {
  await keepTuning(openStore({ cache }, await detectHost()), tuning);
}
