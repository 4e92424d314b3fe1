/** Fixed-point resampling of bytes along one axis. */
import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { KernelSpec } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, mul, product } from "../../../runtime/core/dim.ts";
import { moveGrid } from "../emit/move.ts";
import { resampleKernel } from "../emit/resample.ts";
import { kindOf } from "./kinds.ts";

const NAME = "resample";

export const RESAMPLE_KERNEL: KernelSpec = {
  name: NAME,
  device: "webgpu",
  reads: [],
  claim: (context, node) => {
    const along = node.op === "resample_columns" ? "columns" : "rows";
    if (node.op !== `resample_${along}`) return [];
    const [x, starts, weights] = node.inputs;
    const sources = sourcesOf(context, node.inputs, "dense");
    const [count, taps] = [product(node.shape), weights.shape[1]];
    const flops = mul(2, taps, count);
    const sizes: readonly Dim[] = [count, starts.shape[0], x.shape[along === "columns" ? 1 : 0], taps, x.shape[1]];
    return [
      {
        kernel: NAME,
        covers: [node],
        output: node,
        operands: sources.operands,
        weights: sources.weights,
        cost: { flops, bytes: add(bytesOf(node), ...node.inputs.map(bytesOf)), launches: 1 },
        emit: (e) =>
          e.step({
            name: node.op,
            code: resampleKernel({
              along,
              narrow: node.attributes.narrow === true,
              kinds: node.inputs.map((n) => kindOf(context, n)),
            }),
            args: [
              { place: e.output, offset: 0, mode: "write" },
              ...node.inputs.map((n, i) => pointer(sources.source(e, i), n)),
              ...sizes.map((size) => ({ size })),
            ],
            grid: moveGrid(count, 1),
            flops,
          }),
      },
    ];
  },
};
