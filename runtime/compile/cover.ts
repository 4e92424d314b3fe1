/** Claims and cover: every kernel's offers are collected, the cheapest legal set of claims is chosen deterministically. */

import type { Capabilities } from "../abi/device.ts";
import { type Claim, type ClaimContext, isRefusal, type KernelSpec, type Refusal, type View } from "../abi/kernel.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { type Box, bounds, type Dim } from "../core/dim.ts";
import { type Graph, nodesOf, usersOf, weightOnly } from "../ir/graph.ts";
import type { Node, OpKind, OpTable } from "../ir/node.ts";
import { typeText } from "../ir/print.ts";
import { isDense } from "./views.ts";

export interface CoverOptions {
  readonly kernels: readonly KernelSpec[];
  readonly capabilities: Capabilities;
  readonly table: OpTable;
  readonly view: (node: Node) => View;
  /** Every op alone: the debugging mode. */
  readonly opByOp: boolean;
  /** `make("contiguous", [node])` of the graph's interner. */
  readonly contiguous: (node: Node) => Node;
}

export interface Losing {
  readonly kernel: string;
  readonly output: Node;
  readonly seconds: number;
}

export interface Cover {
  /** Claims in execution order, with dense operands that needed one replaced by contiguous copies. */
  readonly claims: readonly Claim[];
  readonly losing: readonly Losing[];
  readonly refusals: readonly Refusal[];
}

/** Predicted seconds of a claim at the upper corner of the box, by the target's roofline. */
export function predictSeconds(claim: Claim, box: Box, capabilities: Capabilities): number {
  const rate = (name: string, otherwise: number): number => {
    const v = capabilities[name];
    return typeof v === "number" && v > 0 ? v : otherwise;
  };
  const flops = bounds(claim.cost.flops, box).max / rate("flopsPerSecond", 1e9);
  const bytes = bounds(claim.cost.bytes, box).max / rate("bytesPerSecond", 1e9);
  return Math.max(flops, bytes) + claim.cost.launches * rate("launchSeconds", 1e-6);
}

export function createClaimContext(
  graph: Graph,
  options: Pick<CoverOptions, "capabilities" | "table" | "view">,
): ClaimContext {
  const nodes = nodesOf(graph);
  const users = usersOf(nodes);
  const weights = weightOnly(nodes);
  const outputs = new Set(graph.outputs.map((o) => o.node));
  return {
    graph,
    box: graph.symbols,
    capabilities: options.capabilities,
    kind: (n) => options.table.get(n.op)?.kind as OpKind,
    users: (n) => users.get(n) ?? [],
    isWeight: (n) => weights.has(n),
    isOutput: (n) => outputs.has(n),
    view: options.view,
  };
}

/** The first node that has users outside of a claim that covers it as an internal value. */
function leak(claim: Claim, context: ClaimContext): Node | undefined {
  const inside = new Set(claim.covers);
  return claim.covers.find(
    (n) => n !== claim.output && (context.isOutput(n) || context.users(n).some((u) => !inside.has(u))),
  );
}

/** All offers for one anchor, kernels in order. */
export function offersFor(
  kernels: readonly KernelSpec[],
  context: ClaimContext,
  node: Node,
): { claims: Claim[]; refusals: Refusal[] } {
  const claims: Claim[] = [];
  const refusals: Refusal[] = [];
  for (const k of kernels) {
    for (const offer of k.claim(context, node)) {
      if (isRefusal(offer)) refusals.push(offer);
      else claims.push(offer);
    }
  }
  return { claims, refusals };
}

function noKernel(node: Node, refusals: readonly Refusal[]): FoveaError {
  const own = refusals.filter((r) => r.node === node).map((r) => `${r.kernel}: ${r.reason}`);
  const reasons = own.length > 0 ? ` Refusals: ${own.join(" ")}` : " No kernel knows this op.";
  const at = node.source === undefined ? "" : ` at ${node.source}`;
  return new FoveaError("no_kernel", `No kernel takes "${node.op}" -> ${typeText(node)}${at}.${reasons}`);
}

/**
 * Chooses claims for all outputs.
 * @throws FoveaError `no_kernel` with every kernel's refusal when a node cannot be covered.
 */
export function coverGraph(graph: Graph, options: CoverOptions): Cover {
  const { view } = options;
  const context = createClaimContext(graph, options);
  const byOutput = new Map<Node, Claim[]>();
  const refusals: Refusal[] = [];
  const gather = (n: Node): void => {
    const found = offersFor(options.kernels, context, n);
    refusals.push(...found.refusals);
    for (const claim of found.claims) {
      if (options.opByOp && claim.covers.length > 1) continue;
      const outside = leak(claim, context);
      if (outside !== undefined) {
        refusals.push({ kernel: claim.kernel, node: n, reason: `its inner value "${outside.op}" has other users.` });
        continue;
      }
      const list = byOutput.get(claim.output) ?? [];
      list.push(claim);
      byOutput.set(claim.output, list);
    }
  };
  const isFree = (n: Node): boolean => n.op === "input" || (context.isWeight(n) && !context.isOutput(n));
  for (const n of nodesOf(graph)) if (context.kind(n) !== "view" && !isFree(n)) gather(n);

  const copies = new Map<Node, Node>();
  const contiguous = (n: Node): Node => {
    const old = copies.get(n);
    if (old !== undefined) return old;
    const copy = options.contiguous(n);
    copies.set(n, copy);
    if (!byOutput.has(copy)) gather(copy);
    return copy;
  };
  const operandNode = (claim: Claim, i: number): Node => {
    const o = claim.operands[i];
    return o.access === "dense" && !isDense(view(o.node)) ? contiguous(o.node) : o.node;
  };

  const best = new Map<Node, { claim: Claim; seconds: number }>();
  const losing: Losing[] = [];
  const solve = (node: Node): number => {
    if (isFree(node)) return 0;
    const known = best.get(node);
    if (known !== undefined) return known.seconds;
    let chosen: { claim: Claim; seconds: number } | undefined;
    const rivals = (byOutput.get(node) ?? []).map((claim) => {
      let seconds = predictSeconds(claim, graph.symbols, options.capabilities);
      for (let i = 0; i < claim.operands.length; i++) seconds += solve(view(operandNode(claim, i)).base);
      return { claim, seconds };
    });
    for (const r of rivals) {
      // Ties go to the claim that covers more, then to the first kernel registered.
      const better =
        chosen === undefined ||
        r.seconds < chosen.seconds ||
        (r.seconds === chosen.seconds && r.claim.covers.length > chosen.claim.covers.length);
      if (better) chosen = r;
    }
    if (chosen === undefined) throw noKernel(node, refusals);
    for (const r of rivals) if (r !== chosen) losing.push({ kernel: r.claim.kernel, output: node, seconds: r.seconds });
    best.set(node, chosen);
    return chosen.seconds;
  };

  const claims: Claim[] = [];
  const done = new Set<Node>();
  const schedule = (node: Node): void => {
    if (done.has(node) || isFree(node)) return;
    done.add(node);
    solve(node);
    const { claim } = best.get(node) as { claim: Claim };
    const operands = claim.operands.map((o, i) => ({ ...o, node: operandNode(claim, i) }));
    for (const o of operands) schedule(view(o.node).base);
    claims.push({ ...claim, operands });
  };
  for (const o of graph.outputs) schedule(o.node);
  return { claims, losing, refusals };
}

/** Outputs must be values that a claim writes whole: views, inputs, weights and repeated nodes become copies. */
export function outputNeedsCopy(node: Node, table: OpTable, seen: ReadonlySet<Node>): boolean {
  return node.op === "input" || table.get(node.op)?.kind === "view" || seen.has(node);
}

/** Upper-corner bytes of a symbolic size. */
export function upperBytes(size: Dim, box: Box): number {
  return bounds(size, box).max;
}
