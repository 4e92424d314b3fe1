/** Emission: chosen claims become steps over ports, weights and scratch; prologues turn weights into kernels' layouts. */

import type { BufferName, BufferRef, Port, Step, StepList, WeightUse } from "../abi/artifact.ts";
import { bytesOf } from "../abi/claims/operands.ts";
import {
  type Claim,
  type EmitContext,
  type EmittedStep,
  type PackedLayout,
  type Place,
  type View,
  writtenBy,
} from "../abi/kernel.ts";
import { internal } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import { type Box, type Dim, evaluate } from "../core/dim.ts";
import { type DimData, dimToData } from "../core/dim_data.ts";
import { DTYPE_BYTES } from "../core/dtype.ts";
import { type Graph, nodesOf, weightOnly } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { type Cover, coverGraph } from "./cover.ts";
import { type LegalizeOptions, legalize } from "./legalize.ts";
import { findOverlap, type Lifetime, planMemory } from "./memory_plan.ts";
import { type BlockPlan, blockBox, inBlock, planRowBlocks } from "./row_blocks.ts";
import { isWhole } from "./views.ts";

export interface EmitOptions extends LegalizeOptions {
  /** Receives every code blob by digest. */
  readonly code: Map<string, Uint8Array>;
}

/** Where a value lives while steps are collected. */
type Home =
  | { readonly space: "input" | "output" | "weight"; readonly index: number }
  | { readonly space: "scratch"; readonly bytes: Dim };

interface Draft {
  readonly step: EmittedStep;
  readonly kernel: string;
  readonly covers: string;
}

function portOf(name: string, node: Node): Port {
  return { name, dtype: node.dtype, shape: node.shape.map(dimToData) };
}

function layoutPort(layout: PackedLayout): Port {
  const dtype = layout.dtype ?? "f32";
  return { name: layout.name, dtype, shape: [layout.bytes / DTYPE_BYTES[dtype]] };
}

function coversText(claim: Claim): string {
  return claim.covers.map((n) => n.op).join(" + ");
}

/** A value that a claim writes. */
export interface Written {
  readonly node: Node;
  readonly buffer: BufferName;
  /** Which item of the last step writes an element of it, where its kernel tells. */
  readonly itemOf?: EmittedStep["itemOf"];
}

/** The steps of one claim and where its operands and its results lie. */
export interface StepGroup {
  readonly claim: Claim;
  readonly steps: readonly [number, number];
  /** Materialised values by node, weights left out. */
  readonly operands: readonly { readonly base: Node; readonly buffer: BufferName }[];
  /** The claim's output first. */
  readonly written: readonly Written[];
  /** Sizes that its steps see: the range's, or what a block of rows has of it. */
  readonly box: Box;
}

export interface Lowered {
  readonly list: StepList;
  readonly groups: readonly StepGroup[];
}

interface DraftGroup {
  readonly claim: Claim;
  readonly steps: readonly [number, number];
  readonly operands: readonly { readonly base: Node; readonly place: Place }[];
  readonly written: readonly { readonly node: Node; readonly place: Place }[];
}

interface Lowering {
  readonly weights: WeightUse[];
  readonly drafts: Draft[];
  readonly homes: Home[];
  readonly groups: DraftGroup[];
}

/** Kernels hand out the same bytes again for what they wrote before. */
const codeDigests = new WeakMap<Uint8Array, string>();

function codeDigest(code: Uint8Array): string {
  const known = codeDigests.get(code) ?? digestBytes(code);
  codeDigests.set(code, known);
  return known;
}

/** Digest of everything that the packed bytes follow from. */
function recipeKey({ sources, bytes, dtype, prologue }: Omit<WeightUse, "key">): string {
  return digestJson({ sources, bytes, dtype, prologue });
}

/** Tensors that lie one behind the other in a value: a tensor itself, or several that are stacked. */
function stackedTensors(node: Node): readonly Node[] | undefined {
  if (node.op === "weight") return [node];
  const stacks = node.op === "concat" && node.attributes.axis === 0 && node.inputs.every((n) => n.op === "weight");
  return stacks ? node.inputs : undefined;
}

/** What a weight-only value is computed from: tensors, and stacks of them that nothing reads in part. */
function weightSources(node: Node): ReadonlyMap<Node, readonly Node[]> {
  const found = new Map<Node, readonly Node[]>();
  const visit = (n: Node): void => {
    const tensors = stackedTensors(n);
    if (tensors !== undefined) found.set(n, tensors);
    else for (const input of n.inputs) visit(input);
  };
  visit(node);
  return found;
}

function weightUse(node: Node, layout: PackedLayout | undefined, options: EmitOptions, box: Box): WeightUse {
  const weights = weightSources(node);
  const sources = [...weights.values()]
    .flat()
    .map((n) => ({ name: n.attributes.name as string, shape: n.shape as readonly number[] }));
  const bytes = layout?.bytes ?? evaluate(bytesOf(node), {});
  const seen = options.view(node);
  const stored = layout?.dtype === undefined ? {} : { dtype: layout.dtype };
  if ((layout === undefined || layout.dense === true) && weights.has(seen.base) && isWhole(seen)) {
    const use = { bytes, ...stored, sources };
    return { key: recipeKey(use), ...use };
  }
  // The prologue is a graph of its own whose inputs are the checkpoint tensors.
  const swap = new Map<Node, Node>();
  const input = (n: Node, tensors: readonly Node[]): Node => {
    const name = tensors.map((t) => t.attributes.name as string).join(", ");
    return options.make("input", [], { name, shape: n.shape, dtype: n.dtype });
  };
  for (const [n, tensors] of weights) swap.set(n, input(n, tensors));
  const rebuilt = (n: Node): Node =>
    options.make(
      n.op,
      n.inputs.map((i) => swap.get(i) as Node),
      n.attributes,
    );
  const visit = (n: Node): void => {
    if (swap.has(n)) return;
    n.inputs.forEach(visit);
    swap.set(n, n.inputs.length === 0 ? n : rebuilt(n));
  };
  visit(node);
  const swapped = swap.get(node) as Node;
  // Kernels and layouts take a weight-only value dense and from its start.
  const value = isWhole(options.view(swapped)) ? swapped : options.make("contiguous", [swapped]);
  const graph: Graph = {
    symbols: {},
    inputs: [...weights.keys()].map((n) => swap.get(n) as Node),
    outputs: [{ name: "w", node: value }],
  };
  const keep = layout?.keep === true ? { keep: true } : {};
  const inPlace = layout?.inPlace === true && graph.inputs.length === 1 && options.view(value).base.op === "input";
  const use = {
    bytes,
    ...stored,
    ...keep,
    ...(inPlace ? { inPlace } : {}),
    sources,
    prologue: lowerPrologue(graph, { ...options, opByOp: false }, layout, box),
  };
  return { key: recipeKey(use), ...use };
}

const NO_CLAIMS: Cover = { claims: [], seconds: new Map(), losing: [], refusals: [], parts: new Map() };

/** Covers and emits a prologue. With `layout`, its single output is written in that layout. */
function lowerPrologue(graph: Graph, options: EmitOptions, layout: PackedLayout | undefined, box: Box): StepList {
  const [{ node }] = graph.outputs;
  if (layout !== undefined && options.view(node).base.op === "input")
    return emitCover(graph, NO_CLAIMS, options, layout, box).list;
  const offers = legalize(graph, options);
  return emitCover(offers.graph, coverGraph(offers, options), options, layout, box).list;
}

/** Steps, weights and the memory plan for a chosen cover. */
export function emitCover(
  graph: Graph,
  cover: Cover,
  options: EmitOptions,
  layout?: PackedLayout,
  box: Box = graph.symbols,
): Lowered {
  const { view } = options;
  const low: Lowering = { weights: [], drafts: [], homes: [], groups: [] };
  const place = (home: Home): Place => ({ id: low.homes.push(home) - 1 });
  const placeOf = new Map<Node, Place>();
  for (const [index, n] of graph.inputs.entries()) placeOf.set(n, place({ space: "input", index }));
  const written = layout === undefined ? graph.outputs : [];
  for (const [index, o] of written.entries()) placeOf.set(o.node, place({ space: "output", index }));

  const weightNodes = weightOnly(nodesOf(graph));
  const weightPlaces = new Map<string, Place>();
  const weight = (node: Node, wanted: PackedLayout | undefined, scope: number): Place => {
    // Layouts are named by each kernel for itself; what two claims pack alike is found by its recipe.
    const known = `${node.id} ${wanted === undefined ? "" : `${scope} ${wanted.name}`}`;
    const old = weightPlaces.get(known);
    if (old !== undefined) return old;
    const use = weightUse(node, wanted, options, box);
    const at = low.weights.findIndex((w) => w.key === use.key);
    const made = place({ space: "weight", index: at >= 0 ? at : low.weights.push(use) - 1 });
    weightPlaces.set(known, made);
    return made;
  };
  const valuePlace = (v: View): Place => {
    const found = placeOf.get(v.base);
    // A weight seen at a symbolic size, such as one repeated over the batch, is read where it is kept.
    if (found === undefined && weightNodes.has(v.base)) return weight(v.base, undefined, 0);
    return found ?? internal(`the value of "${v.base.op}" is read before it is written`);
  };

  for (const [scope, claim] of cover.claims.entries()) {
    const written = writtenBy(claim).map((node) => {
      const at = placeOf.get(node) ?? place({ space: "scratch", bytes: bytesOf(node) });
      placeOf.set(node, at);
      return { node, place: at };
    });
    const [output, ...also] = written.map((w) => w.place);
    const context: EmitContext = {
      box,
      operand: (i) => {
        const v = view(claim.operands[i].node);
        return { place: valuePlace(v), offset: v.offset, shape: v.shape, strides: v.strides };
      },
      weight: (node, wanted) => weight(node, wanted, scope),
      ...{ output, also },
      scratch: (bytes) => place({ space: "scratch", bytes }),
      step: (step) => low.drafts.push({ step, kernel: claim.kernel, covers: coversText(claim) }),
    };
    const first = low.drafts.length;
    claim.emit(context);
    const bases = [...new Set(claim.operands.map((o) => view(o.node).base))].filter((base) => placeOf.has(base));
    low.groups.push({
      claim,
      steps: [first, low.drafts.length],
      operands: bases.map((base) => ({ base, place: placeOf.get(base) as Place })),
      written,
    });
  }
  if (layout !== undefined) {
    const source = valuePlace(view(graph.outputs[0].node));
    low.drafts.push({
      step: layout.pack(source, place({ space: "output", index: 0 })),
      kernel: "prepack",
      covers: layout.name,
    });
  }
  const plans = planRowBlocks({
    claims: cover.claims,
    outputs: new Set(graph.outputs.map((o) => o.node)),
    box,
    ...{ table: options.table, view },
    blockBytes: Number(options.capabilities.blockBytes ?? Number.POSITIVE_INFINITY),
  });
  const blocks = plans.map((plan): DraftBlocks => {
    const [first, end] = plan.claims;
    const advance = [...plan.advance].flatMap(([base, by]) => {
      const at = placeOf.get(base);
      return at === undefined ? [] : [[at.id, by] as const];
    });
    return {
      plan,
      steps: [low.groups[first].steps[0], low.groups[end - 1].steps[1]],
      advance: new Map(advance),
    };
  });
  return finish(graph, low, options, layout, box, blocks);
}

/** Row blocks in terms of steps and places. */
interface DraftBlocks {
  readonly plan: BlockPlan;
  readonly steps: readonly [number, number];
  /** Places that move from block to block, and by how many bytes for each unit of the symbol. */
  readonly advance: ReadonlyMap<number, Dim>;
}

interface Touch {
  readonly first: number;
  readonly last: number;
}

/** What blocks read and write lives for all of them; what stays inside of one is as large as one. */
function blockLifetime(bytes: Dim, touch: Touch, blocks: readonly DraftBlocks[]): Lifetime {
  let { first, last } = touch;
  for (const { plan, steps } of blocks) {
    const [begin, end] = [steps[0], steps[1] - 1];
    if (last < begin || first > end) continue;
    if (first >= begin && last <= end) return { bytes: inBlock(bytes, plan), first, last };
    first = Math.min(first, begin);
    last = Math.max(last, end);
  }
  return { bytes, first, last };
}

function finish(
  graph: Graph,
  low: Lowering,
  options: EmitOptions,
  layout: PackedLayout | undefined,
  box: Box,
  blocks: readonly DraftBlocks[],
): Lowered {
  const touched = new Map<number, { first: number; last: number }>();
  low.drafts.forEach((d, at) => {
    for (const a of d.step.args) {
      if (!("place" in a)) continue;
      const old = touched.get(a.place.id);
      touched.set(a.place.id, { first: old?.first ?? at, last: at });
    }
  });
  const scratch = [...touched.entries()].filter(([id]) => low.homes[id].space === "scratch");
  const lifetimes = scratch.map(([id, t]) => blockLifetime((low.homes[id] as { bytes: Dim }).bytes, t, blocks));
  const plan = planMemory(lifetimes, box);
  const overlap = findOverlap(lifetimes, plan);
  if (overlap !== undefined) internal(`the memory plan puts two live values into one slot`);
  const slotOf = new Map(scratch.map(([id], i) => [id, plan.slotOf[i]]));
  const refOf = (id: number, offset: Dim): BufferRef => {
    const home = low.homes[id];
    const index = home.space === "scratch" ? (slotOf.get(id) as number) : home.index;
    return { space: home.space, index, offset: dimToData(offset) };
  };
  const advanceOf = (place: Place, at: number): { readonly advance?: DimData } => {
    const own = blocks.find(({ steps: [first, end] }) => at >= first && at < end);
    const by = own?.advance.get(place.id) ?? 0;
    return by === 0 ? {} : { advance: dimToData(by) };
  };
  const steps = low.drafts.map(({ step, kernel, covers }, at): Step => {
    const code = codeDigest(step.code);
    options.code.set(code, step.code);
    const refs = (mode: "read" | "write"): BufferRef[] =>
      step.args.flatMap((a) => ("place" in a && a.mode === mode ? [refOf(a.place.id, a.offset)] : []));
    return {
      kernel: `${kernel}/${step.name}`,
      code,
      args: step.args.map((a) =>
        "place" in a ? { buffer: refOf(a.place.id, a.offset), ...advanceOf(a.place, at) } : { size: dimToData(a.size) },
      ),
      grid: dimToData(step.grid),
      ...(step.parts === undefined ? {} : { parts: dimToData(step.parts) }),
      flops: dimToData(step.flops),
      workerScratch: step.workerScratch ?? 0,
      covers,
      reads: refs("read"),
      writes: refs("write"),
    };
  });
  const outputs = layout === undefined ? graph.outputs.map((o) => portOf(o.name, o.node)) : [layoutPort(layout)];
  const nameOf = (p: Place): BufferName => {
    const { space, index } = refOf(p.id, 0);
    return { space, index };
  };
  const groups = low.groups.map((g, at): StepGroup => {
    const own = blocks.find(({ plan: { claims } }) => at >= claims[0] && at < claims[1]);
    const itemOf = low.drafts[g.steps[1] - 1]?.step.itemOf;
    return {
      claim: g.claim,
      steps: g.steps,
      operands: g.operands.map(({ base, place }) => ({ base, buffer: nameOf(place) })),
      written: g.written.map(({ node, place: at }) => ({
        ...{ node, buffer: nameOf(at) },
        ...(itemOf === undefined || node !== g.claim.output ? {} : { itemOf }),
      })),
      box: own === undefined ? box : blockBox(box, own.plan),
    };
  });
  const list: StepList = {
    inputs: graph.inputs.map((n) => portOf(n.attributes.name as string, n)),
    outputs,
    weights: low.weights,
    slots: plan.slots.map((sizes) => sizes.map(dimToData)),
    steps,
    ...(blocks.length === 0
      ? {}
      : {
          blocks: blocks.map(({ plan: { symbol, most, multiple }, steps: own }) => ({
            steps: own,
            symbol,
            most,
            multiple,
          })),
        }),
  };
  return { list, groups };
}
