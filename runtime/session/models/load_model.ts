/** Loading: a model's towers with their weights and its processors become an encoder. */
import type { TowerSpec } from "../../abi/encoder.ts";
import { type CallSettings, compileLayers, strictly, weightSettingsOf } from "../config/settings.ts";
import { Encoder } from "../encoder.ts";
import type { PixelCutter } from "../inputs/pixels.ts";
import { createMediaReader, type ModelSource } from "../inputs/source.ts";
import type { LoadOptions } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import type { RunningHandover } from "../towers/handover.ts";
import type { ReloadableEntry } from "../towers/reopen.ts";
import { Residence } from "../towers/residence.ts";
import type { KeptWeights } from "./kept_weights.ts";
import { type LoadPlace, loadResident, type WantedModel } from "./load_resident.ts";
import { openFiles, wantedTowers } from "./model_access.ts";
import { openModel } from "./model_files.ts";

export interface LoadContext {
  /** For pictures on the runtime's own device. */
  readonly cutter: PixelCutter;
  /** For pictures on the device that answers first, where encoders are handed over. */
  readonly interimCutter?: PixelCutter | undefined;
  readonly open: Set<ReloadableEntry>;
  /** Fires when the runtime closes. */
  readonly closing: AbortSignal;
  readonly kept: KeptWeights;
  /** What takes the place of each tower; the configured granularity's components unless given. */
  readonly rewrite?: (tower: TowerSpec) => TowerSpec;
}

/** Whether components may wait for their first use, as a call's settings have it. */
function waiting({ lazy }: LoadOptions): Pick<CallSettings, "lazy" | "complete"> {
  if (lazy === "never") return { lazy: false, complete: true };
  return lazy === undefined ? {} : { lazy };
}

/** A turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

async function want(
  parts: RuntimeParts,
  source: ModelSource,
  options: LoadOptions,
  { kept, rewrite }: LoadContext,
): Promise<WantedModel> {
  const files = await openFiles(parts, source, options.signal);
  const opened = await openModel(files, parts.encoders);
  const towers = wantedTowers(parts, opened, options.components);
  const { loadFormat } = options;
  const call = { ...weightSettingsOf(options), ...waiting(options) };
  const processors = loadFormat === "dummy" ? {} : opened.model.processors(opened.files);
  return { ...{ files, opened, towers, processors, options, call, kept, rewrite } };
}

/** @throws FoveaError that says what is missing or wrong; nothing stays behind then */
export async function loadModel(
  parts: RuntimeParts,
  source: ModelSource,
  options: LoadOptions,
  context: LoadContext,
): Promise<Encoder> {
  const { host, artifacts, interim } = parts;
  const { cutter, interimCutter = cutter, open, closing } = context;
  const begin = host.now();
  artifacts.begin();
  const wanted = await want(parts, source, options, context);
  const { model, modelType } = wanted.opened;
  const { processors } = wanted;
  const own: LoadPlace = { device: parts.device, cutter, cause: "load", signal: options.signal };
  const first: LoadPlace = interim === undefined ? own : { ...own, device: interim, cutter: interimCutter };
  const { resident, logits } = await loadResident(parts, wanted, first);
  const residence = new Residence(resident);
  const { onProblem, trace } = parts.options;
  const shrinks = options.jpegShrinkOnLoad === true;
  if (shrinks && processors.images !== undefined && processors.pixels === undefined) {
    onProblem?.(
      `jpegShrinkOnLoad has no effect on this ${modelType} model: its processor states no plan of cuts, so that JPEG files are decoded whole.`,
    );
  }
  const handover = interim === undefined ? undefined : await handOver(parts, wanted, residence, own);
  const ended = async (): Promise<void> => {
    await handover?.stop();
    await residence.released;
  };
  const made = new Encoder({
    ...{ model, modelType, residence, processors, ...logits, handover },
    loadMs: host.now() - begin,
    media: createMediaReader(host, { onProblem, plugins: parts.plugins }),
    ...(shrinks ? { jpegs: { reduced: 0 } } : {}),
    now: () => host.now(),
    findPlace: (place) => host.originalPlace(place),
    trace,
    onClose: () => ended().finally(() => open.delete(entry)),
  });
  const on = (kind: string): boolean =>
    [...residence.current.towers.values()].some((t) => [...t.components.values()].some((c) => c.device.kind === kind));
  const entry: ReloadableEntry = {
    close: () => made.close(),
    ended,
    uses: (kind) => !residence.closed && (on(kind) || handover?.to === kind),
    hold: (kind, work) => {
      if (on(kind)) residence.hold(work);
      // It would fail with the device.
      else void handover?.stop();
    },
    reload: async (kind) => {
      if (on(kind)) {
        const place = residence.current.device === first.device ? first : own;
        const again: LoadPlace = { ...place, cause: "device reopened", signal: closing };
        await residence.replace(async () => (await loadResident(parts, wanted, again)).resident);
      }
      if (handover?.to === kind) await handover.again();
    },
  };
  open.add(entry);
  trace?.span({ kind: "load", name: modelType, begin, end: host.now() });
  return made;
}

/** Begins to make an encoder's towers ready on the runtime's own device. */
async function handOver(
  parts: RuntimeParts,
  wanted: WantedModel,
  residence: Residence,
  own: LoadPlace,
): Promise<RunningHandover> {
  const { beginHandover } = await import("../towers/handover.ts");
  const { onProgress, onProblem, compile } = parts.options;
  const from = residence.current.device.kind;
  const to = parts.device.kind;
  return beginHandover({
    ...{ from, to, residence },
    strict: strictly(compileLayers(compile)),
    load: async (signal) => {
      await turn();
      const { resident } = await loadResident(parts, wanted, { ...own, cause: "handover", turn, signal });
      return resident;
    },
    onProblem: (sentence) => onProblem?.(sentence),
    onDone: () => onProgress?.({ phase: "handover", modality: "", done: 1, total: 1, item: to, device: to }),
  });
}
