/** A compiled graph as data: its nodes, how they were grouped, and what else had been offered. For `explain` alone. */
import type { Claim } from "../abi/kernel.ts";
import { type Box, bounds, type Dim } from "../core/dim.ts";
import { type Graph, nodesOf, weightOnly } from "../ir/graph.ts";
import { attributesKey, type Node, type OpKind } from "../ir/node.ts";
import { typeText } from "../ir/print.ts";
import { type Cover, type Losing, predictSeconds } from "./cover.ts";
import type { EmitOptions, StepGroup } from "./emit.ts";

/** A node of the graph that was covered. */
export interface NodeDetail {
  readonly op: string;
  readonly kind: OpKind;
  /** `f32[batch, 50, 768]` */
  readonly type: string;
  /** Attributes as text; empty where there are none. */
  readonly attributes: string;
  /** Positions of its operands in {@link CompileDetails.nodes}. */
  readonly inputs: readonly number[];
  /** Depends on weights and constants alone: computed once at load. */
  readonly weightOnly: boolean;
  /** `file:line` of the author, where the build was located. */
  readonly source?: string;
}

/** A claim that was made for a value of a group and not taken. */
export interface LoserDetail {
  readonly kernel: string;
  /** Ops that it would cover, such as `matmul + add`. */
  readonly covers: string;
  /** Predicted for it and all that only it needs, beside {@link GroupDetail.totalSeconds} where it writes the same value. */
  readonly seconds?: number;
  /** Why it is out: a refusal's sentence, or what the chosen group does instead. */
  readonly reason: string;
}

/** One chosen claim. Sizes are those of the range's upper corner. */
export interface GroupDetail {
  readonly kernel: string;
  /** Positions of the covered nodes, of the one that is written, and of those that are written as well. */
  readonly nodes: readonly number[];
  readonly output: number;
  readonly also: readonly number[];
  /** Positions of the values that it reads, after copies and views; weights left out. */
  readonly operands: readonly number[];
  /** Weights that it reads, such as `fc1.weight` or `concat(q.weight, k.weight)`. */
  readonly weights: readonly string[];
  /** First step and the one behind the last. */
  readonly steps: readonly [number, number];
  readonly flops: number;
  /** Bytes read and written, as the claim states them. */
  readonly bytes: number;
  readonly launches: number;
  /** Predicted by the target's roofline: for the group, and with all that only it needs. */
  readonly seconds: number;
  readonly totalSeconds: number;
  readonly losers: readonly LoserDetail[];
}

export interface CompileDetails {
  /** Ops (inputs, weights and constants left out) of the graph as it was written, canonical, and as it was covered. */
  readonly ops: { readonly traced: number; readonly canonical: number; readonly legal: number };
  readonly nodes: readonly NodeDetail[];
  readonly outputs: readonly { readonly name: string; readonly node: number }[];
  readonly groups: readonly GroupDetail[];
}

export interface ChosenGraph {
  readonly canonical: Graph;
  readonly graph: Graph;
  readonly cover: Cover;
  readonly groups: readonly StepGroup[];
  readonly emit: EmitOptions;
}

const coversText = (covers: readonly Node[]): string => covers.map((n) => n.op).join(" + ");

/** A weight-only value by the checkpoint's names. */
function weightText(node: Node): string {
  if (node.op === "weight") return String(node.attributes.name);
  if (node.op === "constant") return String(node.attributes.value);
  return `${node.op}(${node.inputs.map(weightText).join(", ")})`;
}

/** The claims of one value differ in what they cover and cost; told once each. */
function distinct(losers: readonly LoserDetail[]): readonly LoserDetail[] {
  return [...new Map(losers.map((l) => [JSON.stringify(l), l])).values()];
}

function losersOf(claim: Claim, total: number, cover: Cover): readonly LoserDetail[] {
  const inside = new Set(claim.covers);
  const dearer = cover.losing
    .filter((l: Losing) => inside.has(l.output))
    .map(({ kernel, output, covers, seconds }) => {
      const own = output === claim.output;
      const reason = own
        ? seconds > total
          ? "costs more"
          : "costs no less, and covers less or is of a later kernel"
        : `writes "${output.op}", which stays inside of the chosen group`;
      return { kernel, covers: coversText(covers), ...(own ? { seconds } : {}), reason };
    });
  const refused = cover.refusals
    .filter((r) => inside.has(r.node))
    .map(({ kernel, node, reason }) => ({ kernel, covers: node.op, reason }));
  return distinct([...dearer, ...refused]);
}

/** The chosen claims that a claim was joined from; itself where it was not joined. */
function chosenIn(claim: Claim, cover: Cover): readonly Claim[] {
  return cover.parts.get(claim)?.flatMap((part) => chosenIn(part, cover)) ?? [claim];
}

/** @param traced as the component's author wrote it */
export function detailsOf(traced: Graph, { canonical, graph, cover, groups, emit }: ChosenGraph): CompileDetails {
  const box: Box = graph.symbols;
  const kind = (n: Node): OpKind => emit.table.get(n.op)?.kind as OpKind;
  const countOps = (g: Graph): number => nodesOf(g).filter((n) => kind(n) !== "source").length;
  // Copies of operands that a claim asked for are no nodes of the graph.
  const touched = groups.flatMap(({ claim }) => [...claim.covers, ...claim.operands.map((o) => o.node)]);
  const nodes = [...new Set([...nodesOf(graph), ...graph.inputs, ...touched])];
  const index = new Map(nodes.map((n, i) => [n, i]));
  const at = (n: Node): number => index.get(n) as number;
  const weights = weightOnly(nodesOf(graph));
  const upper = (d: Dim): number => bounds(d, box).max;
  const secondsOf = (claim: Claim): number => predictSeconds(claim, box, emit.capabilities);
  const totalOf = (claim: Claim): number => cover.seconds.get(claim.output) ?? secondsOf(claim);
  return {
    ops: { traced: countOps(traced), canonical: countOps(canonical), legal: countOps(graph) },
    nodes: nodes.map((n) => ({
      op: n.op === "input" || n.op === "weight" ? `${n.op} ${String(n.attributes.name)}` : n.op,
      kind: kind(n),
      type: typeText(n),
      attributes: kind(n) === "source" && n.op !== "constant" ? "" : attributesKey(n.attributes),
      inputs: n.inputs.filter((i) => index.has(i)).map(at),
      weightOnly: weights.has(n),
      ...(n.source === undefined ? {} : { source: n.source }),
    })),
    outputs: graph.outputs.map((o) => ({ name: o.name, node: at(o.node) })),
    groups: groups.map(({ claim, steps }) => {
      const chosen = chosenIn(claim, cover);
      const seconds = secondsOf(claim);
      return {
        kernel: claim.kernel,
        nodes: claim.covers.map(at),
        output: at(claim.output),
        also: (claim.also ?? []).map(at),
        operands: claim.operands.map((o) => at(o.node)),
        weights: claim.weights.map(weightText),
        steps,
        flops: upper(claim.cost.flops),
        bytes: upper(claim.cost.bytes),
        launches: claim.cost.launches,
        seconds,
        totalSeconds: chosen.reduce((sum, part) => sum + totalOf(part) - secondsOf(part), seconds),
        losers: chosen.flatMap((part) => losersOf(part, totalOf(part), cover)),
      };
    }),
  };
}
