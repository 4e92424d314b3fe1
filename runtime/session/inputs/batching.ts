/** Splitting batches along the first axis, and joining their results. */
import type { Tensor, Tensors } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";

const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const rowElements = (t: Tensor): number => elements(t.shape.slice(1));

/** Rows of the tensor with most along the first axis. */
export const mostRows = (tensors: Tensors): number =>
  Math.max(0, ...Object.values(tensors).map(({ shape: [rows = 0] }) => rows));

/** Rows `from..to` of every tensor, without a copy. */
export function sliceRows(tensors: Tensors, from: number, to: number): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => {
      const row = rowElements(t);
      return [name, { ...t, shape: [to - from, ...t.shape.slice(1)], data: t.data.subarray(from * row, to * row) }];
    }),
  );
}

function joined(name: string, parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  const count = parts.reduce((n, t) => n + t.data.length, 0);
  const data =
    first.data instanceof Float32Array
      ? new Float32Array(count)
      : first.data instanceof Int32Array
        ? new Int32Array(count)
        : new Uint8Array(count);
  const inner = first.shape.slice(axis + 1);
  let at = 0;
  for (const t of parts) {
    if (elements(t.shape.slice(0, axis)) !== 1 || elements(t.shape.slice(axis + 1)) !== elements(inner)) {
      throw new FoveaError(
        "invalid_plan",
        `The result "${name}" of parts has the shapes [${first.shape}] and [${t.shape}], which cannot be joined along axis ${axis}; see \`joinAxes\` of the tower.`,
      );
    }
    data.set(t.data, at);
    at += t.data.length;
  }
  const size = parts.reduce((n, t) => n + t.shape[axis], 0);
  return { dtype: first.dtype, shape: [...first.shape.slice(0, axis), size, ...inner], data };
}

/**
 * All parts one below the other.
 * @param axes where tensors are not joined along the first axis: by name, an axis before which all sizes are 1
 */
export function concatRows(parts: readonly Tensors[], axes: Readonly<Record<string, number>> = {}): Tensors {
  return Object.fromEntries(
    Object.keys(parts[0]).map((name) => [
      name,
      joined(
        name,
        parts.map((p) => p[name]),
        Object.hasOwn(axes, name) ? axes[name] : 0,
      ),
    ]),
  );
}

/**
 * The results of a call's batches, as {@link concatRows}.
 * @throws FoveaError `invalid_input` for results of sizes that make no one tensor, as recordings of different lengths have
 */
export function joinBatches(parts: readonly Tensors[], axes: Readonly<Record<string, number>> = {}): Tensors {
  for (const [name, first] of Object.entries(parts[0])) {
    const sizes = (t: Tensor): string => String(t.shape.slice(1));
    const odd = Object.hasOwn(axes, name) ? undefined : parts.find((part) => sizes(part[name]) !== sizes(first));
    if (odd === undefined) continue;
    throw new FoveaError(
      "invalid_input",
      `The result "${name}" is [${first.shape}] of some inputs and [${odd[name].shape}] of others; encode inputs of different sizes in calls of their own.`,
    );
  }
  return concatRows(parts, axes);
}
