/** Expectations: reference values of every claim, so that whoever runs the artifact can check the kernels by comparing numbers. */
import type { Expectation } from "../abi/artifact.ts";
import { encodeFloats } from "../core/base64.ts";
import { type Bindings, type Box, type Dim, evaluate, type Interval } from "../core/dim.ts";
import { DTYPE_BYTES, type DType } from "../core/dtype.ts";
import { type FillReader, fillReader, nameSeed } from "../core/fill.ts";
import { hash32 } from "../core/random.ts";
import { createSampler } from "../ir/evaluate/sample.ts";
import type { Reader } from "../ir/evaluate/sample_reader.ts";
import { createWeightReaders, isComputed } from "../ir/evaluate/sample_weights.ts";
import { topological, weightOnly } from "../ir/graph.ts";
import type { Node, OpKind, OpTable } from "../ir/node.ts";
import type { StepGroup, Written } from "./emit.ts";
import { fillFor, weightFill } from "./fills.ts";
import { crossed, crossings, elementsOf, type Rows, SAMPLED_ROWS, TILE } from "./sampled_places.ts";
import { createTolerance } from "./tolerance.ts";
import { createViewResolver } from "./views.ts";

/** How much is sampled and what it may cost; all in counts, so that equal graphs have equal expectations everywhere. */
export interface ExpectationEffort {
  /** Elements compared at the largest point and at each other one. */
  readonly samples: readonly [number, number];
  /** Points inside the box beside its corners. */
  readonly interior: number;
  /** Floating-point operations of one claim's launches at a point. */
  readonly flops: number;
  /** Floating-point operations of one claim's sampled elements at a point. */
  readonly sampledFlops: number;
  /** Bytes of one claim's operands and result at a point. */
  readonly bytes: number;
}

/** At build: about 50 ms of sampling for a component of some ten claims, and a millisecond for proving each claim at a point. */
export const BUILD_EFFORT: ExpectationEffort = {
  samples: [256, 64],
  interior: 2,
  flops: 1e8,
  sampledFlops: 4e6,
  bytes: 2 ** 23,
};

/** For `cache verify`: the true corners of all but the largest boxes. */
export const FULL_EFFORT: ExpectationEffort = {
  samples: [1024, 256],
  interior: 6,
  flops: 2e11,
  sampledFlops: 4e9,
  bytes: 2 ** 30,
};

const stepOf = ({ multipleOf = 1 }: Interval): number => multipleOf;

/** The least value of an interval that leaves something to sample. */
const least = (i: Interval): number => Math.ceil(Math.max(i.min, 1) / stepOf(i)) * stepOf(i);
const largest = (i: Interval): number => i.max - (i.max % stepOf(i));

const at = (box: Box, value: (interval: Interval, name: string) => number): Bindings =>
  Object.fromEntries(Object.entries(box).map(([name, interval]) => [name, value(interval, name)]));

/** A drawn value inside of an interval, with a tail where the interval has values with one. */
function drawn(interval: Interval, seed: number): number {
  const [from, step] = [least(interval), stepOf(interval)];
  const count = Math.floor((largest(interval) - from) / step) + 1;
  const value = from + step * (hash32(seed, 0) % count);
  const tailed = value % TILE === 0 ? value + (value < largest(interval) ? step : -step) : value;
  return tailed >= from && tailed <= largest(interval) ? tailed : value;
}

/** The corners and points between, the largest first. */
function pointsOf(box: Box, interior: number): readonly Bindings[] {
  const inner = Array.from({ length: interior }, (_, n) => at(box, (i, name) => drawn(i, nameSeed(`${name} ${n}`))));
  return [at(box, largest), ...inner, at(box, least)];
}

/** Half way towards the lower corner, in whole steps. */
function nearer(box: Box, from: Bindings): Bindings {
  return at(box, (interval, name) => {
    const [low, step] = [least(interval), stepOf(interval)];
    return low + Math.floor((from[name] - low) / step / 2) * step;
  });
}

const sameDims = (a: Bindings, b: Bindings): boolean => Object.keys(a).every((name) => a[name] === b[name]);

/** Launches with less work, and fewer elements in their results, run whole. */
const WHOLE_FLOPS = 1e7;
const WHOLE_ELEMENTS = 2 ** 16;

/** A value that a claim writes, which is compared by itself. */
interface Compared extends Written {
  readonly group: StepGroup;
  /** It is a norm of what the claim computes by a product: an element takes a whole row of that. */
  readonly takesRows: boolean;
}

function comparedIn(group: StepGroup, table: OpTable): readonly Compared[] {
  const kind = (node: Node): OpKind | undefined => table.get(node.op)?.kind;
  const multiplies = group.claim.covers.some((node) => kind(node) === "contraction");
  return group.written.map((written) => {
    const { node } = written;
    const takesRows = multiplies && kind(node.op === "narrow" ? node.inputs[0] : node) === "normalization";
    return { ...written, group, takesRows };
  });
}

/** Grid items that write the compared elements, as runs; nothing where all of the launch is run. */
function itemsOf(
  { group: { claim }, node, itemOf }: Compared,
  dims: Bindings,
  width: number,
  { rows, columns }: Pick<Expectation, "rows" | "columns">,
): readonly (readonly [number, number])[] | undefined {
  const isSmall = evaluate(claim.cost.flops, dims) < WHOLE_FLOPS && elementsOf(node.shape, dims) < WHOLE_ELEMENTS;
  if (itemOf === undefined || isSmall) return undefined;
  const items = new Set(crossed(rows, columns, width).map(itemOf(dims)));
  const runs: [number, number][] = [];
  for (const item of [...items].sort((a, b) => a - b)) {
    const last = runs[runs.length - 1];
    if (last !== undefined && last[1] === item) last[1]++;
    else runs.push([item, item + 1]);
  }
  return runs;
}

/** Kinds of ops of which an element of the result depends on nothing but what the evaluator reads for it, in a kernel as well. */
const LOCAL: readonly OpKind[] = ["elementwise", "normalization", "view"];

/** Whether kernels make nothing of operands that compared elements do not depend on: no masks, no zero times what is anywhere. */
function isLocal({ claim }: StepGroup, table: OpTable): boolean {
  return claim.covers.every(
    ({ op }) => op === "matmul" || op === "patchify" || LOCAL.includes(table.get(op)?.kind as OpKind),
  );
}

/** Runs that are no further apart are one: memory comes in pages. */
const NEAR_ELEMENTS = 1024;

/** A reader that notes what is read. */
function watch(read: FillReader): {
  readonly reader: FillReader;
  /** What was read, as runs; nothing where it is half of all elements or more. */
  runs(elements: number): readonly (readonly [number, number])[] | undefined;
} {
  const seen: [number, number][] = [];
  const note = (first: number, end: number): void => {
    const last = seen[seen.length - 1];
    // Elements of a row are asked for one behind the other.
    if (last !== undefined && first >= last[0] && first <= last[1] + NEAR_ELEMENTS) last[1] = Math.max(last[1], end);
    else seen.push([first, end]);
  };
  const at = (position: number): number => {
    note(position, position + 1);
    return read(position);
  };
  const run = (start: number, step: number, count: number): Float64Array => {
    if (count > 0) note(start, start + step * (count - 1) + 1);
    return read.run(start, step, count);
  };
  const many = (positions: readonly number[]): Float64Array => {
    for (const position of positions) note(position, position + 1);
    return read.many(positions);
  };
  const runs = (elements: number): readonly (readonly [number, number])[] | undefined => {
    const merged: [number, number][] = [];
    for (const [first, end] of seen.sort((a, b) => a[0] - b[0])) {
      const last = merged[merged.length - 1];
      if (last !== undefined && first <= last[1] + NEAR_ELEMENTS) last[1] = Math.max(last[1], end);
      else merged.push([first, end]);
    }
    const total = merged.reduce((n, [first, end]) => n + end - first, 0);
    return 2 * total < elements ? merged : undefined;
  };
  return { reader: Object.assign(at, { run, many }), runs };
}

function rowsOf({ node: { shape } }: Compared, dims: Bindings): Rows {
  const width = shape.length === 0 ? 1 : evaluate(shape[shape.length - 1], dims);
  return { width, height: elementsOf(shape, dims) / width };
}

/** Elements that one grid item computes at least: proofs of launches that run in parts cost as many for each compared one. */
const ITEM_ELEMENTS = 1024;

/** Rows that are compared at most where an element takes a whole one, and at least one. */
function mostRows(compared: Compared, dims: Bindings, effort: ExpectationEffort): number | undefined {
  if (!compared.takesRows) return undefined;
  const each = evaluate(compared.group.claim.cost.flops, dims) / Math.max(1, rowsOf(compared, dims).height);
  return Math.max(1, Math.floor(effort.sampledFlops / each));
}

/** True where proving a value at these sizes is within the effort. */
function affordable(compared: Compared, dims: Bindings, samples: number, effort: ExpectationEffort): boolean {
  const { group, takesRows, itemOf } = compared;
  const { width, height } = rowsOf(compared, dims);
  const elements = Math.max(1, width * height);
  const bytesAt = (shape: readonly Dim[], each: number): number => elementsOf(shape, dims) * each;
  const operands = group.operands.reduce((n, { base }) => n + bytesAt(base.shape, DTYPE_BYTES[base.dtype]), 0);
  if (operands + elements * 4 > effort.bytes) return false;
  const each = evaluate(group.claim.cost.flops, dims) / elements;
  if (!takesRows && each * Math.min(samples, elements) > effort.sampledFlops) return false;
  const run = itemOf === undefined ? elements : Math.min(elements, SAMPLED_ROWS * 4 * ITEM_ELEMENTS);
  return each * run <= effort.flops;
}

/** From each point of a box on the way to its lower corner, which all claims go as far as they must. */
type Ways = readonly (readonly Bindings[])[];

function waysOf(box: Box, effort: ExpectationEffort): Ways {
  const lowest = at(box, least);
  return pointsOf(box, effort.interior).map((point) => {
    const way = [point];
    for (let dims = point; !sameDims(dims, lowest); way.push(dims)) dims = nearer(box, dims);
    return way;
  });
}

/**
 * The points at which a value is proven: those of the box, moved towards the lower corner until they are affordable. Sizes at which
 * it or what it is made of has no element, such as those of pictures smaller than a patch, prove nothing.
 */
function pointsFor(compared: Compared, ways: Ways, effort: ExpectationEffort): readonly Bindings[] {
  const chosen: Bindings[] = [];
  const shapes = [compared.node, ...compared.group.operands.map(({ base }) => base)].map(({ shape }) => shape);
  for (const way of ways) {
    const points = way.filter((point) => shapes.every((shape) => elementsOf(shape, point) > 0));
    const samples = effort.samples[chosen.length === 0 ? 0 : 1];
    const dims = points.find((point) => affordable(compared, point, samples, effort)) ?? points[points.length - 1];
    if (dims !== undefined && !chosen.some((c) => sameDims(c, dims))) chosen.push(dims);
  }
  return chosen;
}

/** By the ops of a runtime: its components and their ranges share what follows from weights. */
const weightReaders = new WeakMap<OpTable, (node: Node) => Reader>();

function weightReadersOf(table: OpTable): (node: Node) => Reader {
  const known = weightReaders.get(table) ?? createWeightReaders(table, (node) => fillReader(weightFill(node)));
  weightReaders.set(table, known);
  return known;
}

/**
 * Expectations of every claim at the corners of its box and at points inside. Values that are not finite are left out.
 * The lower corner is always among the points, unless a value or what it is made of is empty there.
 */
export function expectationsOf(
  groups: readonly StepGroup[],
  table: OpTable,
  effort: ExpectationEffort = BUILD_EFFORT,
): readonly Expectation[] {
  const view = createViewResolver(table);
  const ways = new Map<Box, Ways>();
  const fixed = weightOnly(topological(groups.flatMap(({ written }) => written.map(({ node }) => node))));
  const shared = new Set([...fixed].filter((node) => isComputed(node, table)));
  const sharedReader = weightReadersOf(table);
  const weights = new Map<Node, FillReader>();
  const weightReader = (node: Node): FillReader => {
    const reader = weights.get(node) ?? fillReader(weightFill(node));
    weights.set(node, reader);
    return reader;
  };
  const compared = groups.flatMap((group, index) => comparedIn(group, table).map((value) => ({ value, index })));
  return compared.flatMap(({ value, index }) => {
    const { group, node } = value;
    const local = isLocal(group, table);
    const toleranceOf = createTolerance(value, table);
    const own = ways.get(group.box) ?? waysOf(group.box, effort);
    ways.set(group.box, own);
    return pointsFor(value, own, effort).map((dims, point): Expectation => {
      const fills = group.operands.map(({ base, buffer }, i) => ({
        base,
        buffer,
        elements: elementsOf(base.shape, dims),
        fill: fillFor(base, group.claim.covers, view, index * 64 + i + 1, dims),
      }));
      const watches = local ? fills.map((f) => watch(fillReader(f.fill))) : [];
      const readers = new Map<Node, FillReader>(
        fills.map((f, i) => [f.base, watches[i]?.reader ?? fillReader(f.fill)]),
      );
      for (const { base } of fills) {
        const reader = readers.get(base);
        if (base.op === "contiguous" && reader !== undefined && !readers.has(base.inputs[0]))
          readers.set(base.inputs[0], reader);
      }
      // Where a claim made an operand from weights, what follows from it is made up as well.
      const isShared = ![...readers.keys()].some((base) => fixed.has(base));
      const sample = createSampler({
        bindings: dims,
        table,
        given: (x) => {
          if (x.op === "weight") return readers.get(x) ?? weightReader(x);
          return readers.get(x) ?? (isShared && shared.has(x) ? sharedReader(x) : undefined);
        },
      });
      const size = rowsOf(value, dims);
      const { width } = size;
      const samples = effort.samples[point === 0 ? 0 : 1];
      const { rows, columns } = crossings(size, samples, index, mostRows(value, dims, effort));
      const items = itemsOf(value, dims, width, { rows, columns });
      const places = crossed(rows, columns, width);
      const values = new Float32Array(sample(node, places));
      return {
        steps: group.steps,
        dims,
        fills: fills.map(({ buffer, elements, fill }, i) => {
          const runs = watches[i]?.runs(elements);
          return { buffer, elements, fill, ...(runs === undefined ? {} : { runs }) };
        }),
        output: value.buffer,
        ...outputType(node.dtype),
        width,
        rows,
        columns,
        values: encodeFloats(values),
        tolerance: toleranceOf(dims, sample, places, values),
        ...(items === undefined ? {} : { items }),
      };
    });
  });
}

const outputType = (dtype: DType): Pick<Expectation, "outputType"> =>
  dtype === "i32" || dtype === "u8" || dtype === "f16" ? { outputType: dtype } : {};
