/** The pipeline, top to bottom: one component graph over one range becomes one artifact. */

import {
  ARTIFACT_FORMAT,
  type Artifact,
  type BufferRef,
  type CompiledArtifact,
  type StepList,
} from "../abi/artifact.ts";
import type { Capabilities } from "../abi/device.ts";
import { type Claim, type KernelSpec, writtenBy } from "../abi/kernel.ts";
import { type Bindings, type Box, bounds, dimKey } from "../core/dim.ts";
import { type DimData, dimFromData } from "../core/dim_data.ts";
import { DTYPE_BYTES, type KeptDType } from "../core/dtype.ts";
import type { WeightFacts } from "../core/weight_facts.ts";
import type { Graph } from "../ir/graph.ts";
import type { Interner } from "../ir/node.ts";
import { printGraph, typeText } from "../ir/print.ts";
import { verifyGraph } from "../ir/verify.ts";
import { type Cover, coverGraph, predictSeconds } from "./cover.ts";
import { type CompileDetails, detailsOf } from "./details.ts";
import { type EmitOptions, emitCover, type StepGroup } from "./emit.ts";
import { type ExpectationEffort, expectationsOf } from "./expect.ts";
import { proveIndices } from "./index_proof.ts";
import { joinClaims } from "./join_claims.ts";
import { legalize } from "./legalize.ts";
import type { ValueWidth } from "./narrow_values.ts";
import { createPassClock, type PassClock, type PassReport } from "./pass_clock.ts";
import { allRules, type Pass, PIPELINE } from "./passes.ts";
import { SOURCE_DIGEST } from "./source_digest.ts";
import { createViewResolver } from "./views.ts";

export interface CompileOptions {
  readonly interner: Interner;
  readonly kernels: readonly KernelSpec[];
  readonly target: string;
  readonly capabilities: Capabilities;
  /** False covers every op alone. */
  readonly enabled: boolean;
  /** Type that large weights are kept in; f32 unless given. */
  readonly dtype?: KeptDType;
  /** What is known of the weights' sizes, for values as f16; nothing unless given. */
  readonly facts?: WeightFacts;
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
  /** Values that could be f16, and what they are; empty where f16 was not asked for. */
  readonly widths: readonly ValueWidth[];
  readonly passes: readonly PassReport[];
  /** The graph as it was cut, where it was asked for. */
  readonly details?: CompileDetails;
}

export interface CompileResult extends CompiledArtifact {
  readonly report: CompileReport;
}

/** Digest of the compiler's own sources: part of every request digest. */
export const COMPILER_DIGEST: string = SOURCE_DIGEST;

function claimedText({ claims }: Cover): string {
  const covers = (claim: Claim): string => claim.covers.map((n) => n.op).join(" + ");
  const written = (claim: Claim): string => writtenBy(claim).map(typeText).join(" and ");
  return `${claims.map((c, i) => `#${i} ${c.kernel}: ${covers(c)} -> ${written(c)}`).join("\n")}\n`;
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
  const blocks = (list.blocks ?? []).map(
    ({ steps: [first, end], symbol, most }) => `#${first} to #${end - 1} in blocks of at most ${most} ${symbol}`,
  );
  return `${[...steps, ...blocks, ...slots].join("\n")}\n`;
}

/** Bytes of ports and scratch at the upper corner. */
export function peakBytes(list: StepList, box: Box): number {
  const upper = (sizes: readonly Parameters<typeof dimFromData>[0][]): number =>
    Math.max(0, ...sizes.map((d) => bounds(dimFromData(d), box).max));
  const ports = [...list.inputs, ...list.outputs].map((p) =>
    p.shape.reduce<number>((n, d) => n * bounds(dimFromData(d), box).max, DTYPE_BYTES[p.dtype]),
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
  readonly widths: readonly ValueWidth[];
}

function chooseCover(traced: Graph, options: CompileOptions, clock: PassClock, pipeline: readonly Pass[]): Chosen {
  const { make, table } = options.interner;
  const { enabled, kernels, capabilities, dtype = "f32", facts = {} } = options;
  clock.run("verify", () => verifyGraph(traced, table, "trace"));

  // Rewrite: canonical spelling, merged products, types of large weights.
  const counts = new Map<string, number>();
  const widths: ValueWidth[] = [];
  const onValue = (value: ValueWidth): void => void widths.push(value);
  let canonical = traced;
  for (const { name, run } of pipeline) {
    canonical = clock.run(name, () => {
      const halves = capabilities.halves === true ? { halves: { facts, onValue } } : {};
      const graph = run(canonical, { make, table, rules: allRules(table), counts, enabled, dtype, ...halves });
      verifyGraph(graph, table, name);
      return graph;
    });
  }

  // Legalize: every kernel is asked; what none takes is expanded, what strides cannot say is copied.
  const emit: EmitOptions = {
    kernels,
    capabilities,
    table,
    view: createViewResolver(table),
    opByOp: !enabled,
    contiguous: (n) => make("contiguous", [n]),
    make,
    code: new Map(),
  };
  const offers = clock.run("legalize and claims", () => {
    const found = legalize(canonical, emit);
    verifyGraph(found.graph, table, "legalize");
    return found;
  });

  // The cheapest cover.
  const alone = clock.run("cover", () => coverGraph(offers, emit));

  // Claims that one launch does together, as their kernels know.
  const cover = enabled ? clock.run("join", () => joinClaims(alone, offers, emit)) : alone;
  return { canonical, graph: offers.graph, cover, emit, rules: counts, widths };
}

/** All of a compiled graph but its expectations. */
export interface LoweredGraph extends Omit<CompileResult, "artifact"> {
  readonly artifact: Omit<Artifact, "expectations">;
  /** What expectations are sampled for. */
  readonly groups: readonly StepGroup[];
}

/**
 * Chooses kernels for a graph and emits their steps, weight prologues and memory plan.
 * @param pipeline passes before legalization
 * @throws FoveaError `no_kernel` when an op has neither a claim nor an expansion, `range_too_large`
 */
export function lowerGraph(
  traced: Graph,
  options: CompileOptions,
  pipeline: readonly Pass[] = PIPELINE,
  clock: PassClock = createPassClock(options.now),
): LoweredGraph {
  const box = traced.symbols;
  const chosen = chooseCover(traced, options, clock, pipeline);
  const { graph, cover, emit, rules } = chosen;

  // Steps, weight prologues and the memory plan.
  const { list, groups } = clock.run("emit", () => emitCover(graph, cover, emit));
  return {
    artifact: {
      ...list,
      format: ARTIFACT_FORMAT,
      target: options.target,
      box,
      peakBytes: peakBytes(list, box),
      indices: proveIndices(list, box),
      requires: Object.keys(options.capabilities)
        .filter((k) => options.capabilities[k] === true)
        .sort(),
    },
    groups,
    code: emit.code,
    report: {
      traced: printGraph(traced),
      canonical: printGraph(graph),
      claimed: claimedText(cover),
      planned: plannedText(list),
      refusals: cover.refusals.map((r) => ({ kernel: r.kernel, op: r.node.op, reason: r.reason })),
      losing: cover.losing.map((l) => ({ kernel: l.kernel, output: l.output.op, seconds: l.seconds })),
      rules: Object.fromEntries(rules),
      widths: chosen.widths,
      passes: clock.passes,
      ...(options.details === true ? { details: detailsOf(traced, { ...chosen, groups }) } : {}),
    },
  };
}

/**
 * Compiles one graph.
 * @throws FoveaError `no_kernel` when an op has neither a claim nor an expansion, `range_too_large`
 */
export function compileGraph(
  traced: Graph,
  options: CompileOptions,
  pipeline: readonly Pass[] = PIPELINE,
): CompileResult {
  const clock = createPassClock(options.now);
  const { artifact, groups, code, report } = lowerGraph(traced, options, pipeline, clock);
  // Sampled values of the reference evaluator for what was emitted, so that they judge it.
  const expectations = clock.run("expectations", () => expectationsOf(groups, options.interner.table, options.effort));
  return { artifact: { ...artifact, expectations }, code, report };
}

/**
 * Predicted seconds of a graph's calls by their dims, as the roofline has it for the kernels chosen for its range.
 * @throws FoveaError `no_kernel`
 */
export function predictGraph(traced: Graph, options: CompileOptions): (dims: Bindings) => number {
  const { claims } = chooseCover(traced, options, createPassClock(), PIPELINE).cover;
  return (dims) => {
    const at = Object.fromEntries(Object.entries(dims).map(([name, value]) => [name, { min: value, max: value }]));
    return claims.reduce((sum, claim) => sum + predictSeconds(claim, at, options.capabilities), 0);
  };
}
