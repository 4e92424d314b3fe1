/** Graphs out of their plain data: what a cache or a corpus recorded can be compiled again. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Box, Dim, DimExpression } from "../core/dim.ts";
import { type DimData, dimFromData } from "../core/dim_data.ts";
import type { Graph } from "./graph.ts";
import type { Attribute, Attributes, Make, Node } from "./node.ts";

/** The data that `graphToData` makes. */
interface GraphData {
  readonly symbols: Box;
  readonly inputs: readonly number[];
  readonly nodes: readonly (readonly [string, readonly number[], Readonly<Record<string, unknown>>])[];
  readonly outputs: readonly (readonly [string, number])[];
}

/** Sums of products are lists of rows that begin with a number; lists of dims hold numbers and such sums. */
function attributeOf(value: unknown): Attribute {
  if (value === "-0") return -0;
  if (!Array.isArray(value)) return value as string | number | boolean;
  const [first] = value as readonly unknown[];
  if (Array.isArray(first) && typeof first[0] === "number")
    return dimFromData(value as unknown as DimData) as DimExpression;
  return (value as readonly DimData[]).map((d): Dim => dimFromData(d));
}

const attributesOf = (data: Readonly<Record<string, unknown>>): Attributes =>
  Object.fromEntries(Object.entries(data).map(([name, value]) => [name, attributeOf(value)]));

/** @throws FoveaError `invalid_graph` for what is no graph's data; `unknown_op`, `shape_error` for ops that are gone */
export function graphFromData(data: unknown, make: Make): Graph {
  const { symbols, inputs, nodes, outputs } = (data ?? {}) as Partial<GraphData>;
  if (typeof symbols !== "object" || ![inputs, nodes, outputs].every(Array.isArray)) {
    throw new FoveaError("invalid_graph", "This is not the data of a graph; record it again.");
  }
  const made: Node[] = [];
  const nodeAt = (i: number): Node => {
    const node = made[i];
    if (node === undefined)
      throw new FoveaError("invalid_graph", `The graph's data names node ${i} before it is made.`);
    return node;
  };
  for (const [op, operands, attributes] of nodes as GraphData["nodes"])
    made.push(make(op, operands.map(nodeAt), attributesOf(attributes)));
  return Object.freeze({
    symbols,
    inputs: Object.freeze((inputs as GraphData["inputs"]).map(nodeAt)),
    outputs: Object.freeze((outputs as GraphData["outputs"]).map(([name, i]) => ({ name, node: nodeAt(i) }))),
  });
}
