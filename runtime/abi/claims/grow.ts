/** Growing a claim backwards from its last elementwise op: what one pass over the result can compute. */

import { shapeEquals } from "../../core/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { ElementwiseOp } from "../../ir/ops.ts";
import type { ClaimContext } from "../kernel.ts";
import { isScalarOp, type ScalarExpr } from "./expr.ts";

/** What one pass covers. */
export interface Grown {
  /** The covered ops as one expression; its inputs are `leaves` by position. */
  readonly expr: ScalarExpr;
  /** Values that are read, each once. */
  readonly leaves: readonly Node[];
  /** Covered nodes, operands before users. */
  readonly covers: readonly Node[];
}

/** What {@link grow} may cover. */
export interface GrowOptions {
  /** Nodes that stay leaves even where they could be covered. */
  readonly stop?: (node: Node) => boolean;
  /** Fuse producers; false covers the root alone. */
  readonly fuse: boolean;
}

/** More operands than this would not fit into one argument table comfortably, nor into registers. */
const MAX_LEAVES = 8;

function fusable(context: ClaimContext, node: Node, root: Node): boolean {
  return (
    isScalarOp(node.op) &&
    // What is computed between is f32.
    node.dtype === "f32" &&
    !context.isWeight(node) &&
    !context.isOutput(node) &&
    // A smaller value that is broadcast later would be computed again for every element.
    shapeEquals(node.shape, root.shape)
  );
}

/** Nodes that can be covered together with `root`: every user of each lies inside. */
function closedRegion(context: ClaimContext, root: Node, options: GrowOptions): ReadonlySet<Node> {
  const region = new Set<Node>([root]);
  if (!options.fuse) return region;
  // Users come before operands here, so one sweep in reverse creation order decides every node once.
  const queue = [root];
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    for (const input of node.inputs) {
      if (region.has(input) || options.stop?.(input) === true || !fusable(context, input, root)) continue;
      if (!context.users(input).every((u) => region.has(u))) continue;
      region.add(input);
      queue.push(input);
    }
  }
  return region;
}

/** Grows from `root`, an elementwise node that expressions can say. */
export function grow(context: ClaimContext, root: Node, options: GrowOptions): Grown {
  const region = closedRegion(context, root, options);
  const leaves: Node[] = [];
  const covers: Node[] = [];
  const memo = new Map<Node, ScalarExpr>();
  const visit = (node: Node): ScalarExpr => {
    const known = memo.get(node);
    if (known !== undefined) return known;
    let expr: ScalarExpr;
    if (region.has(node)) {
      expr = { op: node.op as ElementwiseOp, args: node.inputs.map(visit) };
      covers.push(node);
    } else if (node.op === "constant") {
      expr = { constant: node.attributes.value as number };
    } else {
      expr = { input: leaves.push(node) - 1 };
    }
    memo.set(node, expr);
    return expr;
  };
  const expr = visit(root);
  if (leaves.length > MAX_LEAVES && options.fuse) return grow(context, root, { fuse: false });
  return { expr, leaves, covers };
}

/** The expression with its inputs renumbered: `order[i]` is the new position of input `i`. */
export function renumber(expr: ScalarExpr, order: readonly number[]): ScalarExpr {
  const memo = new Map<ScalarExpr, ScalarExpr>();
  const visit = (e: ScalarExpr): ScalarExpr => {
    const known = memo.get(e);
    if (known !== undefined) return known;
    const made = "input" in e ? { input: order[e.input] } : "op" in e ? { op: e.op, args: e.args.map(visit) } : e;
    memo.set(e, made);
    return made;
  };
  return visit(expr);
}
