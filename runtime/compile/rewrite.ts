/** Rewriting: named rules over interned nodes. "Nothing changed" is identity. */
import { internal } from "../core/diagnostics.ts";
import { type Graph, topological } from "../ir/graph.ts";
import type { Make, Node } from "../ir/node.ts";

/** A rule looks at one node whose operands are already rewritten and returns its replacement, or nothing. */
export interface Rule {
  readonly name: string;
  readonly apply: (node: Node, make: Make) => Node | undefined;
}

const MAX_ROUNDS = 16;

/** A maker whose nodes keep the author's line of the node that they take the place of, where that is known. */
export function makeFor(make: Make, { source }: Node): Make {
  return source === undefined ? make : (op, inputs, attributes, own) => make(op, inputs, attributes, own ?? source);
}

/** Rebuilds the graph with `replace` applied to every node, operands first; `original` is the node before that. */
export function mapGraph(graph: Graph, make: Make, replace: (node: Node, original: Node) => Node): Graph {
  const mapped = new Map<Node, Node>();
  for (const n of topological(graph.outputs.map((o) => o.node))) {
    const inputs = n.inputs.map((i) => mapped.get(i) as Node);
    const same = inputs.every((x, i) => x === n.inputs[i]);
    mapped.set(n, replace(same ? n : make(n.op, inputs, n.attributes, n.source), n));
  }
  return { ...graph, outputs: graph.outputs.map((o) => ({ name: o.name, node: mapped.get(o.node) as Node })) };
}

/** Applies `rules` bottom-up until nothing changes; counts applications by rule name into `counts`. */
export function applyRules(
  graph: Graph,
  rules: readonly Rule[],
  make: Make,
  counts: Map<string, number> = new Map(),
): Graph {
  let current = graph;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let changed = false;
    current = mapGraph(current, make, (node) => {
      let n = node;
      for (const rule of rules) {
        const next = rule.apply(n, makeFor(make, n));
        if (next !== undefined && next !== n) {
          counts.set(rule.name, (counts.get(rule.name) ?? 0) + 1);
          changed = true;
          n = next;
        }
      }
      return n;
    });
    if (!changed) return current;
  }
  return internal(`rules still apply after ${MAX_ROUNDS} rounds: ${[...counts.keys()].join(", ")}`);
}
