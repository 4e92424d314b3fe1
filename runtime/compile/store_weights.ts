/** Weights of two bytes: large ones are read through `stored_as`, for kernels that can keep them so. */
import type { HalfDType } from "../core/dtype.ts";
import { type Graph, nodesOf, topological, weightOnly } from "../ir/graph.ts";
import type { Make, Node } from "../ir/node.ts";
import { mapGraph } from "./rewrite.ts";

/** The operand that holds a model's bulk: the right-hand side of a product, the table of a lookup. */
const BULK: Readonly<Record<string, number>> = { matmul: 1, gather: 0 };

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
export function storeWeights(graph: Graph, dtype: HalfDType, make: Make): Graph {
  return storeOperands(graph, dtype, make, () => true);
}

/**
 * Rounds the tables of words to bf16, and nothing else: where products are of integers, the tables would be most of what is
 * left. A checkpoint of bf16 loses nothing, and no number is too large.
 */
export function storeTables(graph: Graph, make: Make): Graph {
  const isTable = ({ op, inputs: [table] }: Node): boolean =>
    op === "gather" && table.shape.every((d) => typeof d === "number") && elements(table) >= LEAST_TABLE;
  return storeOperands(graph, "bf16", make, isTable);
}

const elements = ({ shape }: Node): number => shape.reduce((n: number, d) => n * (d as number), 1);

/** Reads the bulk operand of the nodes that `takes` through `stored_as`. */
function storeOperands(graph: Graph, dtype: HalfDType, make: Make, takes: (reader: Node) => boolean): Graph {
  const weights = weightOnly(nodesOf(graph));
  const isBulk = (n: Node): boolean => weights.has(n) && topological([n]).some((x) => x.op === "weight");
  return mapGraph(graph, make, (n, original) => {
    const at = weights.has(original) ? undefined : BULK[n.op];
    if (
      at === undefined ||
      !takes(original) ||
      multipliesBytes(original) ||
      !isBulk(original.inputs[at]) ||
      n.inputs[at].op === "stored_as"
    )
      return n;
    const inputs = n.inputs.map((x, i) => (i === at ? make("stored_as", [x], { dtype }) : x));
    return make(n.op, inputs, n.attributes, n.source);
  });
}
