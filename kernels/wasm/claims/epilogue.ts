/** What products of all kinds share: what follows them, element by element, and how it is read. */

import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { grow, renumber } from "../../../runtime/abi/claims/grow.ts";
import type { ClaimContext, Offer } from "../../../runtime/abi/kernel.ts";
import { type Dim, dimEquals, type Shape } from "../../../runtime/core/dim.ts";
import { broadcastStrides, denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import type { EpilogueAccess } from "../emit/epilogue.ts";
import type { SizeHint } from "../emit/size.ts";

/** What is applied to the product: input 0 is the product, inputs 1.. are `operands`. */
export interface Epilogue {
  readonly expr: ScalarExpr;
  readonly operands: readonly Node[];
  /** Covered nodes after the product. */
  readonly covers: readonly Node[];
  readonly output: Node;
}

export const axisFromEnd = (shape: Shape, count: number): Dim => shape[shape.length - count];

/** Shape and strides of a value where it will be read. */
export function seen(context: ClaimContext, node: Node): { readonly shape: Shape; readonly strides: readonly Dim[] } {
  return context.isWeight(node) ? { shape: node.shape, strides: denseStrides(node.shape) } : context.view(node);
}

/** Strides over the result's leading axes; the operand's own leading axes broadcast to them. */
export function leadStrides(shape: Shape, strides: readonly Dim[], lead: Shape): readonly Dim[] {
  return broadcastStrides(shape.slice(0, -1), strides.slice(0, -1), lead);
}

/** How an epilogue operand moves along the columns; nothing when not at all like an epilogue operand. */
export function columnStride(node: Node, strides: readonly Dim[], n: Dim): 0 | 1 | undefined {
  const last = node.shape.length - 1;
  if (last < 0 || (dimEquals(node.shape[last], 1) && !dimEquals(n, 1))) return 0;
  if (dimEquals(strides[last], 1) || dimEquals(n, 1)) return 1;
  return dimEquals(strides[last], 0) ? 0 : undefined;
}

export function accessOf(along: 0 | 1, batch: Dim, row: Dim): EpilogueAccess {
  if (along === 1) return dimEquals(row, 0) ? "row" : "full";
  // A scalar per batch has no kind of its own; a column with a row stride of 0 reads the same.
  return dimEquals(row, 0) && dimEquals(batch, 0) ? "scalar" : "column";
}

/** Rows of the register tile: what the target runs fastest, and no more than the range has. */
export function rowsOfTile(fastest: number, { exact, most = fastest }: SizeHint): number {
  return Math.max(1, Math.min(fastest, exact ?? most));
}

/** Offers for products, nodes of `op`, among the leaves of an elementwise region that nobody else reads. */
export function offersForRoot(
  context: ClaimContext,
  root: Node,
  op: string,
  offersFor: (product: Node, epilogue: Epilogue) => readonly Offer[],
): readonly Offer[] {
  const { expr, leaves, covers } = grow(context, root, { fuse: true });
  const inside = new Set(covers);
  return leaves.flatMap((leaf, at) => {
    const fits =
      leaf.op === op &&
      !context.isWeight(leaf) &&
      !context.isOutput(leaf) &&
      context.users(leaf).every((u) => inside.has(u)) &&
      leaf.shape.length === root.shape.length &&
      leaf.shape.every((d, i) => dimEquals(d, root.shape[i]));
    if (!fits) return [];
    const order = leaves.map((_, i) => (i === at ? 0 : i < at ? i + 1 : i));
    const operands = leaves.filter((_, i) => i !== at);
    return offersFor(leaf, { expr: renumber(expr, order), operands, covers, output: root });
  });
}
