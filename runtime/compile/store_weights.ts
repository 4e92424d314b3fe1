/** Weights of two bytes: large ones are read through `stored_as`, for kernels that can keep them so. */
import type { HalfDType } from "../core/dtype.ts";
import { type Graph, nodesOf, topological, weightOnly } from "../ir/graph.ts";
import type { Interner, Node } from "../ir/node.ts";
import { mapGraph } from "./rewrite.ts";

/** Numbers of a table of words; positions and distances have fewer. */
const LEAST_TABLE = 2 ** 20;

const multipliesBytes = ({ op, inputs: [x] }: Node): boolean =>
  op === "matmul" && x.op === "cast" && x.inputs[0].dtype === "u8";

/**
 * Rounds what products multiply by and what lookups read, as far as it is made of weights, to `dtype`: once, after all
 * that is computed of weights alone. Everything else (biases, norms, position tables that are added) stays f32, and so does
 * the arithmetic. Weights that multiply bytes stay f32 too: the steps that normalise bytes make them smaller than f16 holds
 * with all its bits.
 */
export function storeWeights(graph: Graph, dtype: HalfDType, interner: Interner): Graph {
  return storeOperands(graph, dtype, interner, () => true);
}

/**
 * Rounds the tables of words to bf16, and nothing else: where products are of integers, the tables would be most of what is
 * left. A checkpoint of bf16 loses nothing, and no number is too large.
 */
export function storeTables(graph: Graph, interner: Interner): Graph {
  const isLookup = ({ op }: Node): boolean => interner.table.get(op)?.kind === "index";
  return storeOperands(graph, "bf16", interner, (reader, bulk) => isLookup(reader) && elements(bulk) >= LEAST_TABLE);
}

/** Of a value that is made of weights, whose sizes are constant. */
const elements = ({ shape }: Node): number => shape.reduce((n: number, d) => n * (d as number), 1);

/** Reads the bulk operand of the nodes that `takes` through `stored_as`. */
function storeOperands(
  graph: Graph,
  dtype: HalfDType,
  { make, table }: Interner,
  takes: (reader: Node, bulk: Node) => boolean,
): Graph {
  const weights = weightOnly(nodesOf(graph));
  const isBulk = (n: Node): boolean => weights.has(n) && topological([n]).some((x) => x.op === "weight");
  return mapGraph(graph, make, (n, original) => {
    const at = weights.has(original) ? undefined : table.get(n.op)?.bulk;
    if (at === undefined || multipliesBytes(original) || n.inputs[at].op === "stored_as") return n;
    const bulk = original.inputs[at];
    if (!isBulk(bulk) || !takes(original, bulk)) return n;
    const inputs = n.inputs.map((x, i) => (i === at ? make("stored_as", [x], { dtype }) : x));
    return make(n.op, inputs, n.attributes, n.source);
  });
}
