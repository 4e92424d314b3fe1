/** Operands of claims: values seen through views, and weights. */
import { type Dim, dimEquals, evaluate, mul, product, type Shape } from "../../core/dim.ts";
import { DTYPE_BYTES } from "../../core/dtype.ts";
import { denseStrides } from "../../core/strides.ts";
import type { Node } from "../../ir/node.ts";
import type { ClaimContext, EmitContext, EmittedStep, Operand, OperandPlace, Place } from "../kernel.ts";

/** Bytes of all elements of a value. */
export const bytesOf = (node: Node): Dim => mul(product(node.shape), DTYPE_BYTES[node.dtype]);

/** The item that writes an element, where each item writes a row of the last axis. */
export const rowItem =
  ({ shape }: Node): NonNullable<EmittedStep["itemOf"]> =>
  (dims) => {
    const width = evaluate(shape[shape.length - 1], dims);
    return (element) => Math.floor(element / width);
  };

/** A read value while a claim is emitted. */
export type Source = OperandPlace;

/** Operands and weights of a claim, with a way to find each again when it is emitted. */
export interface Sources {
  /** Values that are no weights: the claim's `operands`. */
  readonly operands: readonly Operand[];
  /** The claim's `weights`. */
  readonly weights: readonly Node[];
  /** Where `nodes[index]` lies. */
  source(e: EmitContext, index: number): Source;
}

/**
 * Reads `nodes`, weights densely and values as `access` says: for all of them, or for each by position. `strided` values are
 * read in place.
 */
export function sourcesOf(
  context: ClaimContext,
  nodes: readonly Node[],
  access: Operand["access"] | readonly Operand["access"][] = "strided",
): Sources {
  const operands: Operand[] = [];
  const weights: Node[] = [];
  const positions = nodes.map((node, index) => {
    if (context.isWeight(node)) {
      weights.push(node);
      return -1;
    }
    return operands.push({ node, access: typeof access === "string" ? access : access[index] }) - 1;
  });
  return {
    operands,
    weights,
    source: (e, index) => {
      const node = nodes[index];
      if (positions[index] >= 0) return e.operand(positions[index]);
      return { place: e.weight(node), offset: 0, shape: node.shape, strides: denseStrides(node.shape) };
    },
  };
}

/** A pointer argument to the first element of a source. */
export function pointer(source: Source, node: Node): { place: Place; offset: Dim; mode: "read" } {
  return { place: source.place, offset: mul(source.offset, DTYPE_BYTES[node.dtype]), mode: "read" };
}

/** Product of the sizes of `shape` without its last `count` axes. */
export function leading(shape: Shape, count: number): Dim {
  return product(shape.slice(0, shape.length - count));
}

/** Step between the rows (last axis) of a view whose leading axes are one run, or nothing. The last axis must be contiguous. */
export function rowStride(shape: Shape, strides: readonly Dim[]): Dim | undefined {
  const last = shape.length - 1;
  if (last < 0) return 1;
  if (!dimEquals(shape[last], 1) && !dimEquals(strides[last], 1)) return undefined;
  let inner: { readonly size: Dim; readonly stride: Dim } | undefined;
  let step: Dim | undefined;
  for (let axis = last - 1; axis >= 0; axis--) {
    if (dimEquals(shape[axis], 1)) continue;
    if (inner !== undefined && !dimEquals(strides[axis], mul(inner.stride, inner.size))) return undefined;
    step ??= strides[axis];
    inner = {
      size: inner === undefined ? shape[axis] : mul(inner.size, shape[axis]),
      stride: inner?.stride ?? strides[axis],
    };
  }
  return step ?? shape[last];
}
