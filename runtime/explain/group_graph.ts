/** A range's groups as a graph to draw: inputs, groups with their ops, outputs, and what flows between them. */
import type { RangeDetails } from "../session/explain/explain_range.ts";

/** A box of the drawing. */
export interface GraphBox {
  readonly id: string;
  readonly kind: "input" | "group" | "output";
  /** First line: a kernel, or a port's name. */
  readonly title: string;
  readonly lines: readonly string[];
  /** Position of the group. */
  readonly group?: number;
}

export interface GraphArrow {
  readonly from: string;
  readonly to: string;
  /** Views between, such as `reshape, transpose`; empty where the value is read as it is. */
  readonly views: string;
  /** Type of the value that is written. */
  readonly type: string;
}

export interface GroupGraph {
  readonly boxes: readonly GraphBox[];
  readonly arrows: readonly GraphArrow[];
}

/** Equal neighbours once, with their number. */
function counted(ops: readonly string[]): readonly string[] {
  const runs: { op: string; count: number }[] = [];
  for (const op of ops) {
    const last = runs.at(-1);
    if (last?.op === op) last.count++;
    else runs.push({ op, count: 1 });
  }
  return runs.map(({ op, count }) => (count === 1 ? op : `${op} ×${count}`));
}

export function groupGraph({ nodes, outputs, groups }: RangeDetails): GroupGraph {
  const owner = new Map(groups.flatMap((g, i) => [g.output, ...g.also].map((node) => [node, `group${i}`])));
  const boxes: GraphBox[] = [];
  const arrows = new Map<string, GraphArrow>();
  nodes.forEach((n, i) => {
    if (n.kind !== "source" || n.weightOnly) return;
    owner.set(i, `input${i}`);
    boxes.push({ id: `input${i}`, kind: "input", title: n.op.replace(/^input /, ""), lines: [n.type] });
  });
  /** From where a value comes, through which views. */
  const connect = (node: number, to: string): void => {
    const views: string[] = [];
    let at = node;
    for (; !owner.has(at); [at] = nodes[at].inputs) {
      if (nodes[at].weightOnly || nodes[at].inputs.length === 0) return;
      views.unshift(nodes[at].op);
    }
    const from = owner.get(at) as string;
    arrows.set(JSON.stringify([from, to, views]), { from, to, views: counted(views).join(", "), type: nodes[at].type });
  };
  groups.forEach((g, i) => {
    const ops = g.nodes.map((n) => nodes[n].op);
    boxes.push({ id: `group${i}`, kind: "group", title: g.kernel, lines: counted(ops), group: i });
    for (const operand of g.operands) connect(operand, `group${i}`);
  });
  for (const { name, node } of outputs) {
    boxes.push({ id: `output ${name}`, kind: "output", title: name, lines: [nodes[node].type] });
    connect(node, `output ${name}`);
  }
  return { boxes, arrows: [...arrows.values()] };
}
