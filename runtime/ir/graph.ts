/** Graphs: named outputs over interned nodes, with the questions that passes ask. */

import type { Box, Dim, DimExpression } from "../core/dim.ts";
import { dimToData } from "../core/dim_data.ts";
import type { Attribute, Node } from "./node.ts";

/** A named result. */
export interface GraphOutput {
  /** As `build` calls it in `b.output`. */
  readonly name: string;
  /** The value; several names may have one. */
  readonly node: Node;
}

/** What a component computes, in one range. */
export interface Graph {
  /** Intervals of every symbol that the graph may name. */
  readonly symbols: Box;
  /** `input` nodes in declaration order. */
  readonly inputs: readonly Node[];
  /** In the order of their declaration. */
  readonly outputs: readonly GraphOutput[];
}

/** All nodes that the outputs need, operands before users, in a deterministic order. */
export function topological(outputs: readonly Node[]): readonly Node[] {
  const seen = new Set<Node>();
  const order: Node[] = [];
  // An explicit stack: deep towers overflow the call stack.
  const stack: { node: Node; next: number }[] = [];
  for (const root of outputs) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ node: root, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top.next < top.node.inputs.length) {
        const child = top.node.inputs[top.next++];
        if (!seen.has(child)) {
          seen.add(child);
          stack.push({ node: child, next: 0 });
        }
      } else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}

export function nodesOf(graph: Graph): readonly Node[] {
  return topological(graph.outputs.map((o) => o.node));
}

/** Users of every node; graph outputs are not users. */
export function usersOf(nodes: readonly Node[]): ReadonlyMap<Node, readonly Node[]> {
  const users = new Map<Node, Node[]>(nodes.map((n) => [n, []]));
  for (const n of nodes) for (const i of new Set(n.inputs)) users.get(i)?.push(n);
  return users;
}

/**
 * Nodes of constant size that depend on weights and constants alone: what can be computed once, before any call.
 * Where all nodes are made of constants, only those: the place where the rest is computed once is this graph.
 */
export function weightOnly(nodes: readonly Node[]): ReadonlySet<Node> {
  const set = new Set<Node>();
  const isLast = nodes.every((n) => n.op !== "input" && n.op !== "weight");
  for (const n of nodes) {
    const derived = !isLast && n.inputs.length > 0 && n.inputs.every((i) => set.has(i));
    // A slice of a fixed length may begin at a symbolic place.
    const fixed = n.shape.every((d) => typeof d === "number") && !Object.values(n.attributes).some(isSymbolic);
    if (n.op === "weight" || n.op === "constant" || (derived && fixed)) set.add(n);
  }
  return set;
}

const isSymbolic = (value: Attribute): boolean =>
  Array.isArray(value) ? value.some((d) => typeof d === "object") : typeof value === "object";

function attributeData(value: Attribute): unknown {
  if (Array.isArray(value)) return (value as readonly Dim[]).map(dimToData);
  if (typeof value === "object") return dimToData(value as DimExpression);
  // JSON writes -0 as 0.
  return Object.is(value, -0) ? "-0" : value;
}

/** Plain data of a graph: equal graphs give equal data, whatever the order in which their nodes were created. */
export function graphToData(graph: Graph): unknown {
  const nodes = topological([...graph.inputs, ...graph.outputs.map((o) => o.node)]);
  const index = new Map(nodes.map((n, i) => [n, i]));
  return {
    symbols: graph.symbols,
    inputs: graph.inputs.map((n) => index.get(n)),
    nodes: nodes.map((n) => [
      n.op,
      n.inputs.map((i) => index.get(i)),
      Object.fromEntries(Object.entries(n.attributes).map(([k, v]) => [k, attributeData(v)])),
    ]),
    outputs: graph.outputs.map((o) => [o.name, index.get(o.node)]),
  };
}
