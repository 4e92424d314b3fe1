/** Random small graphs with made-up claims, and the cheapest cover of one by trying all. */
import type { Capabilities } from "../../runtime/abi/device.ts";
import type { Claim, KernelSpec } from "../../runtime/abi/kernel.ts";
import { type CoverOptions, createClaimContext } from "../../runtime/compile/cover.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { createGraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { type Graph, nodesOf, usersOf } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

/** Seconds are flops plus launches, whole numbers, so that sums have no rounding. */
export const WHOLE_SECONDS: Capabilities = { flopsPerSecond: 1, bytesPerSecond: 1, launchSeconds: 1 };

const kindOf = (n: Node): string | undefined => OP_TABLE.get(n.op)?.kind;

/** A claim without code: it covers nodes and costs seconds. */
export function fakeClaim(
  kernel: string,
  covers: readonly Node[],
  seconds: number,
  isFree: (n: Node) => boolean,
): Claim {
  const inside = new Set(covers);
  const read = new Set(covers.flatMap((n) => n.inputs).filter((n) => !inside.has(n) && !isFree(n)));
  return {
    kernel,
    covers,
    output: covers[0],
    operands: [...read].map((node) => ({ node, access: "strided" })),
    weights: [],
    cost: { flops: seconds, bytes: 0, launches: 0 },
    emit: () => {},
  };
}

/** A kernel that offers the claims of a table. */
export function kernelOf(name: string, claims: ReadonlyMap<Node, readonly Claim[]>): KernelSpec {
  return { name, device: "fake", reads: [], claim: (_, node) => claims.get(node) ?? [] };
}

export function optionsOf(interner: Interner, kernels: readonly KernelSpec[], opByOp = false): CoverOptions {
  return {
    kernels,
    capabilities: WHOLE_SECONDS,
    table: OP_TABLE,
    view: createViewResolver(OP_TABLE),
    opByOp,
    contiguous: (n) => interner.make("contiguous", [n]),
  };
}

export interface RandomCover {
  readonly graph: Graph;
  readonly interner: Interner;
  readonly claims: ReadonlyMap<Node, readonly Claim[]>;
}

/** Up to ten ops over [4, 4], views and weight-only values among them, with random regions claimed at random costs. */
export function randomCover(seed: number): RandomCover {
  let drawn = 0;
  const pick = (count: number): number => hash32(seed, drawn++) % count;
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const values: Node[] = [b.input("x", [4, 4])];
  const weights: Node[] = [b.weight("w", [4, 4])];
  const any = (list: readonly Node[]): Node => list[list.length - 1 - pick(Math.min(list.length, 4))];
  for (let i = 3 + pick(8); i > 0; i--) {
    const choice = pick(8);
    if (choice === 0) weights.push(b.unary("tanh", any(weights)));
    else if (choice === 1) values.push(b.transpose(any(values), [1, 0]));
    else if (choice < 4) values.push(b.unary(["neg", "exp"][pick(2)], any(values)));
    else values.push(b.add(any(values), pick(5) === 0 ? any(weights) : any(values)));
  }
  const made = values.filter((v) => kindOf(v) === "elementwise");
  const used = new Set(values.flatMap((v) => v.inputs));
  const results = new Set(made.filter((v) => !used.has(v)));
  if (results.size === 0 || pick(4) === 0) results.add(made[pick(made.length)] ?? b.unary("neg", values[0]));
  for (const [i, v] of [...results].entries()) b.output(`y${i}`, v);
  const graph = b.finish();

  const context = createClaimContext(graph, optionsOf(interner, []));
  const isFree = (n: Node): boolean => n.op === "input" || context.isWeight(n);
  const claims = new Map<Node, Claim[]>();
  for (const node of nodesOf(graph)) {
    if (kindOf(node) !== "elementwise" || isFree(node)) continue;
    const own: Claim[] = pick(12) === 0 ? [] : [fakeClaim("alone", [node], 1 + pick(30), isFree)];
    for (let i = pick(4); i > 0; i--) {
      const region = [node];
      for (let step = 1 + pick(5); step > 0; step--) {
        let next: Node | undefined = region[pick(region.length)];
        next = next.inputs[pick(next.inputs.length)];
        // A region goes on through views.
        const way: Node[] = [];
        while (next !== undefined && kindOf(next) === "view") {
          way.push(next);
          next = next.inputs[0];
        }
        if (next === undefined || isFree(next) || kindOf(next) !== "elementwise") continue;
        for (const n of [...way, next]) if (!region.includes(n)) region.push(n);
      }
      if (region.length > 1) own.push(fakeClaim(`fused ${i}`, region, 1 + pick(40), isFree));
    }
    claims.set(node, own);
  }
  return { graph, interner, claims };
}

/** Least seconds of all exact covers, by trying every one; infinity when there is none. */
export function cheapestByTrial({ graph, interner, claims }: RandomCover): number {
  const nodes = nodesOf(graph);
  const users = usersOf(nodes);
  const outputs = new Set(graph.outputs.map((o) => o.node));
  const { view } = optionsOf(interner, []);
  const legal = (c: Claim): boolean =>
    c.covers.every(
      (n) => n === c.output || (!outputs.has(n) && (users.get(n) ?? []).every((u) => c.covers.includes(u))),
    );
  const search = (wanted: readonly Node[], written: ReadonlySet<Node>, covered: ReadonlySet<Node>): number => {
    const next = wanted.find((n) => !written.has(n));
    if (next === undefined) return 0;
    // An inner value of another claim cannot be read.
    if (covered.has(next)) return Number.POSITIVE_INFINITY;
    let least = Number.POSITIVE_INFINITY;
    for (const c of claims.get(next) ?? []) {
      if (!legal(c) || c.covers.some((n) => covered.has(n))) continue;
      const bases = c.operands.map((o) => view(o.node).base).filter((n) => n.op !== "input");
      const rest = search([...wanted, ...bases], new Set([...written, next]), new Set([...covered, ...c.covers]));
      least = Math.min(least, (c.cost.flops as number) + rest);
    }
    return least;
  };
  return search([...outputs], new Set(), new Set());
}
