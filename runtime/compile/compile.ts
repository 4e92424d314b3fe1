/** The pipeline, top to bottom: one component graph over one range becomes one artifact. */

import {
  ARTIFACT_FORMAT,
  type Artifact,
  type BufferRef,
  type CompiledArtifact,
  type StepList,
} from "../abi/artifact.ts";
import type { Capabilities } from "../abi/device.ts";
import type { KernelSpec } from "../abi/kernel.ts";
import { type Bindings, type Box, bounds, type DimData, dimFromData, dimKey } from "../core/dim.ts";
import type { WeightDType } from "../core/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Interner } from "../ir/node.ts";
import { printGraph, typeText } from "../ir/print.ts";
import { verifyGraph } from "../ir/verify.ts";
import { type Cover, coverGraph, predictSeconds } from "./cover.ts";
import { type CompileDetails, detailsOf } from "./details.ts";
import { type EmitOptions, emitCover } from "./emit.ts";
import { type ExpectationEffort, expectationsOf } from "./expect.ts";
import { constantRules } from "./fold_constants.ts";
import { proveIndices } from "./index_proof.ts";
import { legalize } from "./legalize.ts";
import { mergeSiblingProducts } from "./merge_products.ts";
import { createPassClock, type PassClock, type PassReport } from "./pass_clock.ts";
import { applyRules } from "./rewrite.ts";
import { CANONICAL_RULES } from "./rules.ts";
import { SOURCE_DIGEST } from "./source_digest.ts";
import { storeWeights } from "./store_weights.ts";
import { createViewResolver } from "./views.ts";

export interface CompileOptions {
  readonly interner: Interner;
  readonly kernels: readonly KernelSpec[];
  readonly target: string;
  readonly capabilities: Capabilities;
  /** False covers every op alone. */
  readonly enabled: boolean;
  /** Type that large weights are kept in; f32 unless given. */
  readonly dtype?: WeightDType;
  /** How much expectations state; what a build can afford unless given. */
  readonly effort?: ExpectationEffort;
  /** Milliseconds on a clock that never goes back, for the times of passes; nothing of it reaches an artifact. */
  readonly now?: () => number;
  /** Keeps what explaining needs: {@link CompileReport.details}. */
  readonly details?: boolean;
}

/** Text of every stage, for `explain` and goldens. */
export interface CompileReport {
  readonly traced: string;
  readonly canonical: string;
  readonly claimed: string;
  readonly planned: string;
  readonly refusals: readonly { readonly kernel: string; readonly op: string; readonly reason: string }[];
  readonly losing: readonly { readonly kernel: string; readonly output: string; readonly seconds: number }[];
  readonly rules: Readonly<Record<string, number>>;
  readonly passes: readonly PassReport[];
  /** The graph as it was cut, where it was asked for. */
  readonly details?: CompileDetails;
}

export interface CompileResult extends CompiledArtifact {
  readonly report: CompileReport;
}

/** Digest of the compiler's own sources: part of every request digest. */
export const COMPILER_DIGEST: string = SOURCE_DIGEST;

function claimedText(cover: Cover): string {
  return `${cover.claims.map((c, i) => `#${i} ${c.kernel}: ${c.covers.map((n) => n.op).join(" + ")} -> ${typeText(c.output)}`).join("\n")}\n`;
}

/** Steps with what they read and write, and the sizes of scratch slots in bytes. */
export function plannedText(list: StepList): string {
  const text = (d: DimData): string => dimKey(dimFromData(d));
  const place = (r: BufferRef): string => `${r.space}${r.index}${r.offset === 0 ? "" : `[${text(r.offset)}]`}`;
  const steps = list.steps.map(
    (s, i) =>
      `#${i} ${s.kernel} grid ${text(s.grid)} reads ${s.reads.map(place).join(" ")} writes ${s.writes.map(place).join(" ")}`,
  );
  const slots = list.slots.map((sizes, i) => `scratch${i}: ${sizes.map(text).join(" or ")}`);
  return `${[...steps, ...slots].join("\n")}\n`;
}

/** Bytes of ports and scratch at the upper corner. */
export function peakBytes(list: StepList, box: Box): number {
  const upper = (sizes: readonly Parameters<typeof dimFromData>[0][]): number =>
    Math.max(0, ...sizes.map((d) => bounds(dimFromData(d), box).max));
  const ports = [...list.inputs, ...list.outputs].map((p) =>
    p.shape.reduce<number>((n, d) => n * bounds(dimFromData(d), box).max, 4),
  );
  return [...ports, ...list.slots.map(upper)].reduce((a, b) => a + b, 0);
}

/** A graph as it will be emitted. */
interface Chosen {
  /** Before kernels were asked. */
  readonly canonical: Graph;
  readonly graph: Graph;
  readonly cover: Cover;
  readonly emit: EmitOptions;
  /** How often each rule was applied. */
  readonly rules: ReadonlyMap<string, number>;
}

function chooseCover(traced: Graph, options: CompileOptions, clock: PassClock): Chosen {
  const { make, table } = options.interner;
  clock.run("verify", () => verifyGraph(traced, table, "trace"));

  // Canonicalize: one spelling for what can be said in several ways.
  const rules = [...CANONICAL_RULES, ...constantRules(table)];
  const counts = new Map<string, number>();
  const canonical = clock.run("canonicalize", () => {
    let graph = applyRules(traced, rules, make, counts);
    if (options.enabled) graph = applyRules(mergeSiblingProducts(graph, make, table), rules, make, counts);
    verifyGraph(graph, table, "canonicalize");
    return graph;
  });

  // Weights: large ones rounded to the type that they are kept in.
  const { dtype = "f32" } = options;
  const stored = clock.run("store weights", () => {
    const graph = dtype === "f32" ? canonical : storeWeights(canonical, dtype, make);
    verifyGraph(graph, table, "store weights");
    return graph;
  });

  // Legalize: every kernel is asked; what none takes is expanded, what strides cannot say is copied.
  const code = new Map<string, Uint8Array>();
  const emit: EmitOptions = {
    kernels: options.kernels,
    capabilities: options.capabilities,
    table,
    view: createViewResolver(table),
    opByOp: !options.enabled,
    contiguous: (n) => make("contiguous", [n]),
    make,
    code,
  };
  const offers = clock.run("legalize and claims", () => {
    const found = legalize(stored, emit);
    verifyGraph(found.graph, table, "legalize");
    return found;
  });

  // The cheapest cover.
  const cover = clock.run("cover", () => coverGraph(offers, emit));
  return { canonical, graph: offers.graph, cover, emit, rules: counts };
}

/**
 * Compiles one graph.
 * @throws FoveaError `no_kernel` when an op has neither a claim nor an expansion, `range_too_large`
 */
export function compileGraph(traced: Graph, options: CompileOptions): CompileResult {
  const clock = createPassClock(options.now);
  const box = traced.symbols;
  const chosen = chooseCover(traced, options, clock);
  const { graph, cover, emit, rules } = chosen;

  // Steps, weight prologues and the memory plan.
  const { list, groups } = clock.run("emit", () => emitCover(graph, cover, emit));

  // Sampled values of the reference evaluator, for proofs.
  const expectations = clock.run("expectations", () => expectationsOf(groups, box, emit.table, options.effort));
  const artifact: Artifact = {
    ...list,
    format: ARTIFACT_FORMAT,
    target: options.target,
    box,
    peakBytes: peakBytes(list, box),
    indices: proveIndices(list, box),
    requires: Object.keys(options.capabilities)
      .filter((k) => options.capabilities[k] === true)
      .sort(),
    expectations,
  };
  return {
    artifact,
    code: emit.code,
    report: {
      traced: printGraph(traced),
      canonical: printGraph(graph),
      claimed: claimedText(cover),
      planned: plannedText(list),
      refusals: cover.refusals.map((r) => ({ kernel: r.kernel, op: r.node.op, reason: r.reason })),
      losing: cover.losing.map((l) => ({ kernel: l.kernel, output: l.output.op, seconds: l.seconds })),
      rules: Object.fromEntries(rules),
      passes: clock.passes,
      ...(options.details === true ? { details: detailsOf(traced, { ...chosen, groups }) } : {}),
    },
  };
}

/**
 * Predicted seconds of a graph's calls by their dims, as the roofline has it for the kernels chosen for its range.
 * @throws FoveaError `no_kernel`
 */
export function predictGraph(traced: Graph, options: CompileOptions): (dims: Bindings) => number {
  const { claims } = chooseCover(traced, options, createPassClock()).cover;
  return (dims) => {
    const at = Object.fromEntries(Object.entries(dims).map(([name, value]) => [name, { min: value, max: value }]));
    return claims.reduce((sum, claim) => sum + predictSeconds(claim, at, options.capabilities), 0);
  };
}
