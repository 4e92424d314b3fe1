/** Loading: a model's towers with their weights and its processors become an encoder. */
import type { EncoderModel, Tensors, TowerSpec } from "../abi/encoder.ts";
import { tensorName } from "../exec/instance_weights.ts";
import type { TensorSource } from "../exec/weights/tensor_source.ts";
import { readAllTensors } from "../exec/weights/writer.ts";
import { withCalibration } from "./calibrated_weights.ts";
import { Encoder } from "./encoder.ts";
import type { KeptWeights } from "./kept_weights.ts";
import { readLogits } from "./logits.ts";
import { cutTowers, openFiles, openWeights, progressTeller, wantedTowers } from "./model_access.ts";
import { openModel } from "./model_files.ts";
import type { LoadOptions } from "./options.ts";
import type { PixelCutter } from "./pixels.ts";
import type { RuntimeParts } from "./runtime_parts.ts";
import { type CallSettings, dtypeOf } from "./settings.ts";
import { createMediaReader, type ModelSource, type SourceFiles } from "./source.ts";
import { type LoadedTower, loadTower } from "./tower.ts";

export interface LoadContext {
  readonly cutter: PixelCutter;
  /** What the runtime closes with itself. */
  readonly open: Set<{ close(): void }>;
  readonly kept: KeptWeights;
  /** What takes the place of each tower; the configured granularity's components unless given. */
  readonly rewrite?: (tower: TowerSpec) => TowerSpec;
}

/** @throws FoveaError that says what is missing or wrong; nothing stays behind then */
export async function loadModel(
  parts: RuntimeParts,
  source: ModelSource,
  options: LoadOptions,
  { cutter, open, kept, rewrite }: LoadContext,
): Promise<Encoder> {
  const { host, encoders, device, artifacts } = parts;
  const begin = host.now();
  artifacts.begin();
  const files = await openFiles(parts, source, options.signal);
  const opened = await openModel(files, encoders);
  const { modelType, model, files: modelFiles } = opened;
  const own = wantedTowers(parts, opened, options.components);
  const { lazy, calibration } = options;
  const call = { ...dtypeOf(options), ...(lazy === undefined ? {} : { lazy }), calibrated: calibration !== undefined };
  const wanted = rewrite === undefined ? cutTowers(parts, own, call) : own.map(rewrite);
  const dummy = options.loadFormat === "dummy";
  const weights = await openCalibrated(parts, { files, model, towers: own }, options);
  const towers = new Map<LoadedTower["spec"]["modality"], LoadedTower>();
  let encoder: Encoder | undefined;
  let weightsOpen = true;
  const closeWeights = async (): Promise<void> => {
    if (weightsOpen) await weights.close?.();
    weightsOpen = false;
  };
  try {
    for (const tower of wanted) {
      towers.set(
        tower.modality,
        await loadOne(parts, tower, { plugin: opened.plugin, call, weights, kept }, options.signal),
      );
    }
    const processors = dummy ? {} : model.processors(modelFiles);
    if (processors.pixels !== undefined && towers.has("vision")) await cutter.prepare(processors.pixels);
    const { logitScale, logitBias } = await readLogits(model, dummy ? undefined : weights);
    const { onProblem } = parts.options;
    const shrinks = options.jpegShrinkOnLoad === true;
    if (shrinks && processors.images !== undefined && processors.pixels === undefined) {
      onProblem?.(
        `jpegShrinkOnLoad has no effect on this ${modelType} model: its processor states no plan of cuts, so that JPEG files are decoded whole.`,
      );
    }
    const made = new Encoder({
      model,
      modelType,
      towers,
      processors,
      logitScale,
      logitBias,
      loadMs: host.now() - begin,
      media: createMediaReader(host, { onProblem, plugins: parts.plugins }),
      ...(shrinks ? { jpegs: { reduced: 0 } } : {}),
      cutter,
      deviceStats: () => device.stats(),
      now: () => host.now(),
      findPlace: (place) => host.originalPlace(place),
      trace: parts.options.trace,
      onClose: () => {
        open.delete(made);
        void closeWeights();
      },
    });
    encoder = made;
    open.add(made);
    parts.options.trace?.span({ kind: "load", name: modelType, begin, end: host.now() });
    return made;
  } finally {
    // Lazy ranges read their weights later.
    if (encoder === undefined || [...towers.values()].every((t) => t.complete)) await closeWeights();
    if (encoder === undefined) for (const tower of towers.values()) tower.release();
  }
}

interface TowerSource {
  readonly plugin: string;
  readonly call: CallSettings;
  readonly weights: TensorSource;
  readonly kept: KeptWeights;
}

function loadOne(
  parts: RuntimeParts,
  tower: TowerSpec,
  { plugin, call, weights, kept }: TowerSource,
  signal: AbortSignal | undefined,
): Promise<LoadedTower> {
  const { host, artifacts } = parts;
  const { modality } = tower;
  return loadTower(tower, {
    ...{ artifacts, plugin, call },
    reader: (instance) => (name, shape, giveUp, into) =>
      weights.read(tensorName(instance, name), shape, {
        ...(giveUp === undefined ? {} : { signal: giveUp }),
        ...(into === undefined ? {} : { into }),
      }),
    kept: kept.of(weights),
    progress: {
      compile: progressTeller(parts, modality, "compile"),
      weights: progressTeller(parts, modality, "weights"),
    },
    now: () => host.now(),
    trace: parts.options.trace,
    onSizes: parts.options.onSizes,
    ...(signal === undefined ? {} : { signal }),
  });
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

async function calibrationOf({ host }: RuntimeParts, given: NonNullable<LoadOptions["calibration"]>): Promise<Tensors> {
  return typeof given === "string" ? readAllTensors(await host.readFile(given), given) : given;
}
