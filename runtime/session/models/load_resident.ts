/** A model's towers on one device: components with their weights, and what cuts pictures there. */
import type { Device } from "../../abi/device.ts";
import type { Processors, TowerSpec } from "../../abi/encoder.ts";
import { tensorName } from "../../exec/instance_weights.ts";
import type { TensorSource } from "../../exec/weights/tensor_source.ts";
import type { PrepareOptions } from "../artifacts/artifacts.ts";
import type { CompileCause } from "../artifacts/journal.ts";
import { usualInstances } from "../config/cut_component.ts";
import type { CallSettings, Home } from "../config/settings.ts";
import { cutComponents, type PixelCutter } from "../inputs/pixels.ts";
import type { SourceFiles } from "../inputs/source.ts";
import type { LoadOptions } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import type { Resident } from "../towers/residence.ts";
import { type LoadedTower, loadTower } from "../towers/tower.ts";
import type { KeptWeights } from "./kept_weights.ts";
import { type Logits, readLogits } from "./logits.ts";
import { cutTowers, openCalibrated, progressTeller } from "./model_access.ts";
import type { OpenedModel } from "./model_files.ts";

/** Where towers are loaded, and why. */
export interface LoadPlace {
  readonly device: Device;
  readonly cutter: PixelCutter;
  readonly cause: CompileCause;
  /** Called before each component; work that others wait beside lets them have their turn there. */
  readonly turn?: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** A model as one call of `load` wants it, on whatever device. */
export interface WantedModel {
  readonly files: SourceFiles;
  readonly opened: OpenedModel;
  /** The encoder's own towers. */
  readonly towers: readonly TowerSpec[];
  readonly processors: Processors;
  readonly options: LoadOptions;
  readonly call: CallSettings;
  readonly kept: KeptWeights;
  /** What takes the place of each tower; the configured granularity's components unless given. */
  readonly rewrite?: ((tower: TowerSpec) => TowerSpec) | undefined;
}

/** @throws FoveaError that says what is missing or wrong; nothing stays behind then */
export async function loadResident(
  parts: RuntimeParts,
  wanted: WantedModel,
  place: LoadPlace,
): Promise<{ readonly resident: Resident; readonly logits: Logits }> {
  const { files, opened, processors, options, call, rewrite } = wanted;
  const { model } = opened;
  const { device, cutter } = place;
  const home: Home = { device: device.kind, target: device.target };
  const specs = rewrite === undefined ? cutTowers(parts, wanted.towers, call, home) : wanted.towers.map(rewrite);
  const weights = await openCalibrated(parts, { files, model, towers: wanted.towers }, options);
  const towers = new Map<LoadedTower["spec"]["modality"], LoadedTower>();
  let weightsClosed: Promise<void> | undefined;
  const closeWeights = async (): Promise<void> => {
    weightsClosed ??= weights.close?.();
    await weightsClosed;
  };
  const releaseTowers = (): void => {
    for (const tower of towers.values()) tower.release();
  };
  try {
    for (const spec of specs)
      towers.set(spec.modality, await loadOne(parts, spec, wanted, { ...place, home, weights }));
    if (processors.pixels !== undefined && towers.has("vision")) {
      // The cutter's own wait as settings say, and have no cause that a sealed runtime lets pass.
      if (call.complete === true || place.cause !== "load")
        await prepareCuts(parts, processors.pixels, { ...place, call, home });
      await cutter.prepare(processors.pixels);
    }
    const logits = await readLogits(model, options.loadFormat === "dummy" ? undefined : weights);
    const release = async (): Promise<void> => {
      releaseTowers();
      await closeWeights();
    };
    // Lazy ranges read their weights later, and so do components whose calls larger ones make.
    if ([...towers.values()].every((t) => t.complete && !hasSpares(t))) await closeWeights();
    return { resident: { device, towers, cutter, release }, logits };
  } catch (error) {
    releaseTowers();
    await closeWeights().catch(() => {});
    throw error;
  }
}

const hasSpares = ({ components }: LoadedTower): boolean =>
  [...components.values()].some(({ spec }) => usualInstances(spec).length < spec.instances.length);

/** Makes what cuts pictures ready as the call and the cause have it: the cutter's components find their artifacts there. */
async function prepareCuts(
  { artifacts }: RuntimeParts,
  pixels: NonNullable<Processors["pixels"]>,
  { call, home, cause, signal }: LoadPlace & Required<Pick<PrepareOptions, "call" | "home">>,
): Promise<void> {
  for (const spec of cutComponents(pixels)) await artifacts.prepare(spec, { call, home, cause, signal });
}

interface TowerPlace extends LoadPlace {
  readonly home: Home;
  readonly weights: TensorSource;
}

function loadOne(
  parts: RuntimeParts,
  tower: TowerSpec,
  { opened: { plugin }, call, kept }: WantedModel,
  { weights, home, cause, turn, signal }: TowerPlace,
): Promise<LoadedTower> {
  const { host, artifacts } = parts;
  const { modality } = tower;
  return loadTower(tower, {
    ...{ artifacts, plugin, call, home, cause },
    reader: (instance) => (name, shape, giveUp, into) =>
      weights.read(tensorName(instance, name), shape, {
        ...(giveUp === undefined ? {} : { signal: giveUp }),
        ...(into === undefined ? {} : { into }),
      }),
    kept: kept.of(weights),
    progress: {
      compile: progressTeller(parts, modality, "compile", home.device),
      weights: progressTeller(parts, modality, "weights", home.device),
    },
    now: () => host.now(),
    trace: parts.options.trace,
    onSizes: parts.options.onSizes,
    ...(turn === undefined ? {} : { turn }),
    ...(signal === undefined ? {} : { signal }),
  });
}
