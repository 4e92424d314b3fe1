/** A frozen folder becomes an encoder: its plan is read, its weights are streamed into place, its artifacts are proven. */
import type { EncoderModel, Modality, TowerSpec } from "../abi/encoder.ts";
import type { Plugin } from "../abi/plugin.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { encoderFor } from "../core/served_type.ts";
import { Encoder, type EncoderContext } from "../session/encoder.ts";
import { createPixelCutter } from "../session/inputs/pixels.ts";
import { checkedTower } from "../session/towers/checked_tower.ts";
import { Residence } from "../session/towers/residence.ts";
import { type LoadedTower, loadTower } from "../session/towers/tower.ts";
import type { FrozenEncoder, FrozenHost, FrozenReport } from "./api.ts";
import { openFrozenDevice } from "./device.ts";
import { FROZEN_FORMAT, type FrozenModel } from "./frozen.ts";
import { createFrozenComponents } from "./frozen_components.ts";
import { type FrozenFormats, frozenMedia } from "./media.ts";
import { type AssetOpener, frozenWeights } from "./weight_stream.ts";

/** What a frozen folder consists of. */
export interface FrozenParts {
  readonly host: FrozenHost;
  /** Bindings or variables of the place, as `createEncoder` was given them. */
  readonly env: unknown;
  /** Brings the encoder of the model. */
  readonly plugin: Plugin;
  readonly formats: FrozenFormats;
}

/** File that holds the plan. */
const PLAN = "plan.json";

async function readPlan(open: AssetOpener): Promise<FrozenModel> {
  const found = await open(PLAN);
  const model = ("format" in found ? found : await new Response(found as BodyInit).json()) as FrozenModel;
  if (model.format === FROZEN_FORMAT) return model;
  throw new FoveaError(
    "damaged_plan",
    `${PLAN} has format ${String(model.format)} and this folder's code reads format ${FROZEN_FORMAT}. Freeze the model again, and deploy the whole folder.`,
  );
}

function openEncoderModel(plugin: Plugin, { modelType, config, files }: FrozenModel): EncoderModel {
  const spec = encoderFor(config, plugin.encoders ?? []);
  return spec?.open(config, files) ?? internal(`the plugin "${plugin.name}" does not serve "${modelType}"`);
}

class FrozenTowerEncoder extends Encoder implements FrozenEncoder {
  readonly report: FrozenReport;

  constructor(context: EncoderContext, report: FrozenReport) {
    super(context);
    this.report = report;
  }
}

const CODEC_FILE = /[^/]*$/;

/**
 * Opens a frozen model.
 * @throws FoveaError `damaged_plan`, `damaged_weights`, `proof_failed`, `out_of_memory`, and what the host's `open` throws
 */
export async function openFrozen({ host, env, plugin, formats }: FrozenParts): Promise<FrozenEncoder> {
  const now = (): number => performance.now();
  const begin = now();
  const open: AssetOpener = (name) => host.open(name, env);
  const frozen = await readPlan(open);
  const { modules, sliceMs } = host;
  const device = await openFrozenDevice(frozen, { modules, memory: frozen.deviceBytes, sliceMs });
  const artifacts = createFrozenComponents(frozen, device, { engine: host.name, now });
  const kept = frozenWeights(frozen, open);
  const model = openEncoderModel(plugin, frozen);
  const towers = new Map<Modality, LoadedTower>();
  const load = (spec: TowerSpec): Promise<LoadedTower> =>
    loadTower(checkedTower(frozen.modelType, withSymbols(spec, frozen)), {
      artifacts,
      reader: () => () => internal("a frozen model has no tensors"),
      kept,
      progress: { compile: () => undefined, weights: () => undefined },
      now,
    });
  for (const spec of model.towers) {
    if (frozen.modalities.includes(spec.modality)) towers.set(spec.modality, await load(spec));
  }
  const processors = model.processors(frozen.files);
  const cutter = createPixelCutter(artifacts);
  if (processors.pixels !== undefined && towers.has("vision")) await cutter.prepare(processors.pixels);
  const loadMs = now() - begin;
  const loadCodec = async (specifier: string): Promise<WebAssembly.Module> => {
    const name = CODEC_FILE.exec(specifier)?.[0] ?? specifier;
    return modules[name] ?? internal(`the folder has no codec ${name}`);
  };
  const release = async (): Promise<void> => {
    for (const tower of towers.values()) tower.release();
    await device.close();
  };
  const residence = new Residence({ device, towers, cutter, release });
  const context: EncoderContext = {
    model,
    modelType: frozen.modelType,
    residence,
    processors,
    logitScale: frozen.logitScale,
    logitBias: frozen.logitBias,
    loadMs,
    media: frozenMedia(formats, frozen.maxPixels, loadCodec),
    now,
    trace: undefined,
    findPlace: async () => undefined,
    onClose: () => residence.released,
  };
  return new FrozenTowerEncoder(context, {
    modelType: frozen.modelType,
    fovea: frozen.fovea,
    target: frozen.target,
    weightBytes: [...towers.values()].reduce((n, t) => n + t.weightBytes, 0),
    memoryBytes: frozen.deviceBytes,
    maxPixels: frozen.maxPixels,
    proofs: { ...artifacts.proofs },
    loadMs,
  });
}

/** A tower whose components have the intervals that they were frozen for, which its runs are cut by. */
function withSymbols(spec: TowerSpec, { components }: FrozenModel): TowerSpec {
  const symbolsOf = new Map(components.map((c) => [c.tag, c.symbols]));
  return { ...spec, components: spec.components.map((c) => ({ ...c, symbols: symbolsOf.get(c.tag) ?? c.symbols })) };
}
