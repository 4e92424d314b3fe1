/** Position embeddings of a square table for grids of other sizes. */
import { mul } from "../core/dim.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { lastWidth } from "./linear.ts";

/**
 * table [side * side, width] -> [rows * columns, width], with the weights of an interpolation along each axis: rowWeights
 * [rows, side], columnWeights [columns, side].
 */
export function resizedPositions(b: GraphBuilder, table: Node, rowWeights: Node, columnWeights: Node): Node {
  const width = lastWidth(table, "A position table");
  const [rows, side] = rowWeights.shape;
  const [columns] = columnWeights.shape;
  // Rows of the grid first, so that the weights are one matrix on the right; then the columns of every row.
  const lines = b.reshape(table, [side, mul(side, width)]);
  const tall = b.reshape(b.matmul(rowWeights, lines), [rows, side, width]);
  return b.reshape(b.matmul(columnWeights, tall), [mul(rows, columns), width]);
}
