/** Rows by index, and patches of pictures. */

import { bytesOf, pointer, rowItem, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, EmitContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { type Dim, dimEquals, floorDiv, mul, product } from "../../../runtime/core/dim.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { gatherKernel } from "../emit/gather.ts";
import type { ElementBytes } from "../emit/loops.ts";
import { patchifyKernel } from "../emit/patchify.ts";
import { denseHalf, type StoredWeight, storedWeight } from "./stored.ts";

const size = (value: Dim): { readonly size: Dim } => ({ size: value });

/** Bytes of an element that is moved as it is; nothing for types that are not taken. */
function movedBytes({ dtype }: Node): ElementBytes | undefined {
  return dtype === "f32" ? 4 : dtype === "u8" ? 1 : undefined;
}

/** A weight with two bytes for each number, read where it is kept. */
function heldHalf(e: EmitContext, stored: StoredWeight): Source {
  const { shape } = stored.value;
  return { place: e.weight(stored.value, denseHalf(stored)), offset: 0, shape, strides: denseStrides(shape) };
}

/** gather: table [rows, width] at indices of any shape; take_row: x [batch, tokens, width] at [batch]. */
function claimGather(context: ClaimContext, node: Node): readonly Offer[] {
  const [x, indices] = node.inputs;
  const elementBytes = movedBytes(x);
  if (elementBytes === undefined || indices.dtype !== "i32") {
    const reason = `it reads f32 or u8 rows at i32 indices, found ${x.dtype} and ${indices.dtype}.`;
    return [{ kernel: "gather", node, reason }];
  }
  const rank = x.shape.length;
  const stored = storedWeight(context, x);
  const view = context.isWeight(x) ? undefined : context.view(x);
  const inPlace = view === undefined || dimEquals(view.strides[rank - 1], 1);
  const sources = sourcesOf(context, node.inputs, [inPlace ? "strided" : "dense", "dense"]);
  const claim: Claim = {
    kernel: "gather",
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights.map((n) => (n === x && stored !== undefined ? stored.value : n)),
    cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: 1 },
    emit: (e) => {
      const rows = stored === undefined ? sources.source(e, 0) : heldHalf(e, stored);
      const at = sources.source(e, 1);
      const entry = node.op === "take_row" ? rows.strides[0] : 0;
      e.step({
        name: node.op,
        code: gatherKernel(stored?.dtype ?? elementBytes).bytes,
        args: [
          { place: e.output, offset: 0, mode: "write" },
          pointer(rows, x),
          pointer(at, indices),
          size(x.shape[rank - 2]),
          size(x.shape[rank - 1]),
          size(entry),
          size(rows.strides[rank - 2]),
        ],
        grid: product(indices.shape),
        flops: 0,
      });
    },
  };
  return [claim];
}

function claimPatchify(context: ClaimContext, node: Node): readonly Offer[] {
  const [x] = node.inputs;
  const elementBytes = movedBytes(x);
  if (elementBytes === undefined)
    return [{ kernel: "patchify", node, reason: `it moves f32 or u8 pixels, found ${x.dtype}.` }];
  const view = context.isWeight(x) ? undefined : context.view(x);
  const inPlace = view === undefined || dimEquals(view.strides[3], 1);
  const sources = sourcesOf(context, [x], inPlace ? "strided" : "dense");
  const [patchHeight, patchWidth] = [node.attributes.patch_height as number, node.attributes.patch_width as number];
  const claim: Claim = {
    kernel: "patchify",
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: 1 },
    emit: (e) => {
      const pixels = sources.source(e, 0);
      const [batch, channels, height, width] = pixels.shape;
      const [down, across] = [floorDiv(height, patchHeight), floorDiv(width, patchWidth)];
      e.step({
        name: "patchify",
        code: patchifyKernel({ patchHeight, patchWidth, elementBytes }).bytes,
        args: [
          { place: e.output, offset: 0, mode: "write" },
          pointer(pixels, x),
          size(channels),
          size(down),
          size(across),
          ...pixels.strides.slice(0, 3).map(size),
        ],
        grid: mul(batch, down, across),
        flops: 0,
        itemOf: rowItem(node),
      });
    },
  };
  return [claim];
}

/** Two kernels, each by the name that its claims have. */
export const LOOKUP_KERNELS: readonly KernelSpec[] = [
  {
    name: "gather",
    device: "wasm",
    reads: [],
    claim: (context, node) => (node.op === "gather" || node.op === "take_row" ? claimGather(context, node) : []),
  },
  {
    name: "patchify",
    device: "wasm",
    reads: [],
    claim: (context, node) => (node.op === "patchify" ? claimPatchify(context, node) : []),
  },
];
