/** Ops over the last axis: norms, softmax, reductions. */

import { bytesOf, leading, pointer, rowItem, rowStride, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, mul, product } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import type { KernelModule } from "../asm/module.ts";
import { l2NormalizeKernel, layerNormKernel, rmsNormKernel } from "../emit/normalize.ts";
import { reduceKernel } from "../emit/reduce.ts";
import { softmaxKernel } from "../emit/softmax.ts";

interface RowOp {
  readonly kernel: (node: Node, madd: boolean) => KernelModule;
  /** f32 operations per element, for the roofline. */
  readonly flops: number;
}

const reduction = (name: "sum" | "mean" | "max"): RowOp => ({
  kernel: (_, madd) => reduceKernel({ reduction: name, expr: { input: 0 }, madd }),
  flops: 1,
});

const ROW_OPS: Readonly<Record<string, RowOp>> = {
  layer_norm: { kernel: (n, madd) => layerNormKernel({ eps: n.attributes.eps as number, madd }), flops: 8 },
  rms_norm: { kernel: (n) => rmsNormKernel(n.attributes.eps as number), flops: 4 },
  l2_normalize: { kernel: () => l2NormalizeKernel(), flops: 3 },
  softmax: { kernel: (_, madd) => softmaxKernel(madd), flops: 30 },
  reduce_sum: reduction("sum"),
  reduce_mean: reduction("mean"),
  reduce_max: reduction("max"),
};

function claim(context: ClaimContext, node: Node): readonly Offer[] {
  const op = Object.hasOwn(ROW_OPS, node.op) ? ROW_OPS[node.op] : undefined;
  if (op === undefined) return [];
  const odd = node.inputs.find((n) => n.dtype !== "f32");
  if (odd !== undefined)
    return [{ kernel: "rows", node, reason: `it computes in f32 and an operand is ${odd.dtype}.` }];
  const [x] = node.inputs;
  const view = context.isWeight(x) ? undefined : context.view(x);
  const inPlace = view === undefined || rowStride(view.shape, view.strides) !== undefined;
  // Scales and biases are read one after another, whatever they come from.
  const sources = sourcesOf(context, node.inputs, [inPlace ? "strided" : "dense", "dense", "dense"]);
  const flops = mul(op.flops, product(x.shape));
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
        e.step({
          name: node.op,
          code: op.kernel(node, context.capabilities.relaxedMadd === true).bytes,
          args: [
            { place: e.output, offset: 0, mode: "write" },
            ...found.map((s, i) => pointer(s, node.inputs[i])),
            { size: shape[shape.length - 1] },
            { size: rowStride(shape, strides) ?? shape[shape.length - 1] },
          ],
          grid: leading(shape, 1),
          flops,
          itemOf: rowItem(node),
        });
      },
    },
  ];
}

export const ROWS_KERNEL: KernelSpec = { name: "rows", device: "wasm", reads: ["relaxedMadd"], claim };
