/** How a kernel is told what its operands are: weights or values, f32 or f16. */
import type { Source } from "../../../runtime/abi/claims/operands.ts";
import type { Access, ClaimContext, EmitContext, PackedLayout, Place, View } from "../../../runtime/abi/kernel.ts";
import { type Dim, dimEquals, evaluate, mul, product } from "../../../runtime/core/dim.ts";
import { DTYPE_BYTES } from "../../../runtime/core/dtype.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import type { Memory } from "../emit/kernel.ts";
import { packedHalfKernel, storedGrid } from "../emit/stored.ts";

/** Storage buffers that a kernel may have on every adapter: one arena, and weights. */
const MOST_BUFFERS = 8;

/** Whether a kernel that reads these has more buffers than every adapter grants. */
export const tooManyBuffers = (context: ClaimContext, read: readonly Node[]): boolean =>
  1 + read.filter((node) => context.isWeight(node)).length > MOST_BUFFERS;

/** Whether a view's elements lie one behind the other. */
export function isDense({ shape, strides }: View): boolean {
  const dense = denseStrides(shape);
  return strides.every((s, i) => dimEquals(shape[i], 1) || dimEquals(s, dense[i]));
}

/** What is wanted dense and lies otherwise is copied, as f32. */
const isCopied = (context: ClaimContext, node: Node, access: Access): boolean =>
  access === "dense" && !isDense(context.view(node));

/** Whether a value is read where it lies as f16. */
export const isHalfValue = (context: ClaimContext, node: Node, access: Access = "strided"): boolean =>
  !context.isWeight(node) && context.view(node).base.dtype === "f16" && !isCopied(context, node, access);

/** Weights lie in buffers of their own, other values in the arena. */
export function kindOf(context: ClaimContext, node: Node, access: Access = "strided"): Memory {
  if (context.isWeight(node)) return "weight";
  return isHalfValue(context, node, access) ? "read16" : "read";
}

/** A pointer argument to the first element of a source. */
export function pointerTo(
  { place, offset }: Source,
  node: Node,
  kind: Memory,
): { readonly place: Place; readonly offset: Dim; readonly mode: "read" } {
  return { place, offset: mul(offset, kind.endsWith("16") ? 2 : DTYPE_BYTES[node.dtype]), mode: "read" };
}

/** How a claim writes its result. */
export const outOf = ({ dtype }: Node): "write" | "write16" => (dtype === "f16" ? "write16" : "write");

/** What a claim computes where its result is rounded to f16 as it is written; else the node itself. */
export const beforeNarrow = (node: Node): Node => (node.op === "narrow" ? node.inputs[0] : node);

/** Whether a weight is kept as f16: read through `stored_as`. */
export const isHalfWeight = (context: ClaimContext, node: Node): boolean =>
  node.op === "stored_as" && node.attributes.dtype === "f16" && context.isWeight(node);

/** A weight that is read through `stored_as`, two bytes a number. */
export function halfWeight(e: EmitContext, { inputs: [value] }: Node): Place {
  const count = evaluate(product(value.shape), {});
  const layout: PackedLayout = {
    name: "dense f16",
    bytes: 4 * Math.ceil(count / 2),
    dtype: "f16",
    dense: true,
    pack: (source, destination) => ({
      name: "stored_as",
      code: packedHalfKernel(),
      args: [
        { place: destination, offset: 0, mode: "write" },
        { place: source, offset: 0, mode: "read" },
        { size: count },
      ],
      grid: storedGrid(Math.ceil(count / 2)),
      flops: 0,
    }),
  };
  return e.weight(value, layout);
}
