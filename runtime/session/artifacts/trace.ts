/** Tracing: a component's `build` becomes a graph over each of its ranges, which comparisons may split. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import { FoveaError, type TraceBreak, TraceBreakError } from "../../core/diagnostics.ts";
import { digestJson } from "../../core/digest.ts";
import type { Box } from "../../core/dim.ts";
import { boxText } from "../../core/range.ts";
import { placeText, type SourcePlace } from "../../core/source_place.ts";
import { type BuilderOptions, createGraphBuilder } from "../../ir/builder.ts";
import { RangeSplit } from "../../ir/comparisons.ts";
import { type Graph, graphToData } from "../../ir/graph.ts";
import { createInterner, type Interner, type OpTable } from "../../ir/node.ts";
import { createTraps } from "../../ir/traps.ts";
import { runBuild } from "../config/run_build.ts";

/** Finds what a source map says about a place in compiled code; nothing when there is none. */
export type PlaceFinder = (place: SourcePlace) => Promise<SourcePlace | undefined>;

/** Splits that comparisons may ask of one component. */
export const MAX_SPLITS = 8;

/** A split that a comparison in `build` asked for: `symbol` up to `end` and from there on. */
export interface AskedSplit {
  readonly symbol: string;
  readonly end: number;
  /** `file:line` of the comparison, where it is known. */
  readonly at?: string;
}

/** The same error, at the line of the source that was compiled. */
async function moved(error: unknown, find: PlaceFinder): Promise<unknown> {
  if (!(error instanceof FoveaError) || error.place === undefined) return error;
  const place = await find(error.place);
  return place === undefined ? error : error.movedTo(place);
}

/**
 * Builds a component's graph over one box.
 * @param locate notes the author's lines
 * @throws FoveaError `shape_error`, `duplicate_name`, `no_outputs`, `build_failed`; TraceBreakError; RangeSplit
 */
export function traceComponent(
  spec: ComponentSpec,
  box: Box,
  interner: Interner,
  locate: BuilderOptions["locate"] = false,
): Graph {
  const builder = createGraphBuilder({ symbols: box, interner, relations: spec.relations ?? [], locate });
  try {
    runBuild(spec, builder);
    return builder.finish();
  } catch (error) {
    throw fromBuild(spec.tag, error);
  }
}

/** What `build` threw, with the component that it belongs to. */
function fromBuild(tag: string, error: unknown): unknown {
  if (error instanceof RangeSplit) return error;
  if (error instanceof TraceBreakError) return new TraceBreakError({ ...error.info, component: tag });
  if (error instanceof FoveaError)
    return error.message.includes(`"${tag}"`) ? error : error.adding(`This is in component "${tag}".`);
  const why = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
  return new FoveaError("build_failed", `Component "${tag}" cannot be built, because its \`build\` threw: ${why}.`, {
    cause: error,
  });
}

/** A range and its graph. */
export interface TracedRange {
  readonly box: Box;
  readonly graph: Graph;
}

/** Calls `trace` for each box; a box whose build asks what it leaves open becomes two. */
async function overRanges<T>(
  tag: string,
  boxes: readonly Box[],
  find: PlaceFinder,
  trace: (box: Box) => T,
): Promise<{ readonly results: readonly T[]; readonly splits: readonly AskedSplit[] }> {
  const waiting = [...boxes];
  const results: T[] = [];
  const splits: AskedSplit[] = [];
  for (let box = waiting.shift(); box !== undefined; box = waiting.shift()) {
    try {
      results.push(trace(box));
    } catch (error) {
      if (!(error instanceof RangeSplit)) throw await moved(error, find);
      const { symbol, end } = error.point;
      const place = error.place && ((await find(error.place)) ?? error.place);
      const at = place === undefined ? {} : { at: placeText(place) };
      if (splits.length === MAX_SPLITS) {
        const asked = [...splits, { symbol, end, ...at }];
        throw new FoveaError(
          "too_many_splits",
          `Component "${tag}" asks for more than ${MAX_SPLITS} splits of its ranges while it is built: ${asked.map(splitText).join("; ")}. Compare with fewer sizes, or give them as \`ranges.ends\`.`,
          place === undefined ? {} : { place },
        );
      }
      splits.push({ symbol, end, ...at });
      const whole = box[symbol];
      waiting.unshift({ ...box, [symbol]: { ...whole, max: end } }, { ...box, [symbol]: { ...whole, min: end + 1 } });
    }
  }
  return { results, splits };
}

/** `tokens at 512, asked at block.ts:40` */
export function splitText({ symbol, end, at }: AskedSplit): string {
  return `${symbol} at ${end}${at === undefined ? "" : `, asked at ${at}`}`;
}

/** Graphs over all ranges. @throws what building throws, `too_many_splits`, and `invalid_range` for too many artifacts */
export async function traceRanges(
  spec: ComponentSpec,
  boxes: readonly Box[],
  ops: OpTable,
  options: { readonly find: PlaceFinder; readonly maxArtifacts: number },
): Promise<{ readonly ranges: readonly TracedRange[]; readonly splits: readonly AskedSplit[] }> {
  const { results, splits } = await overRanges(spec.tag, boxes, options.find, (box) => ({
    box,
    graph: traceComponent(spec, box, createInterner(ops)),
  }));
  if (results.length > options.maxArtifacts) {
    throw new FoveaError(
      "invalid_range",
      `The compile ranges of component "${spec.tag}" are invalid: ${boxes.length} ranges + ${results.length - boxes.length} by splits (${splits.map(splitText).join("; ")}) = ${results.length} artifacts, over maxArtifacts ${options.maxArtifacts}; compare with fewer sizes or raise maxArtifacts to ${results.length}.`,
    );
  }
  return { ranges: results, splits };
}

/** Every trace break of a component's `build` over its ranges, in the order in which they were met. */
export async function collectBreaks(
  spec: ComponentSpec,
  boxes: readonly Box[],
  ops: OpTable,
  find: PlaceFinder,
): Promise<readonly TraceBreak[]> {
  const met: TraceBreak[] = [];
  await overRanges(spec.tag, boxes, find, (box) => {
    const before = met.length;
    const onBreak = (found: TraceBreak): void => void met.push({ ...found, component: spec.tag });
    const interner = createInterner(ops, createTraps(onBreak));
    const builder = createGraphBuilder({ symbols: box, interner, relations: spec.relations ?? [], onBreak });
    try {
      runBuild(spec, builder);
      builder.finish();
    } catch (error) {
      // Stand-ins take a build only so far.
      if (error instanceof RangeSplit || met.length === before) throw error;
    }
  });
  const found = new Map<string, TraceBreak>();
  for (const one of met) {
    const place = one.place && ((await find(one.place)) ?? one.place);
    const whole = place === undefined ? one : { ...one, place };
    const key = JSON.stringify([one.kind, one.found, place]);
    if (!found.has(key)) found.set(key, whole);
  }
  return [...found.values()];
}

/**
 * Builds a graph that was built before, and compares.
 * @param digest of the graph's data, of the first time
 * @throws FoveaError `impure_build` naming the component and the range
 */
export function traceAgain(spec: ComponentSpec, box: Box, interner: Interner, digest: string): Graph {
  const graph = tracedOrNothing(spec, box, interner);
  if (graph !== undefined && digestJson(graphToData(graph)) === digest) return graph;
  throw new FoveaError(
    "impure_build",
    `Component "${spec.tag}" was built twice for ${boxText(box) || "no symbols"} and gave two different graphs. \`build\` must follow from its dims alone: take time, random numbers, counters and other changing state out of it.`,
  );
}

/** A build that fails the second time does not follow from its dims either. */
function tracedOrNothing(spec: ComponentSpec, box: Box, interner: Interner): Graph | undefined {
  try {
    return traceComponent(spec, box, interner);
  } catch (error) {
    if (error instanceof FoveaError || error instanceof RangeSplit) return undefined;
    throw error;
  }
}
