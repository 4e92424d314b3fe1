/** Rows by index, and patches of pictures. */
import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { type Dim, dimEquals, floorDiv, mul, product } from "../../../runtime/core/dim.ts";
import { DTYPE_BYTES } from "../../../runtime/core/dtype.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { lookupKernel, patchifyKernel } from "../emit/lookup.ts";
import { type MovedBytes, moveGrid } from "../emit/move.ts";
import { kindOf } from "./kinds.ts";

/** Bytes of an element that is moved as it is; nothing for types that are not taken. */
export function movedBytes({ dtype }: Node): MovedBytes | undefined {
  const bytes = DTYPE_BYTES[dtype];
  return bytes === 1 || bytes === 4 ? bytes : undefined;
}

const lastInPlace = (context: ClaimContext, node: Node): boolean =>
  context.isWeight(node) || dimEquals(context.view(node).strides[node.shape.length - 1], 1);

/** gather: table [rows, width] at indices of any shape; take_row: x [batch, tokens, width] at [batch]. */
function claimRows(context: ClaimContext, node: Node): readonly Offer[] {
  const [rows, indices] = node.inputs;
  const bytes = movedBytes(rows);
  if (bytes === undefined || indices.dtype !== "i32") {
    const reason = `it reads rows of words or bytes at i32 indices, found ${rows.dtype} and ${indices.dtype}.`;
    return [{ kernel: "lookup", node, reason }];
  }
  const sources = sourcesOf(context, node.inputs, [lastInPlace(context, rows) ? "strided" : "dense", "dense"]);
  const count = product(node.shape);
  return [
    {
      kernel: "lookup",
      covers: [node],
      output: node,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: 1 },
      emit: (e) => {
        const [table, at] = node.inputs.map((_, i) => sources.source(e, i));
        const [entry, row] = table.strides.length === 3 ? table.strides : [0, table.strides[0]];
        const sizes: readonly Dim[] = [count, rows.shape[rows.shape.length - 1], entry, row];
        e.step({
          name: node.op,
          code: lookupKernel(bytes, kindOf(context, rows), kindOf(context, indices)),
          args: [
            { place: e.output, offset: 0, mode: "write" },
            pointer(table, rows),
            pointer(at, indices),
            ...sizes.map((size) => ({ size })),
          ],
          grid: moveGrid(count, bytes),
          flops: 0,
        });
      },
    },
  ];
}

function claimPatchify(context: ClaimContext, node: Node): readonly Offer[] {
  const [x] = node.inputs;
  const bytes = movedBytes(x);
  if (bytes === undefined)
    return [{ kernel: "lookup", node, reason: `it moves pixels of words or bytes, found ${x.dtype}.` }];
  const sources = sourcesOf(context, [x], lastInPlace(context, x) ? "strided" : "dense");
  const [patchHeight, patchWidth] = [node.attributes.patch_height as number, node.attributes.patch_width as number];
  const count = product(node.shape);
  return [
    {
      kernel: "lookup",
      covers: [node],
      output: node,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: 1 },
      emit: (e) => {
        const pixels = sources.source(e, 0);
        const [, channels, height, width] = pixels.shape;
        const sizes = [count, channels, floorDiv(height, patchHeight), floorDiv(width, patchWidth)];
        e.step({
          name: node.op,
          code: patchifyKernel({ patchHeight, patchWidth, bytes, pixels: kindOf(context, x) }),
          args: [
            { place: e.output, offset: 0, mode: "write" },
            pointer(pixels, x),
            ...[...sizes, ...pixels.strides.slice(0, 3)].map((size) => ({ size })),
          ],
          grid: moveGrid(count, bytes),
          flops: 0,
        });
      },
    },
  ];
}

export const LOOKUP_KERNEL: KernelSpec = {
  name: "lookup",
  device: "webgpu",
  reads: [],
  claim: (context, node) => {
    if (node.op === "gather" || node.op === "take_row") return claimRows(context, node);
    return node.op === "patchify" ? claimPatchify(context, node) : [];
  },
};
