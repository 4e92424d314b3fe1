/** A model as a call wants it: its files, the towers that were asked for, their weights. */
import type { EncoderModel, Modality, Tensors, TowerSpec } from "../../abi/encoder.ts";
import type { TensorReader } from "../../exec/instance_weights.ts";
import { createTensorSource, openCheckpoint } from "../../exec/weights/checkpoint.ts";
import { createDummySource } from "../../exec/weights/dummy.ts";
import type { TensorSource } from "../../exec/weights/tensor_source.ts";
import { readAllTensors } from "../../exec/weights/writer.ts";
import { cutAsConfigured } from "../config/granularity.ts";
import { type CallSettings, compileLayers, type Home } from "../config/settings.ts";
import { type ModelSource, openModelSource, type SourceFiles } from "../inputs/source.ts";
import type { LoadOptions, Progress } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { withCalibration } from "./calibrated_weights.ts";
import { checkComponents, type OpenedModel, openModel } from "./model_files.ts";

/** A model's files. @throws FoveaError `bad_source`, and what the hub's downloads throw */
export function openFiles(parts: RuntimeParts, source: ModelSource, signal?: AbortSignal): Promise<SourceFiles> {
  const { hub: settings = {}, cache, onProgress, onProblem } = parts.options;
  return openModelSource(source, parts.host, { hub: { settings, cache, onProgress, onProblem }, signal });
}

/** A model by its configuration. @throws FoveaError `no_config`, `unknown_model_type`, `invalid_config`, `bad_source` */
export async function openConfigured(parts: RuntimeParts, source: ModelSource): Promise<OpenedModel> {
  return openModel(await openFiles(parts, source), parts.encoders);
}

/** The towers that were asked for. @throws FoveaError `no_component` */
export function wantedTowers(
  parts: RuntimeParts,
  { modelType, model }: OpenedModel,
  wanted: LoadOptions["components"],
): readonly TowerSpec[] {
  checkComponents(modelType, model, wanted);
  parts.patterns.loaded(
    modelType,
    model.towers.flatMap((t) => t.components.map((c) => c.tag)),
  );
  return model.towers.filter((t) => wanted === undefined || wanted.includes(t.modality));
}

/** Towers with the components that the configured granularity makes. */
export function cutTowers(
  { options, places, ops }: RuntimeParts,
  towers: readonly TowerSpec[],
  call: CallSettings,
  home: Home = places.home,
): readonly TowerSpec[] {
  const cut = { layers: compileLayers(options.compile), home, call, ops };
  return towers.map((tower) => cutAsConfigured(tower, cut));
}

/** The checkpoint's tensors; of a model of the hub those that the towers read are fetched first. */
export async function openWeights(
  parts: RuntimeParts,
  files: SourceFiles,
  model: EncoderModel,
  towers: readonly TowerSpec[],
  dummy: boolean,
): Promise<TensorSource> {
  if (dummy) return createDummySource(0);
  if (files.prepare !== undefined) {
    const { createSelect } = await import("./select_tensors.ts");
    await files.prepare(createSelect(model, towers, parts.ops));
  }
  return createTensorSource(await openCheckpoint(files, { weightFiles: model.weightFiles }), model);
}

/** The checkpoint's tensors, with the calibration that the options give. */
export async function openCalibrated(
  parts: RuntimeParts,
  {
    files,
    model,
    towers,
  }: { readonly files: SourceFiles; readonly model: EncoderModel; readonly towers: readonly TowerSpec[] },
  { loadFormat, calibration }: Pick<LoadOptions, "loadFormat" | "calibration">,
): Promise<TensorSource> {
  // First, so that no weights are left open where it cannot be read.
  const columns = calibration === undefined ? undefined : await calibrationOf(parts, calibration);
  const stored = await openWeights(parts, files, model, towers, loadFormat === "dummy");
  return columns === undefined ? stored : withCalibration(stored, columns);
}

/** A calibration's tensors. @throws FoveaError `file.*`, and what is wrong with the file */
export async function calibrationOf(
  { host }: RuntimeParts,
  given: NonNullable<LoadOptions["calibration"]>,
): Promise<Tensors> {
  return typeof given === "string" ? readAllTensors(await host.readFile(given), given) : given;
}

/** A tower without its encoder: what measures one takes. */
export interface TowerAccess {
  readonly tower: TowerSpec;
  /** Reads the tower's tensors, dense f32. */
  readonly read: TensorReader;
}

/** Opens one tower for `work`, and closes its weights after it. @throws FoveaError as loading the model does */
export async function withTower<T>(
  parts: RuntimeParts,
  source: ModelSource,
  options: { readonly component?: Modality } & Pick<LoadOptions, "loadFormat" | "calibration">,
  work: (access: TowerAccess) => Promise<T>,
): Promise<T> {
  const { component } = options;
  parts.artifacts.begin();
  const files = await openFiles(parts, source);
  const opened = await openModel(files, parts.encoders);
  const [tower] = wantedTowers(parts, opened, component === undefined ? undefined : [component]);
  const weights = await openCalibrated(parts, { files, model: opened.model, towers: [tower] }, options);
  try {
    return await work({ tower, read: (name, shape) => weights.read(name, shape, {}) });
  } finally {
    await weights.close?.();
  }
}

/** Tells the runtime's `onProgress` of one phase of a tower. @param device that it is for, where encoders are handed over */
export function progressTeller(
  parts: RuntimeParts,
  modality: Modality,
  phase: Progress["phase"],
  device?: string,
): (done: number, total: number, item: string) => void {
  const where = parts.interim === undefined || device === undefined ? {} : { device };
  return (done, total, item) => parts.options.onProgress?.({ phase, modality, done, total, item, ...where });
}
