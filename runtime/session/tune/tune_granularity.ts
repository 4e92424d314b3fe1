/** How large components should be: one encoder cut in several ways, measured side by side. */
import type { ExampleOptions, Modality, Plan, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError, internal } from "../../core/diagnostics.ts";
import { median } from "../../core/figures.ts";
import { openContext } from "../../exec/forward_context.ts";
import { type TensorReader, tensorName } from "../../exec/instance_weights.ts";
import type { OpTable } from "../../ir/node.ts";
import type { Artifacts } from "../artifacts/artifacts.ts";
import type { ReadyArtifact } from "../artifacts/ready_component.ts";
import { cutTower, planFor, sizeOfCut } from "../config/granularity.ts";
import type { CallSettings, CompileSettings, FoveaConfig, Granularity } from "../config/settings.ts";
import { type LoadedTower, loadTower } from "../towers/tower.ts";

export const DEFAULT_CUTS: readonly Granularity[] = ["op", "block", 2, 4, "tower"];

/** What is measured, and how often. */
export interface GranularityOptions {
  /** Op, block, 2 and 4 blocks, and tower unless given. */
  readonly cuts?: readonly Granularity[];
  /** Runs of each cut, in turns; 10 unless given. */
  readonly runs?: number;
  /** Sizes of the made-up inputs. */
  readonly example?: Partial<ExampleOptions>;
}

/** One way of cutting, measured; or why it is not possible. */
export type CutReport =
  | {
      readonly cut: string;
      /** Model time. */
      readonly ms: { readonly median: number; readonly min: number };
      /** Median over the rounds of its time as a share of the plugin's own cut's in the same round. */
      readonly ratio: number;
      readonly compileMs: number;
      /** Structures that were compiled for this size. */
      readonly artifacts: number;
      /** Artifacts and the code blobs that they name. */
      readonly artifactBytes: number;
      readonly steps: number;
      readonly weightBytes: number;
      /** Memory of one run beside weights. */
      readonly arenaBytes: number;
      /** Largest component's ports and scratch at its range's upper corner. */
      readonly peakBytes: number;
      /** Largest difference of a result from the plugin's own cut, over that result's largest magnitude. */
      readonly difference: number;
    }
  | { readonly cut: string; readonly problem: string };

/** How a tower is best cut into components on this device. */
export interface GranularityReport {
  /** Tower that was measured. */
  readonly modality: Modality;
  /** In the order in which they were asked for; the plugin's own, `block`, is always among them. */
  readonly cuts: readonly CutReport[];
  /** The cut to take. */
  readonly recommended: string;
  /** How the others compare with it, as a sentence. */
  readonly why: string;
  /** How to take it, as a sentence. */
  readonly how: string;
  /** The configuration that takes it. */
  readonly config: FoveaConfig;
}

export interface GranularityParts {
  readonly artifacts: Artifacts;
  readonly ops: OpTable;
  /** What the call asks for. */
  readonly call?: CallSettings;
  /** Reads a tensor by its whole name, without the checkpoint's prefix. */
  readonly read: TensorReader;
  readonly now: () => number;
}

/** Runs whose times are not taken. */
const WARM_UP = 2;
/** Cuts within this share of the fastest are equally fast: the cheaper one to compile wins. */
const EQUALLY_FAST = 1.03;
/** Fused and reordered sums differ in their last bits. */
const SAME_RESULTS = 1e-3;

interface LoadedCut {
  readonly cut: string;
  readonly tower: LoadedTower;
  readonly times: number[];
  readonly results: Tensors;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

export const cutName = (cut: Granularity): string => (typeof cut === "number" ? `${cut} blocks` : cut);

function difference(found: Tensors, expected: Tensors): number {
  return Math.max(
    ...Object.entries(expected).map(([name, { data }]) => {
      let [most, largest] = [0, 0];
      for (let i = 0; i < data.length; i++) {
        const away = Math.abs(data[i] - found[name].data[i]);
        most = away <= most ? most : away;
        largest = Math.max(largest, Math.abs(data[i]));
      }
      return most / (largest || 1);
    }),
  );
}

/** Loads a tower in one cut and runs it until its times are steady. Nothing stays behind when that fails. */
async function loadCut(
  tower: TowerSpec,
  cut: Granularity,
  example: Plan,
  parts: GranularityParts,
  run: (tower: LoadedTower) => Promise<Tensors>,
): Promise<LoadedCut> {
  const size = sizeOfCut(cut);
  const spec = size === undefined ? tower : cutTower(tower, { sizeOf: () => size, example, ops: parts.ops });
  // Only the ranges that these sizes need, in every cut: so that compile costs compare.
  const base: CompileSettings = { lazy: true, granularity: cut === "op" ? "op" : "block", enabled: true };
  const loaded = await loadTower(spec, {
    artifacts: parts.artifacts,
    ...(parts.call === undefined ? {} : { call: parts.call }),
    over: { name: `cut ${cutName(cut)}`, config: { base } },
    reader: (instance) => (name, shape) => parts.read(tensorName(instance, name), shape),
    progress: { compile: () => {}, weights: () => {} },
    now: parts.now,
  });
  try {
    let results = await run(loaded);
    for (let i = 1; i < WARM_UP; i++) results = await run(loaded);
    return { cut: cutName(cut), tower: loaded, times: [], results };
  } catch (error) {
    loaded.release();
    throw error;
  }
}

const readyOf = (tower: LoadedTower): readonly ReadyArtifact[] => [
  ...new Map([...tower.components.values()].flatMap((c) => c.artifacts).map((a) => [a.request, a])).values(),
];

function reportOf({ cut, tower, times, results }: LoadedCut, own: LoadedCut): CutReport {
  const ready = readyOf(tower);
  const blobs = new Map(ready.flatMap((a) => [...a.blobs]));
  return {
    cut,
    ms: { median: median(times), min: Math.min(...times) },
    ratio: median(times.map((ms, round) => ms / own.times[round])),
    compileMs: sum(ready.map((a) => a.compileMs)),
    artifacts: ready.length,
    artifactBytes: sum(ready.map((a) => a.bytes)) + sum([...blobs.values()]),
    steps: sum(ready.map((a) => a.artifact.steps.length)),
    weightBytes: tower.weightBytes,
    arenaBytes: tower.stats.arenaBytes,
    peakBytes: Math.max(...ready.map((a) => a.artifact.peakBytes)),
    difference: difference(results, own.results),
  };
}

type Measured = Extract<CutReport, { ms: unknown }>;

/** The cheapest to compile of those that are as fast as the fastest, and why. */
export function recommend(cuts: readonly CutReport[]): Pick<GranularityReport, "recommended" | "why"> {
  const measured = cuts.filter((c): c is Measured => "ms" in c && c.difference <= SAME_RESULTS);
  const fastest = measured.reduce((a, b) => (b.ratio < a.ratio ? b : a));
  const equal = measured.filter((c) => c.ratio <= fastest.ratio * EQUALLY_FAST);
  const best = equal.reduce((a, b) => (b.compileMs < a.compileMs ? b : a));
  const others = measured.filter((c) => c !== best);
  const against = ({ cut, ratio, compileMs }: Measured): string =>
    `"${cut}" takes ${(ratio / best.ratio).toFixed(2)} times its time and ${(compileMs / best.compileMs).toFixed(1)} times its compile time`;
  const first =
    best === fastest
      ? `"${best.cut}" is the fastest of those measured`
      : `"${best.cut}" is as fast as "${fastest.cut}" within ${Math.round(100 * (EQUALLY_FAST - 1))} % and compiles faster`;
  return { recommended: best.cut, why: `${[first, ...others.map(against)].join("; ")}.` };
}

/** One pattern for all tags where they have family and tower in common, else the tags. */
function patternsOf(tags: readonly string[]): readonly string[] {
  const prefixes = new Set(tags.map((tag) => tag.slice(0, tag.indexOf(".") + 1)));
  const [prefix] = prefixes;
  return prefixes.size === 1 && prefix !== "" ? [`${prefix}*`] : tags;
}

/** How a cut is taken for a tower's components, and the configuration that does. */
export function applying(cut: Granularity, tags: readonly string[]): Pick<GranularityReport, "how" | "config"> {
  if (cut === "block") return { how: "The model is cut like this without any setting.", config: {} };
  const components = Object.fromEntries(patternsOf(tags).map((pattern) => [pattern, { granularity: cut }]));
  return { how: "This configuration takes it.", config: { compile: { components } } };
}

/**
 * Loads a tower in every cut at once and runs them in turns on the same example, so that a slower minute of the machine
 * hits all. Weights are resident once for each cut; a cut that does not fit any more is reported with that reason.
 * @throws what loading and running the plugin's own cut throws
 */
export async function tuneGranularity(
  tower: TowerSpec,
  parts: GranularityParts,
  { cuts = DEFAULT_CUTS, runs = 10, example = {} }: GranularityOptions = {},
): Promise<GranularityReport> {
  const inputs = tower.example({ batch: 1, seed: 1, ...example });
  const plan = planFor(tower, inputs);
  const loaded: LoadedCut[] = [];
  const problems: CutReport[] = [];
  let requests = 0;
  const run = (one: LoadedTower): Promise<Tensors> => {
    const context = openContext(tower.modality, {}, { requestId: String(++requests), now: parts.now });
    return one.run({ inputs, outputs: tower.outputs, context }).finally(() => context.close());
  };
  try {
    // The plugin's own cut judges the others.
    const all = new Map([...cuts, "block" as const].map((cut) => [cutName(cut), cut]));
    for (const [name, cut] of all) {
      try {
        loaded.push(await loadCut(tower, cut, plan, parts, run));
      } catch (error) {
        if (!(error instanceof FoveaError) || cut === "block") throw error;
        problems.push({ cut: name, problem: error.message });
      }
    }
    for (let round = 0; round < runs; round++) {
      // Who goes first in a round, and after whom, changes.
      const first = round % loaded.length;
      for (const { tower: one, times } of [...loaded.slice(first), ...loaded.slice(0, first)]) {
        await run(one);
        times.push(one.stats.modelMs);
      }
    }
    const own = loaded.find((l) => l.cut === "block") ?? internal("the plugin's own cut is not among those measured");
    const measured = loaded.map((l) => reportOf(l, own));
    const order = [...all.keys()];
    const reports = [...measured, ...problems].sort((a, b) => order.indexOf(a.cut) - order.indexOf(b.cut));
    const advice = recommend(reports);
    const tags = tower.components.map((c) => c.tag);
    const cut = all.get(advice.recommended) ?? internal(`"${advice.recommended}" was not measured`);
    return { modality: tower.modality, cuts: reports, ...advice, ...applying(cut, tags) };
  } finally {
    for (const { tower: one } of loaded) one.release();
  }
}
