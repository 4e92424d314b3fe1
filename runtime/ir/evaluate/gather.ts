/** Indexed reads of the reference evaluator. */
import { allocate, elementCount, type RefTensor, refuse, requireInteger, requireShape, shapeText } from "./tensor.ts";

function requireIndex(op: string, index: number, rows: number): void {
  if (index < 0 || index >= rows) refuse(op, `index ${index}`, `0..${rows - 1}`);
}

/** Rows of a table: table [rows, ...row], indices of any shape -> [...indices, ...row]. */
export function gather(table: RefTensor, indices: RefTensor): RefTensor {
  requireInteger("gather", "indices", indices);
  if (table.shape.length === 0) refuse("gather", "a scalar table", "at least one axis");
  const row = table.shape.slice(1);
  const size = elementCount(row);
  const data = allocate(table.dtype, indices.data.length * size);
  indices.data.forEach((index, i) => {
    requireIndex("gather", index, table.shape[0]);
    data.set(table.data.subarray(index * size, (index + 1) * size), i * size);
  });
  return { dtype: table.dtype, shape: [...indices.shape, ...row], data };
}

/** One row of each batch entry, as for pooling: x [batch, tokens, width], indices [batch] -> [batch, width]. */
export function takeRow(x: RefTensor, indices: RefTensor): RefTensor {
  requireInteger("take_row", "indices", indices);
  if (x.shape.length !== 3) refuse("take_row", `shape ${shapeText(x.shape)}`, "[batch, tokens, width]");
  const [batch, tokens, width] = x.shape;
  requireShape("take_row", "indices", indices, [batch]);
  const data = allocate(x.dtype, batch * width);
  indices.data.forEach((index, b) => {
    requireIndex("take_row", index, tokens);
    const from = (b * tokens + index) * width;
    data.set(x.data.subarray(from, from + width), b * width);
  });
  return { dtype: x.dtype, shape: [batch, width], data };
}
