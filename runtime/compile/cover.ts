/** Claims and cover: every kernel's offers are collected, the cheapest legal set of claims is chosen deterministically. */

import type { Capabilities } from "../abi/device.ts";
import {
  type Claim,
  type ClaimContext,
  isRefusal,
  type KernelSpec,
  type Refusal,
  type View,
  writtenBy,
} from "../abi/kernel.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { type Box, bounds } from "../core/dim.ts";
import { type Graph, nodesOf, usersOf, weightOnly } from "../ir/graph.ts";
import type { Node, OpKind, OpTable } from "../ir/node.ts";
import { typeText } from "../ir/print.ts";
import { postDominated } from "./post_dominators.ts";
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
  readonly covers: readonly Node[];
  /** Predicted for the claim and all that only it needs. */
  readonly seconds: number;
}

export interface Cover {
  /** Claims in execution order, with dense operands that needed one replaced by contiguous copies. */
  readonly claims: readonly Claim[];
  /** Predicted seconds of each chosen claim and all that only it needs, by its output. */
  readonly seconds: ReadonlyMap<Node, number>;
  readonly losing: readonly Losing[];
  readonly refusals: readonly Refusal[];
  /** The two claims that a joined one was made of. */
  readonly parts: ReadonlyMap<Claim, readonly [Claim, Claim]>;
}

/** All legal claims of a graph. */
export interface Offers {
  readonly graph: Graph;
  readonly context: ClaimContext;
  /** True for what needs no claim: inputs, and weight-only values that are no results. */
  isFree(node: Node): boolean;
  /** Legal claims that write `node`; also for nodes outside of the graph, such as copies. */
  claimsFor(node: Node): readonly Claim[];
  /** True when a claim covers the node, alone or with others. */
  isCovered(node: Node): boolean;
  /** True for a claim whose kernel reads values where they lie as f16. */
  readsHalves(claim: Claim): boolean;
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

/** What kernels may ask about a graph. */
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

/** Why a claim that covers an internal value with users outside cannot be taken. */
export function leakOf(claim: Claim, context: ClaimContext): string | undefined {
  const [inside, written] = [new Set(claim.covers), new Set(writtenBy(claim))];
  const outside = claim.covers.find(
    (n) => !written.has(n) && (context.isOutput(n) || context.users(n).some((u) => !inside.has(u))),
  );
  return outside && `its inner value "${outside.op}" has other users.`;
}

/** Why a claim cannot be taken, whatever it costs. */
function illegal(claim: Claim, context: ClaimContext, opByOp: boolean): string | undefined {
  if (opByOp && claim.covers.length > 1)
    return `it covers ${claim.covers.length} ops, and each is to be covered alone.`;
  if (claim.also !== undefined) return "it writes several values, which only joined claims do.";
  return leakOf(claim, context);
}

/** Asks every kernel about every node of the graph, kernels in order. */
export function collectOffers(graph: Graph, options: CoverOptions): Offers {
  const context = createClaimContext(graph, options);
  const byOutput = new Map<Node, Claim[]>();
  const covered = new Set<Node>();
  const halves = new Set<Claim>();
  const asked = new Set<Node>();
  const refusals: Refusal[] = [];
  const isFree = (n: Node): boolean => n.op === "input" || (context.isWeight(n) && !context.isOutput(n));
  const ask = (node: Node): void => {
    asked.add(node);
    const offered = options.kernels.flatMap((kernel) =>
      kernel.claim(context, node).map((offer) => ({ kernel, offer })),
    );
    for (const { kernel, offer } of offered) {
      if (isRefusal(offer)) {
        refusals.push(offer);
        continue;
      }
      const reason = illegal(offer, context, options.opByOp);
      if (reason !== undefined) {
        refusals.push({ kernel: offer.kernel, node, reason });
        continue;
      }
      const list = byOutput.get(offer.output) ?? [];
      list.push(offer);
      if (kernel.readsHalves === true) halves.add(offer);
      byOutput.set(offer.output, list);
      for (const n of offer.covers) covered.add(n);
    }
  };
  for (const n of nodesOf(graph)) if (context.kind(n) !== "view" && !isFree(n)) ask(n);
  return {
    graph,
    context,
    isFree,
    claimsFor: (node) => {
      if (!asked.has(node) && node.op === "contiguous") ask(node);
      return byOutput.get(node) ?? [];
    },
    isCovered: (node) => covered.has(node),
    readsHalves: (claim) => halves.has(claim),
    refusals,
  };
}

function noKernel(node: Node, refusals: readonly Refusal[]): FoveaError {
  const own = refusals.filter((r) => r.node === node).map((r) => `${r.kernel}: ${r.reason}`);
  const reasons = own.length > 0 ? ` Refusals: ${[...new Set(own)].join(" ")}` : " No kernel knows this op.";
  const at = node.source === undefined ? "" : ` at ${node.source}`;
  return new FoveaError("no_kernel", `No kernel takes "${node.op}" -> ${typeText(node)}${at}.${reasons}`);
}

/** A claim as it competes: with the copies that it needs and with all values that only it needs. */
interface Rival {
  readonly claim: Claim;
  readonly seconds: number;
}

/**
 * Chooses claims for all outputs so that every node is covered once and the sum of predicted seconds is least.
 *
 * Inner values of a claim have no users outside, so a claim lies among the values that its output post-dominates. What
 * hangs below a claim's nodes there and is not covered must be written, whatever else is chosen; so the best choice below
 * each node is found once, operands first. Copies of operands count for each claim that wants them.
 * @throws FoveaError `no_kernel` with every kernel's refusal when a node cannot be covered.
 */
export function coverGraph(offers: Offers, options: CoverOptions): Cover {
  const { view } = options;
  const { graph, context, isFree } = offers;
  const nodes = nodesOf(graph);
  const below = postDominated(nodes, context.users, context.isOutput);

  const operandNode = (claim: Claim, i: number): Node => {
    const { access, node } = claim.operands[i];
    const seen = view(node);
    const isWide = seen.base.dtype === node.dtype || offers.readsHalves(claim);
    return isWide && (access === "strided" || isDense(seen)) ? node : options.contiguous(node);
  };
  const predicted = (claim: Claim): number => predictSeconds(claim, graph.symbols, options.capabilities);
  const copySeconds = (claim: Claim): number => {
    const copies = new Set(claim.operands.map((o, i) => ({ from: o.node, to: operandNode(claim, i) })));
    const distinct = new Set([...copies].filter(({ from, to }) => from !== to).map(({ to }) => to));
    return [...distinct].reduce((sum, copy) => sum + Math.min(...offers.claimsFor(copy).map(predicted)), 0);
  };

  const best = new Map<Node, Rival>();
  const rivals: { readonly node: Node; readonly rival: Rival }[] = [];
  /** Seconds for a node that is written and for all below it. */
  const total = new Map<Node | undefined, number>();
  const belowOf = (node: Node | undefined, inside?: ReadonlySet<Node>): number =>
    (below.get(node) ?? []).reduce((sum, n) => (inside?.has(n) ? sum : sum + (total.get(n) as number)), 0);
  for (const node of nodes) {
    if (isFree(node) || context.kind(node) === "view") {
      total.set(node, isFree(node) ? 0 : belowOf(node));
      continue;
    }
    let chosen: Rival | undefined;
    for (const claim of offers.claimsFor(node)) {
      const inside = new Set([...claim.covers, node]);
      let seconds = predicted(claim) + copySeconds(claim);
      for (const n of inside) seconds += belowOf(n, inside);
      const rival = { claim, seconds };
      rivals.push({ node, rival });
      // Ties go to the claim that covers more, then to the first kernel registered.
      const better =
        chosen === undefined ||
        seconds < chosen.seconds ||
        (seconds === chosen.seconds && claim.covers.length > chosen.claim.covers.length);
      if (better) chosen = rival;
    }
    if (chosen !== undefined) best.set(node, chosen);
    total.set(node, chosen?.seconds ?? Number.POSITIVE_INFINITY);
  }
  const blame = (node: Node | undefined): FoveaError => {
    const inside = node && best.get(node)?.claim.covers;
    const around = node === undefined ? [node] : (inside ?? [node]);
    const open = around.flatMap((n) => below.get(n) ?? []).filter((n) => !inside?.includes(n));
    const next = open.find((n) => total.get(n) === Number.POSITIVE_INFINITY);
    if (next !== undefined && (node === undefined || inside !== undefined || context.kind(node) === "view"))
      return blame(next);
    return noKernel(node as Node, offers.refusals);
  };
  if (belowOf(undefined) === Number.POSITIVE_INFINITY) throw blame(undefined);

  const claims: Claim[] = [];
  const taken = new Set<Claim>();
  const done = new Set<Node>();
  const schedule = (node: Node): void => {
    if (done.has(node) || isFree(node)) return;
    done.add(node);
    // Copies of operands are no nodes of the graph.
    const claim =
      best.get(node)?.claim ?? cheapest(offers.claimsFor(node), predicted) ?? internal("a copy has no claim");
    taken.add(claim);
    const operands = claim.operands.map((o, i) => ({ ...o, node: operandNode(claim, i) }));
    for (const o of operands) schedule(view(o.node).base);
    claims.push({ ...claim, operands });
  };
  for (const o of graph.outputs) schedule(view(o.node).base);
  const losing = rivals
    .filter(({ rival }) => !taken.has(rival.claim))
    .map(({ node, rival: { claim, seconds } }) => ({
      kernel: claim.kernel,
      output: node,
      covers: claim.covers,
      seconds,
    }));
  const seconds = new Map([...best].map(([node, rival]) => [node, rival.seconds]));
  return { claims, seconds, losing, refusals: offers.refusals, parts: new Map() };
}

function cheapest(claims: readonly Claim[], seconds: (claim: Claim) => number): Claim | undefined {
  return claims.reduce<Claim | undefined>((a, b) => (a === undefined || seconds(b) < seconds(a) ? b : a), undefined);
}
