/** Chains of elementwise ops as one pass. */

import { collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import { isScalarOp } from "../../../runtime/abi/claims/expr.ts";
import { type Grown, grow } from "../../../runtime/abi/claims/grow.ts";
import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, divisorOf, mul, product } from "../../../runtime/core/dim.ts";
import { broadcastStrides, denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import {
  elementwiseGrid,
  elementwiseKernel,
  elementwiseOptions,
  elementwiseWords,
  type OperandType,
} from "../emit/elementwise.ts";
import { exprFlops } from "../emit/expr.ts";

const size = (value: Dim): { readonly size: Dim } => ({ size: value });

function claimChain(context: ClaimContext, root: Node, grown: Grown): Claim {
  const { expr, leaves, covers } = grown;
  const sources = sourcesOf(context, leaves);
  return {
    kernel: "elementwise",
    covers,
    output: root,
    operands: sources.operands,
    weights: sources.weights,
    cost: {
      flops: mul(exprFlops(expr), product(root.shape)),
      bytes: add(bytesOf(root), ...leaves.map(bytesOf)),
      launches: 1,
    },
    emit: (e) => {
      const found = leaves.map((_, i) => sources.source(e, i));
      const strides = found.map((s) => broadcastStrides(s.shape, s.strides, root.shape));
      const axes = collapseAxes(root.shape, [denseStrides(root.shape), ...strides]);
      const dtypes = leaves.map((l) => l.dtype as OperandType);
      const madd = context.capabilities.relaxedMadd === true;
      const inFours = divisorOf(axes.inner, e.box) % 4 === 0;
      e.step({
        name: covers.map((n) => n.op).join("_"),
        code: elementwiseKernel({ ...elementwiseOptions(expr, dtypes, axes, madd), inFours }).bytes,
        args: [
          { place: e.output, offset: 0, mode: "write" },
          ...found.map((s, i) => pointer(s, leaves[i])),
          ...elementwiseWords(axes).map(size),
        ],
        grid: elementwiseGrid(axes),
        flops: mul(exprFlops(expr), product(root.shape)),
      });
    },
  };
}

const READABLE: readonly string[] = ["f32", "i32", "u8"];

export const ELEMENTWISE_KERNEL: KernelSpec = {
  name: "elementwise",
  device: "wasm",
  reads: ["relaxedMadd"],
  claim: (context, node): readonly Offer[] => {
    // A constant becomes a value of its own only where it is a result.
    const isResult = node.op === "constant" && context.isOutput(node);
    if (isResult)
      return [
        claimChain(context, node, { expr: { constant: node.attributes.value as number }, leaves: [], covers: [node] }),
      ];
    if (!isScalarOp(node.op)) return [];
    const alone = grow(context, node, { fuse: false });
    const odd = [node, ...alone.leaves].find((n) => !READABLE.includes(n.dtype));
    if (odd !== undefined || node.dtype !== "f32") {
      return [
        { kernel: "elementwise", node, reason: `it computes f32 from f32, i32 and u8, not ${(odd ?? node).dtype}.` },
      ];
    }
    const fused = grow(context, node, { fuse: true });
    const single = claimChain(context, node, alone);
    return fused.covers.length === 1 ? [single] : [claimChain(context, node, fused), single];
  },
};
