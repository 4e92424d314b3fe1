/** Ops over the last axis: norms, softmax, reductions. */
import { bytesOf, leading, pointer, rowStride, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, mul, product } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { isRowOp, rowFlops, rowKernel } from "../emit/rows.ts";
import { kindOf } from "./kinds.ts";

function claim(context: ClaimContext, node: Node): readonly Offer[] {
  if (!isRowOp(node.op)) return [];
  const odd = node.inputs.find((n) => n.dtype !== "f32");
  if (odd !== undefined)
    return [{ kernel: "rows", node, reason: `it computes in f32 and an operand is ${odd.dtype}.` }];
  const [x] = node.inputs;
  const view = context.isWeight(x) ? undefined : context.view(x);
  const inPlace = view === undefined || rowStride(view.shape, view.strides) !== undefined;
  const sources = sourcesOf(context, node.inputs, [inPlace ? "strided" : "dense", "dense", "dense"]);
  const flops = mul(rowFlops(node.op), product(x.shape));
  return [
    {
      kernel: "rows",
      covers: [node],
      output: node,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops, bytes: add(bytesOf(node), ...node.inputs.map(bytesOf)), launches: 1 },
      emit: (e) => {
        const found = node.inputs.map((_, i) => sources.source(e, i));
        const [{ shape, strides }] = found;
        const width = shape[shape.length - 1];
        e.step({
          name: node.op,
          code: rowKernel(
            node,
            node.inputs.map((n) => kindOf(context, n)),
          ),
          args: [
            { place: e.output, offset: 0, mode: "write" },
            ...found.map((s, i) => pointer(s, node.inputs[i])),
            ...[width, rowStride(shape, strides) ?? width, node.op.startsWith("reduce_") ? 1 : width].map((size) => ({
              size,
            })),
          ],
          grid: leading(shape, 1),
          flops,
        });
      },
    },
  ];
}

export const ROWS_KERNEL: KernelSpec = { name: "rows", device: "webgpu", reads: [], claim };
