/** `tune ranges`: recorded sizes in, ranges and what they are expected to save out. */
import type { Capabilities } from "../../abi/device.ts";
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { KernelSpec } from "../../abi/kernel.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { Bindings, Box } from "../../core/dim.ts";
import { boxHolds, boxText, type RangeList, splitRanges } from "../../core/range.ts";
import { brokenRelation, relationText } from "../../core/relation.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import { type PlaceFinder, traceComponent, traceRanges } from "../artifacts/trace.ts";
import { foundText, isObject } from "../check.ts";
import { type ComponentSettings, compileLayers, resolveSettings } from "../config/settings.ts";
import type { ModelSource } from "../inputs/source.ts";
import { openConfigured } from "../models/model_access.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { type CallCost, learnRanges, type SizeSample, secondsUnder } from "./learn_ranges.ts";
import { type MeasuredRanges, type MeasureParts, measureRanges } from "./measure_ranges.ts";

/** Dims of one call of a component. */
export interface RecordedSizes {
  /** The encoder's own component, whatever granularity it ran in. */
  readonly tag: string;
  /** Values of its symbols. */
  readonly dims: Bindings;
}

/** Sizes that a component does not take. */
export interface LeftOutSizes {
  /** As they were recorded. */
  readonly dims: Bindings;
  /** Calls with them. */
  readonly calls: number;
  /** What they do not keep to: an interval such as `tokens 1..77`, or a relation such as `longest_segment <= patches`. */
  readonly takes: string;
}

/** What was learnt for one component. */
export interface TunedComponent {
  /** Component. */
  readonly tag: string;
  /** Calls that were recorded. */
  readonly calls: number;
  /** Those of them with sizes that the component does not take, which were left out. */
  readonly outside: number;
  /** The sizes of those, each once. */
  readonly leftOut: readonly LeftOutSizes[];
  /** What to give as the component's `ranges` setting; its present ones where no recorded size fits it. */
  readonly ranges: RangeList;
  /** Artifacts with the present and with the learnt ranges. */
  readonly artifacts: { readonly now: number; readonly tuned: number };
  /** Expected seconds of all recorded calls, by the target's roofline. */
  readonly seconds: { readonly now: number; readonly tuned: number };
  /** What calls took here, where it was asked for. */
  readonly measured?: MeasuredRanges;
}

/** How ranges are learnt. */
export interface TuneRangesOptions {
  /** Most artifacts of a component; its own limit unless given. */
  readonly budget?: number;
  /** Compiles present and learnt ranges and runs the sizes that take the most time, in turns, on made-up inputs. */
  readonly measure?: boolean;
}

/** Sizes out of JSON lines, `{"tag": ..., "dims": {...}}` each. @throws FoveaError `invalid_sizes` naming the line */
export function readSizes(text: string, name: string): readonly RecordedSizes[] {
  return text.split("\n").flatMap((line, at): readonly RecordedSizes[] => {
    if (line.trim() === "") return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      value = undefined;
    }
    const dims = isObject(value) ? value.dims : undefined;
    const isRight =
      isObject(value) &&
      typeof value.tag === "string" &&
      isObject(dims) &&
      Object.values(dims).every(Number.isSafeInteger);
    if (isRight) return [value as unknown as RecordedSizes];
    throw new FoveaError(
      "invalid_sizes",
      `Line ${at + 1} of ${name} is not of the form {"tag": "clip/text.block", "dims": {"batch": 1, "tokens": 8}}; record sizes with --record.`,
    );
  });
}

/** Sizes as JSON lines. */
export function writeSizes(sizes: readonly RecordedSizes[]): string {
  return sizes.map(({ tag, dims }) => `${JSON.stringify({ tag, dims })}\n`).join("");
}

interface TuneContext {
  readonly ops: OpTable;
  readonly kernels: readonly KernelSpec[];
  readonly target: string;
  readonly capabilities: Capabilities;
  readonly settings: (spec: ComponentSpec) => ComponentSettings;
  readonly findPlace: PlaceFinder;
  /** What measuring takes. */
  readonly parts: MeasureParts;
}

/** Equal dims together. */
function samplesOf(sizes: readonly RecordedSizes[]): readonly SizeSample[] {
  const counts = new Map<string, SizeSample>();
  for (const { dims } of sizes) {
    const key = JSON.stringify(Object.entries(dims).sort());
    counts.set(key, { dims, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()];
}

/** Ranges of a model's components on a runtime's own device. @throws as {@link tuneRanges}, and what opening a model throws */
export async function tuneModelRanges(
  parts: RuntimeParts,
  source: ModelSource,
  sizes: readonly RecordedSizes[],
  options: TuneRangesOptions,
): Promise<readonly TunedComponent[]> {
  if (!Array.isArray(sizes)) {
    throw new FoveaError(
      "invalid_input",
      `tuneRanges takes a list of sizes such as { tag: "clip/text.block", dims: { batch: 1 } }; found ${foundText(sizes)}.`,
    );
  }
  const { host, plugins, device, places, artifacts, ops, options: own } = parts;
  artifacts.begin();
  const { model } = await openConfigured(parts, source);
  const components = model.towers.flatMap((t) => t.components);
  const context: TuneContext = {
    ops,
    kernels: plugins.flatMap((p) => p.kernels ?? []).filter((k) => k.device === device.kind),
    target: device.target,
    capabilities: device.capabilities,
    settings: (spec) => resolveSettings(spec, compileLayers(own.compile), places.home),
    findPlace: (place) => host.originalPlace(place),
    parts: { artifacts, ops, now: () => host.now() },
  };
  return tuneRanges(components, sizes, context, options);
}

/** @throws FoveaError `no_sizes` when nothing was recorded for any of the components */
async function tuneRanges(
  components: readonly ComponentSpec[],
  sizes: readonly RecordedSizes[],
  context: TuneContext,
  options: TuneRangesOptions,
): Promise<readonly TunedComponent[]> {
  const tuned: TunedComponent[] = [];
  for (const spec of components) {
    const own = sizes.filter((s) => s.tag === spec.tag);
    if (own.length > 0 && Object.keys(spec.symbols).length > 0)
      tuned.push(await tuneComponent(spec, own, context, options));
  }
  if (tuned.length > 0) return tuned;
  const tags = (list: readonly string[]): string => [...new Set(list)].join(", ") || "none";
  throw new FoveaError(
    "no_sizes",
    `No sizes of this model's components were recorded: there are ${tags(sizes.map((s) => s.tag))}, and the model has ${tags(components.map((c) => c.tag))}.`,
  );
}

/** Samples by their share of the expected time, the largest first. */
async function byTime(
  samples: readonly SizeSample[],
  whole: Box,
  cost: (box: Box) => Promise<CallCost>,
): Promise<readonly SizeSample[]> {
  const of = await cost(whole);
  return [...samples].sort((a, b) => b.count * of(b.dims) - a.count * of(a.dims));
}

/** The first interval or relation that sizes do not keep to. */
function notKept({ symbols, relations = [] }: ComponentSpec, dims: Bindings): string | undefined {
  for (const [name, interval] of Object.entries(symbols)) {
    const box = { [name]: interval };
    if (!boxHolds(box, dims)) return boxText(box);
  }
  const broken = brokenRelation(relations, dims);
  return broken === undefined ? undefined : relationText(broken);
}

async function tuneComponent(
  spec: ComponentSpec,
  sizes: readonly RecordedSizes[],
  context: TuneContext,
  { budget, measure = false }: TuneRangesOptions,
): Promise<TunedComponent> {
  const { ops, kernels, target, capabilities, findPlace } = context;
  const { predictGraph } = await import("../../compile/compile.ts");
  const { tag, symbols, relations = [] } = spec;
  const settings = context.settings(spec);
  const names = Object.keys(symbols);
  const inside: RecordedSizes[] = [];
  const outside: RecordedSizes[] = [];
  for (const one of sizes) {
    const own = Object.fromEntries(names.map((name) => [name, one.dims[name]]));
    if (notKept(spec, own) === undefined) inside.push({ tag, dims: own });
    else outside.push(one);
  }
  const leftOut = samplesOf(outside).map(({ dims, count }) => {
    return { dims, calls: count, takes: notKept(spec, dims) ?? "" };
  });
  const samples = samplesOf(inside);
  const limit = budget ?? settings.maxArtifacts.value;
  const cost = async (box: Box): Promise<CallCost> => {
    // Comparisons in `build` split the box once more; what they split is not chosen here.
    const { ranges } = await traceRanges(spec, [box], ops, { find: findPlace, maxArtifacts: Number.POSITIVE_INFINITY });
    const parts = ranges.map((range) => {
      const interner = createInterner(ops);
      const traced = traceComponent(spec, range.box, interner);
      const enabled = settings.enabled.value;
      return { box: range.box, seconds: predictGraph(traced, { interner, kernels, target, capabilities, enabled }) };
    });
    return (dims) => parts.find((p) => boxHolds(p.box, dims))?.seconds(dims) ?? 0;
  };
  const now = splitRanges(symbols, settings.ranges.value, {
    ...{ tag, relations, maxArtifacts: settings.maxArtifacts.value },
  });
  const common = { tag, calls: sizes.length, outside: outside.length, leftOut };
  const current = await secondsUnder(now, samples, cost);
  if (samples.length === 0) {
    const kept = settings.ranges.value === "open" ? {} : settings.ranges.value;
    return {
      ...{ ...common, ranges: kept },
      artifacts: { now: now.length, tuned: now.length },
      seconds: { now: current, tuned: current },
    };
  }
  const learned = await learnRanges(samples, { symbols, budget: limit, cost });
  const ranges = { now: settings.ranges.value, tuned: learned.ranges };
  return {
    ...{ ...common, ranges: learned.ranges },
    ...(measure
      ? { measured: await measureRanges(spec, ranges, await byTime(samples, symbols, cost), context.parts) }
      : {}),
    artifacts: { now: now.length, tuned: learned.artifacts },
    seconds: { now: current, tuned: learned.seconds },
  };
}
