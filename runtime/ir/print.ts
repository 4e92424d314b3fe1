/** Text form of graphs: one line a node, numbered in topological order; goldens hold these texts. */
import { dimKey } from "../core/dim.ts";
import { boxText } from "../core/range.ts";
import { type Graph, topological } from "./graph.ts";
import { attributesKey, type Node } from "./node.ts";

/** `f32[batch, 50, 768]` */
export function typeText(node: Node): string {
  return `${node.dtype}[${node.shape.map(dimKey).join(", ")}]`;
}

export function printGraph(graph: Graph): string {
  const nodes = topological([...graph.inputs, ...graph.outputs.map((o) => o.node)]);
  const index = new Map(nodes.map((n, i) => [n, i]));
  const lines = nodes.map((n, i) => {
    const { shape: _shape, dtype: _dtype, ...rest } = n.attributes;
    const shown = n.op === "input" || n.op === "weight" ? rest : n.attributes;
    const attributes = attributesKey(shown);
    return `%${i} = ${n.op}(${n.inputs.map((x) => `%${index.get(x)}`).join(", ")})${attributes ? ` {${attributes}}` : ""} : ${typeText(n)}`;
  });
  const outputs = graph.outputs.map((o) => `return ${o.name} = %${index.get(o.node)}`);
  return [`graph (${boxText(graph.symbols)})`, ...lines, ...outputs, ""].join("\n");
}
