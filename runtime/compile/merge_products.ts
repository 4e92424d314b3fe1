/**
 * Products of one value with several weights become one product with the weights stacked, such as query, key and value
 * projections. Only where every result flows, through views, into a contraction that can read a slice in place.
 */
import { add, type Dim } from "../core/dim.ts";
import { type Graph, nodesOf, usersOf, weightOnly } from "../ir/graph.ts";
import type { Make, Node, OpTable } from "../ir/node.ts";
import { mapGraph } from "./rewrite.ts";

interface Member {
  readonly product: Node;
  readonly bias: Node | undefined;
  /** The product, or its sum with the bias. */
  readonly result: Node;
}

export function mergeSiblingProducts(graph: Graph, make: Make, table: OpTable): Graph {
  const nodes = nodesOf(graph);
  const users = usersOf(nodes);
  const weights = weightOnly(nodes);
  const outputs = new Set(graph.outputs.map((o) => o.node));
  const kind = (n: Node): string | undefined => table.get(n.op)?.kind;

  const flowsIntoContraction = (n: Node): boolean => {
    const list = users.get(n) ?? [];
    return (
      !outputs.has(n) &&
      list.length > 0 &&
      list.every((u) =>
        kind(u) === "view" ? flowsIntoContraction(u) : kind(u) === "contraction" && u.inputs.length > 2,
      )
    );
  };

  const groups = new Map<Node, Member[]>();
  for (const n of nodes) {
    if (
      kind(n) !== "contraction" ||
      n.attributes.transpose_b !== true ||
      !weights.has(n.inputs[1]) ||
      n.inputs[1].shape.length !== 2
    )
      continue;
    const only = users.get(n)?.length === 1 && !outputs.has(n) ? (users.get(n) as readonly Node[])[0] : undefined;
    const bias = only?.op === "add" ? only.inputs.find((i) => i !== n) : undefined;
    const biased = bias !== undefined && weights.has(bias) && bias.shape.length === 1;
    const member: Member = { product: n, bias: biased ? bias : undefined, result: biased ? (only as Node) : n };
    if (!flowsIntoContraction(member.result)) continue;
    const list = groups.get(n.inputs[0]) ?? [];
    list.push(member);
    groups.set(n.inputs[0], list);
  }

  const replacement = new Map<Node, (x: Node) => Node>();
  for (const list of groups.values()) {
    const biased = list.every((m) => m.bias !== undefined);
    if (list.length < 2 || (!biased && list.some((m) => m.bias !== undefined))) continue;
    const stacked = make(
      "concat",
      list.map((m) => m.product.inputs[1]),
      { axis: 0 },
    );
    const bias = biased
      ? make(
          "concat",
          list.map((m) => m.bias as Node),
          { axis: 0 },
        )
      : undefined;
    let start: Dim = 0;
    for (const m of list) {
      const from = start;
      const end = add(start, m.product.inputs[1].shape[0]);
      start = end;
      replacement.set(m.result, (x) => {
        const product = make("matmul", [x, stacked], { transpose_b: true });
        const whole = bias === undefined ? product : make("add", [product, bias]);
        return make("slice", [whole], { axis: whole.shape.length - 1, start: from, end });
      });
    }
  }
  if (replacement.size === 0) return graph;
  // Results are looked up by what their rewritten product reads, since operands are rewritten first.
  const byKey = new Map<string, (x: Node) => Node>();
  for (const [result, build] of replacement) byKey.set(keyOf(result, weights), build);
  return mapGraph(graph, make, (n) => {
    const build = byKey.get(keyOf(n, weights));
    if (build === undefined) return n;
    const product = n.op === "add" ? (n.inputs.find((i) => kind(i) === "contraction") as Node) : n;
    return build(product.inputs[0]);
  });
}

/** A product (with its bias) is named by the weights that it reads and its type. */
function keyOf(n: Node, weights: ReadonlySet<Node>): string {
  if (n.op === "add") {
    const product = n.inputs.find((i) => !weights.has(i) && i.op === "matmul");
    const bias = n.inputs.find((i) => weights.has(i));
    return product && bias ? `${keyOf(product, weights)}+${bias.id}` : `#${n.id}`;
  }
  return n.op === "matmul" && weights.has(n.inputs[1]) ? `product ${n.inputs[1].id}` : `#${n.id}`;
}
