/**
 * Products of one value with several weights become one product with the weights stacked, such as query, key and value
 * projections. Only where every result flows, through views, into an op that can read a slice in place.
 */
import { add, type Dim, shapeEquals } from "../core/dim.ts";
import { type Graph, nodesOf, usersOf, weightOnly } from "../ir/graph.ts";
import type { Make, Node, OpTable } from "../ir/node.ts";
import { makeFor, mapGraph } from "./rewrite.ts";

/** Ops whose kernels read values through any strides. */
const READS_SLICES: ReadonlySet<string> = new Set(["attention", "rotary"]);

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

  const readInPlace = (n: Node): boolean => {
    const list = users.get(n) ?? [];
    return (
      !outputs.has(n) &&
      list.length > 0 &&
      list.every((u) => (kind(u) === "view" ? readInPlace(u) : READS_SLICES.has(u.op)))
    );
  };

  const groups = new Map<Node, Member[]>();
  for (const n of nodes) {
    if (
      n.op !== "matmul" ||
      n.attributes.transpose_b !== true ||
      !weights.has(n.inputs[1]) ||
      n.inputs[1].shape.length !== 2
    )
      continue;
    const only = users.get(n)?.length === 1 && !outputs.has(n) ? (users.get(n) as readonly Node[])[0] : undefined;
    const bias = only?.op === "add" ? only.inputs.find((i) => i !== n) : undefined;
    // A bias of one element would be stacked to fewer elements than there are columns.
    const biased = bias !== undefined && weights.has(bias) && shapeEquals(bias.shape, [n.inputs[1].shape[0]]);
    const member: Member = { product: n, bias: biased ? bias : undefined, result: biased ? (only as Node) : n };
    if (!readInPlace(member.result)) continue;
    const list = groups.get(n.inputs[0]) ?? [];
    list.push(member);
    groups.set(n.inputs[0], list);
  }

  /** What takes the place of a result, from the rewritten left-hand side. */
  const replacement = new Map<Node, (x: Node) => Node>();
  const members = new Set<Node>();
  for (const list of groups.values()) {
    if (list.length < 2) continue;
    const stacked = make(
      "concat",
      list.map((m) => m.product.inputs[1]),
      { axis: 0 },
    );
    const bias = list.some((m) => m.bias !== undefined) ? stackedBias(list, make) : undefined;
    let start: Dim = 0;
    for (const m of list) {
      const from = start;
      const end = add(start, m.product.inputs[1].shape[0]);
      start = end;
      members.add(m.product);
      replacement.set(m.result, (x) => {
        const own = makeFor(make, m.product);
        const product = own("matmul", [x, stacked], { transpose_b: true });
        const whole = bias === undefined ? product : own("add", [product, bias]);
        return own("slice", [whole], { axis: whole.shape.length - 1, start: from, end });
      });
    }
  }
  if (replacement.size === 0) return graph;
  return mapGraph(graph, make, (n, original) => {
    const build = replacement.get(original);
    if (build === undefined) return n;
    const product = original.op === "add" ? n.inputs[original.inputs.findIndex((i) => members.has(i))] : n;
    return build(product.inputs[0]);
  });
}

/** All biases one behind the other; a product without one, such as Whisper's keys, has zeros. */
function stackedBias(members: readonly Member[], make: Make): Node {
  const zero = make("constant", [], { value: 0 });
  const biases = members.map((m) => m.bias ?? make("broadcast_to", [zero], { shape: [m.product.inputs[1].shape[0]] }));
  return make("concat", biases, { axis: 0 });
}
