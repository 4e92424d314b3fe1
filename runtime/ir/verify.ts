/** Read-only verifier of graphs: every node's type follows from its op and operands, every symbol has an interval. */

import { internal } from "../core/diagnostics.ts";
import { bounds, shapeEquals, symbolsOf } from "../core/dim.ts";
import { type Graph, topological } from "./graph.ts";
import type { OpTable } from "./node.ts";

/** Throws an `internal:` error that names the first broken invariant and the stage that broke it. */
export function verifyGraph(graph: Graph, table: OpTable, stage: string): void {
  const nodes = topological([...graph.inputs, ...graph.outputs.map((o) => o.node)]);
  const names = new Set<string>();
  for (const n of nodes) {
    const at = `after ${stage}, node ${n.id} (${n.op})`;
    const row = table.get(n.op);
    if (row === undefined) internal(`${at}: unknown op`);
    if (n.inputs.length < row.arity[0] || n.inputs.length > row.arity[1])
      internal(`${at}: it has ${n.inputs.length} operands`);
    const inferred = row.infer(n.inputs, n.attributes);
    if (typeof inferred === "string") internal(`${at}: ${inferred}`);
    if (inferred.dtype !== n.dtype || !shapeEquals(inferred.shape, n.shape))
      internal(`${at}: its type does not follow from its operands`);
    for (const d of n.shape) {
      for (const s of symbolsOf(d)) if (!(s in graph.symbols)) internal(`${at}: symbol "${s}" has no interval`);
      if (bounds(d, graph.symbols).max < 0) internal(`${at}: a size is negative`);
    }
    if (n.op === "input" && !graph.inputs.includes(n))
      internal(`${at}: input "${String(n.attributes.name)}" is not declared`);
  }
  for (const n of graph.inputs) if (n.op !== "input") internal(`after ${stage}, "${n.op}" is declared as an input`);
  for (const o of graph.outputs) {
    if (names.has(o.name)) internal(`after ${stage}: output "${o.name}" appears twice`);
    names.add(o.name);
  }
}
