/** The kernel contract: claims and refusals are values; `emit` turns an accepted claim into steps. */
import type { Bindings, Box, Dim, Shape } from "../core/dim.ts";
import type { HalfDType } from "../core/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node, OpKind } from "../ir/node.ts";
import type { Capabilities } from "./device.ts";

/** How a kernel reads an operand. `strided`: any strides as long as the last axis is contiguous. */
export type Access = "dense" | "strided";

/** A value seen through views: element strides over a materialised base. */
export interface View {
  readonly base: Node;
  /** Elements from the start of the base. */
  readonly offset: Dim;
  readonly shape: Shape;
  /** Elements, one per axis; 0 on broadcast axes. */
  readonly strides: readonly Dim[];
}

/** What a kernel may ask about the graph while it claims. */
export interface ClaimContext {
  readonly graph: Graph;
  readonly box: Box;
  readonly capabilities: Capabilities;
  kind(node: Node): OpKind;
  users(node: Node): readonly Node[];
  /** True when the node depends on weights and constants alone. */
  isWeight(node: Node): boolean;
  isOutput(node: Node): boolean;
  view(node: Node): View;
}

/** A value that a claim reads, and how. */
export interface Operand {
  readonly node: Node;
  readonly access: Access;
}

/** Sizes of what a claim does, for the roofline. */
export interface Cost {
  readonly flops: Dim;
  readonly bytes: Dim;
  readonly launches: number;
}

/** What a kernel would do for a subgraph, and its cost. */
export interface Claim {
  readonly kernel: string;
  /** Covered nodes; all but `output` must have no user outside. */
  readonly covers: readonly Node[];
  readonly output: Node;
  readonly operands: readonly Operand[];
  /** Weight-only operands, materialised by the prologue in the form that `emit` asks for. */
  readonly weights: readonly Node[];
  readonly cost: Cost;
  readonly emit: (e: EmitContext) => void;
}

/** Why a kernel does not take a node, as a sentence. */
export interface Refusal {
  readonly kernel: string;
  readonly node: Node;
  /** A sentence. */
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
  readonly id: number;
}

/** Where an operand lies while its claim is emitted: strides and offset in elements. */
export interface OperandPlace {
  readonly place: Place;
  /** Elements. */
  readonly offset: Dim;
  readonly shape: Shape;
  readonly strides: readonly Dim[];
}

/** An argument word of a step: an address, or a size. */
export type Arg =
  | { readonly place: Place /** Bytes. */; readonly offset: Dim; readonly mode: "read" | "write" }
  | { readonly size: Dim };

/** One launch of code. */
export interface EmittedStep {
  readonly name: string;
  readonly code: Uint8Array;
  readonly args: readonly Arg[];
  readonly grid: Dim;
  /**
   * Calls for each grid item, 1 unless given: item `i` is the calls `i * parts` to `i * parts + parts - 1`, one at a time, in
   * order, on one worker whose scratch stays as it is. For items that are long: an abort waits for one call at most.
   */
  readonly parts?: Dim;
  readonly flops: Dim;
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
  readonly box: Box;
  /** Operand by position in `claim.operands`. */
  operand(index: number): OperandPlace;
  /** A weight-only value, dense f32 unless a layout is given. */
  weight(node: Node, layout?: PackedLayout): Place;
  /** Dense, row-major. */
  readonly output: Place;
  /** Bytes of scratch that live as long as this claim's steps. */
  scratch(bytes: Dim): Place;
  step(step: EmittedStep): void;
}

/** A kernel: what it claims on a kind of device. */
export interface KernelSpec {
  readonly name: string;
  /** Device kind. */
  readonly device: string;
  /** Capabilities read by `claim` or `emit`; part of cache records. */
  readonly reads: readonly string[];
  /** True for code that may end a call at any time: what loading without it takes, such as the weights' source, stays open. */
  readonly mayFail?: boolean;
  /**
   * True for a kernel that reads values where they lie as f16 (`view(node).base.dtype`, on devices with the capability
   * `halves`). All others are given a dense copy of such a value, as f32 like the node that they asked for.
   */
  readonly readsHalves?: boolean;
  /** Offers for subgraphs anchored at `node`. An empty list means "not my op". */
  claim(context: ClaimContext, node: Node): readonly Offer[];
}
