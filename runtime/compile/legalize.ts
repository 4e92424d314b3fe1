/** Makes every node claimable: ops without a claim expand, views that strides cannot say read a contiguous copy. */
import type { View } from "../abi/kernel.ts";
import type { Graph } from "../ir/graph.ts";
import type { Make, Node, OpTable } from "../ir/node.ts";
import { mapGraph } from "./rewrite.ts";

/** Expands ops for which `claimed` is false, until all are claimed or have no expansion. */
export function expandUnclaimed(
  graph: Graph,
  make: Make,
  table: OpTable,
  claimed: (graph: Graph) => (node: Node) => boolean,
): Graph {
  for (let current = graph; ; ) {
    const isClaimed = claimed(current);
    const next = mapGraph(current, make, (n) => {
      const expand = table.get(n.op)?.expand;
      return expand === undefined || isClaimed(n) ? n : expand(n.inputs, n.attributes, make);
    });
    if (next.outputs.every((o, i) => o.node === current.outputs[i].node)) return current;
    current = next;
  }
}

/** Inserts `contiguous` where a view op cannot be strides over its operand's base. */
export function materializeViews(graph: Graph, make: Make, table: OpTable, view: (node: Node) => View): Graph {
  return mapGraph(graph, make, (n) => {
    if (table.get(n.op)?.kind !== "view" || view(n).base !== n) return n;
    return make(n.op, [make("contiguous", [n.inputs[0]])], n.attributes, n.source);
  });
}
