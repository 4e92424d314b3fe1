/** Makes every node claimable: ops without a claim expand, views that strides cannot say read a contiguous copy. */
import type { View } from "../abi/kernel.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { type Graph, nodesOf } from "../ir/graph.ts";
import type { Make, Node, OpTable } from "../ir/node.ts";
import { type CoverOptions, collectOffers, type Offers } from "./cover.ts";
import { makeFor, mapGraph } from "./rewrite.ts";

export interface LegalizeOptions extends CoverOptions {
  readonly make: Make;
}

/** Expands every op that is not covered and that simpler ops can say. */
export function expandUncovered(graph: Graph, make: Make, table: OpTable, isCovered: (node: Node) => boolean): Graph {
  return mapGraph(graph, make, (n, original) => {
    const expand = table.get(n.op)?.expand;
    return expand === undefined || isCovered(original) ? n : expand(n.inputs, n.attributes, makeFor(make, n));
  });
}

/** Inserts `contiguous` where a view op cannot be strides over its operand's base. */
export function materializeViews(graph: Graph, make: Make, table: OpTable, view: (node: Node) => View): Graph {
  return mapGraph(graph, make, (n) => {
    if (table.get(n.op)?.kind !== "view" || view(n).base !== n) return n;
    return make(n.op, [makeFor(make, n)("contiguous", [n.inputs[0]])], n.attributes, n.source);
  });
}

/** Outputs must be values that a claim writes whole: views, inputs and repeated nodes become copies. */
export function copyOutputs(graph: Graph, make: Make, table: OpTable): Graph {
  const seen = new Set<Node>();
  const outputs = graph.outputs.map((o) => {
    let node = o.node;
    // The copy of a view may be an output already; then that is copied once more.
    while (node.op === "input" || table.get(node.op)?.kind === "view" || seen.has(node))
      node = make("contiguous", [node]);
    seen.add(node);
    return { name: o.name, node };
  });
  return { ...graph, outputs };
}

/** Rounds of expanding; built-in ops need few. */
const MOST_ROUNDS = 32;

/**
 * A graph that can be covered as far as there are claims and expansions, with its offers.
 * @throws FoveaError `endless_expansion` where a plugin's op leads back to itself
 */
export function legalize(graph: Graph, options: LegalizeOptions): Offers {
  const { make, table, view } = options;
  const legal = (g: Graph): Graph => copyOutputs(materializeViews(g, make, table, view), make, table);
  let current = legal(graph);
  let open: string | undefined;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const offers = collectOffers(current, options);
    const covered = (n: Node): boolean => offers.isFree(n) || offers.isCovered(n);
    const expanded = (n: Node): boolean => !covered(n) && table.get(n.op)?.expand !== undefined;
    open = nodesOf(current).find(expanded)?.op;
    const next = legal(expandUncovered(current, make, table, covered));
    if (next.outputs.every((o, i) => o.node === current.outputs[i].node)) return offers;
    current = next;
  }
  throw new FoveaError(
    "endless_expansion",
    `The op "${open}" is still expanded after ${MOST_ROUNDS} rounds; its \`expand\` leads back to itself. Say it in simpler ops.`,
  );
}
