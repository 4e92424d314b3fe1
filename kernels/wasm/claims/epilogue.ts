/** What products of all kinds share: how what follows them is read, and rows of the register tile. */

import { type Dim, dimEquals, type Shape } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import type { EpilogueAccess } from "../emit/epilogue.ts";
import type { SizeHint } from "../emit/size.ts";

export const axisFromEnd = (shape: Shape, count: number): Dim => shape[shape.length - count];

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
