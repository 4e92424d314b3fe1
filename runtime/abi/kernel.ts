/** The kernel contract: claims and refusals are values; two claims may be joined; `emit` turns an accepted claim into steps. */
import type { Bindings, Box, Dim, Shape } from "../core/dim.ts";
import type { HalfDType } from "../core/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node, OpKind } from "../ir/node.ts";
import type { Capabilities } from "./device.ts";

/** How a kernel reads an operand. `strided`: any strides as long as the last axis is contiguous. */
export type Access = "dense" | "strided";

/** A value seen through views: element strides over a materialised base. */
export interface View {
  /** The node whose elements lie in memory, dense and row-major. */
  readonly base: Node;
  /** Elements from the start of the base. */
  readonly offset: Dim;
  /** Shape of the value that is seen, not of the base. */
  readonly shape: Shape;
  /** Elements, one per axis; 0 on broadcast axes. */
  readonly strides: readonly Dim[];
}

/** What a kernel may ask about the graph while it claims. */
export interface ClaimContext {
  /** The whole graph that is being covered: a range's, or that of a weight's prologue. */
  readonly graph: Graph;
  /** Intervals of the graph's symbols: the sizes that a claim must serve. Empty for prologues. */
  readonly box: Box;
  /** Those of the target. Only the ones that {@link KernelSpec.reads} names may decide anything. */
  readonly capabilities: Capabilities;
  /** The op's kind in the op table. */
  kind(node: Node): OpKind;
  /** Nodes that read this one; results of the graph are no users. */
  users(node: Node): readonly Node[];
  /** True when the node depends on weights and constants alone. */
  isWeight(node: Node): boolean;
  /** True for a node that is a result of the graph. */
  isOutput(node: Node): boolean;
  /** How the node lies in memory where it is read: reshapes, slices, transposes, broadcasts are strides over a base. */
  view(node: Node): View;
}

/** A value that a claim reads, and how. */
export interface Operand {
  /** The value; it may be a view of another. */
  readonly node: Node;
  /** How it is read. Of a view that is not so, a dense copy is made first. */
  readonly access: Access;
}

/** What a claim does, from which the target's roofline predicts its time. */
export interface Cost {
  /** Floating-point operations. */
  readonly flops: Dim;
  /** Bytes that are read and written. */
  readonly bytes: Dim;
  /** Steps that are launched. */
  readonly launches: number;
}

/** What a kernel would do for a subgraph, and its cost. */
export interface Claim {
  /** Name of the kernel, as in {@link KernelSpec.name}. */
  readonly kernel: string;
  /** Covered nodes; all but those that are written must have no user outside. */
  readonly covers: readonly Node[];
  /** The covered node whose value is written, dense and row-major. */
  readonly output: Node;
  /** Covered nodes whose values are written as well, dense and row-major. Of joined claims alone: see {@link KernelSpec.join}. */
  readonly also?: readonly Node[];
  /** Values that are read and no weights; `emit` asks for them by position. */
  readonly operands: readonly Operand[];
  /** Weight-only operands, materialised by the prologue in the form that `emit` asks for. */
  readonly weights: readonly Node[];
  /** What it costs, as dims: predicted at the range's upper corner. */
  readonly cost: Cost;
  /** Name of the one kernel that may do this claim together with another: see {@link KernelSpec.join}. None unless given. */
  readonly joinedBy?: string;
  /** Adds the claim's steps; called where the claim was chosen. */
  readonly emit: (e: EmitContext) => void;
}

/** The values that a claim writes: its output, then what it writes as well. */
export const writtenBy = ({ output, also = [] }: Pick<Claim, "output" | "also">): readonly Node[] => [output, ...also];

/** Why a kernel does not take a node. */
export interface Refusal {
  /** Name of the kernel, as in {@link KernelSpec.name}. */
  readonly kernel: string;
  /** The node that it was asked about. */
  readonly node: Node;
  /** What keeps it from the node: `it computes in f32, and an operand is i32.` */
  readonly reason: string;
}

/** A kernel's answer for a node. */
export type Offer = Claim | Refusal;

/** Tells refusals from claims. */
export function isRefusal(offer: Offer): offer is Refusal {
  return "reason" in offer;
}

/** A place that emitted steps read or write; opaque to kernels. */
export interface Place {
  /** Tells places of one emission apart; no position. */
  readonly id: number;
}

/** Where an operand lies while its claim is emitted: strides and offset in elements. */
export interface OperandPlace {
  /** The buffer that holds it. */
  readonly place: Place;
  /** Elements from the start of the place. */
  readonly offset: Dim;
  /** Shape of the value as the claim sees it. */
  readonly shape: Shape;
  /** Elements, one per axis; 0 on broadcast axes. */
  readonly strides: readonly Dim[];
}

/** An argument word of a step: an address, or a 32-bit integer. */
export type Arg =
  | { readonly place: Place /** Bytes from its start. */; readonly offset: Dim; readonly mode: "read" | "write" }
  | { readonly size: Dim };

/** One launch of code. */
export interface EmittedStep {
  /** Short name within the kernel: steps are called `kernel/step` in errors and listings. */
  readonly name: string;
  /** The blob, as the device loads it; equal bytes are stored once. */
  readonly code: Uint8Array;
  /** Words of the code's argument table, in its order. */
  readonly args: readonly Arg[];
  /** Number of work items, which may be divided over threads in contiguous ranges. */
  readonly grid: Dim;
  /**
   * Calls for each grid item, 1 unless given: item `i` is the calls `i * parts` to `i * parts + parts - 1`, one at a time, in
   * order, on one worker whose scratch stays as it is. For items that are long: an abort waits for one call at most.
   */
  readonly parts?: Dim;
  /** Floating-point operations of the whole step. */
  readonly flops: Dim;
  /** Bytes of private scratch for each worker that runs items; 0 unless given. */
  readonly workerScratch?: number;
  /**
   * At given sizes, the grid item that writes an element of the claim's output (a row-major position), where each is written
   * by one. Lets a proof run the part of a large launch that it compares. Asked while compiling.
   */
  readonly itemOf?: (dims: Bindings) => (element: number) => number;
}

/** Asks for a weight in a layout of the kernel's own; the layout is fixed per component and device, before ranges. */
export interface PackedLayout {
  /** Name with parameters, such as `panels nr=16`: one layout of a kernel has one name. */
  readonly name: string;
  /** Size of the packed value. */
  readonly bytes: number;
  /** Two-byte type that `pack` rounds to, for a value that is read through `stored_as`; f32 unless given. */
  readonly dtype?: HalfDType;
  /** True for the dense value itself in `dtype`: checkpoint tensors are then converted while they are read. */
  readonly dense?: boolean;
  /** Worth keeping between loads: it is much smaller than the value, or packing takes long. */
  readonly keep?: boolean;
  /** True where `pack` may be given one buffer as both: the dense value at its start becomes the layout. */
  readonly inPlace?: boolean;
  /** The step that writes the layout from the dense f32 value. */
  readonly pack: (source: Place, destination: Place) => EmittedStep;
}

/** What a claim is given while it is emitted. */
export interface EmitContext {
  /** The compile range; sizes with one value in it are known while code is written. */
  readonly box: Box;
  /** Operand by position in `claim.operands`. */
  operand(index: number): OperandPlace;
  /** A weight-only value, dense f32 unless a layout is given. */
  weight(node: Node, layout?: PackedLayout): Place;
  /** Where the claim's output is written, dense and row-major. */
  readonly output: Place;
  /** Where each of `claim.also` is written, dense and row-major. */
  readonly also: readonly Place[];
  /** Bytes of scratch that live as long as this claim's steps. */
  scratch(bytes: Dim): Place;
  /** Adds a step behind those that were added before. */
  step(step: EmittedStep): void;
}

/**
 * A kernel: what it claims on a kind of device. A claim may cover any connected subgraph whose inner values nobody else reads; of
 * all kernels' claims the cheapest cover of the graph is chosen.
 */
export interface KernelSpec {
  /** Short name, such as `matmul`, that no other kernel of its device has: errors, `explain` and quarantine go by it. */
  readonly name: string;
  /** Kind of the device that its code is for, as in `DeviceSpec.kind`. */
  readonly device: string;
  /** Capabilities read by `claim` or `emit`; part of cache records. */
  readonly reads: readonly string[];
  /**
   * True for code that may end a call at any time: what linking the call again without it takes, such as the weights' source, then
   * stays open.
   */
  readonly mayFail?: boolean;
  /**
   * True for a kernel that reads values where they lie as f16 (`view(node).base.dtype`, on devices with the capability
   * `halves`). All others are given a dense copy of such a value, as f32 like the node that they asked for.
   */
  readonly readsHalves?: boolean;
  /**
   * Offers for subgraphs anchored at `node`, usually their output and never a view: claims, or refusals whose reasons `explain`
   * shows. An empty list means "not my op". Pure: asked about every node of every range.
   */
  claim(context: ClaimContext, node: Node): readonly Offer[];
  /**
   * A claim that does two chosen ones at once, of which `later` reads what `earlier` writes; nothing where there is none. Asked
   * after the cover was chosen, and only of claims that both name this kernel ({@link Claim.joinedBy}): nobody else's are taken.
   * It covers what the two cover, reads what they read, and writes in `output` and `also` what others read of them. It runs where
   * `earlier` did, and is taken where its predicted time is less than theirs. Where it fails, the two are used again. Pure.
   */
  join?(context: ClaimContext, earlier: Claim, later: Claim): Claim | undefined;
}
