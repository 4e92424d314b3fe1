/** Splitting and joining batches along the first axis. */
import type { Tensor, Tensors } from "../abi/encoder.ts";
import { internal } from "../core/diagnostics.ts";

const rowElements = (t: Tensor): number => t.shape.slice(1).reduce((a, b) => a * b, 1);

/** Rows `from..to` of every tensor, without a copy. */
export function sliceRows(tensors: Tensors, from: number, to: number): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => {
      const row = rowElements(t);
      return [name, { ...t, shape: [to - from, ...t.shape.slice(1)], data: t.data.subarray(from * row, to * row) }];
    }),
  );
}

function joined(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const elements = parts.reduce((n, t) => n + t.data.length, 0);
  const data =
    first.data instanceof Float32Array
      ? new Float32Array(elements)
      : first.data instanceof Int32Array
        ? new Int32Array(elements)
        : new Uint8Array(elements);
  let at = 0;
  for (const t of parts) {
    if (rowElements(t) !== rowElements(first)) internal("parts of one batch have rows of different sizes");
    data.set(t.data, at);
    at += t.data.length;
  }
  return { dtype: first.dtype, shape: [parts.reduce((n, t) => n + t.shape[0], 0), ...first.shape.slice(1)], data };
}

/** All parts one below the other. */
export function concatRows(parts: readonly Tensors[]): Tensors {
  return Object.fromEntries(Object.keys(parts[0]).map((name) => [name, joined(parts.map((p) => p[name]))]));
}
