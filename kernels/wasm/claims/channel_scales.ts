/** Scales of the columns of weights, computed once at load. */

import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, KernelSpec } from "../../../runtime/abi/kernel.ts";
import { add, product } from "../../../runtime/core/dim.ts";
import { channelScalesGrid, channelScalesKernel } from "../emit/channel_scales.ts";

const NAME = "channel_scales";

export const CHANNEL_SCALES_KERNEL: KernelSpec = {
  name: NAME,
  device: "wasm",
  reads: [],
  claim: (context, node) => {
    if (node.op !== NAME) return [];
    const sources = sourcesOf(context, node.inputs, "dense");
    const [n, k] = node.inputs[0].shape;
    const flops = product(node.inputs[0].shape);
    const claim: Claim = {
      kernel: NAME,
      covers: [node],
      output: node,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops, bytes: add(...node.inputs.map(bytesOf)), launches: 1 },
      emit: (e) =>
        e.step({
          name: NAME,
          code: channelScalesKernel().bytes,
          args: [
            { place: e.output, offset: 0, mode: "write" },
            ...node.inputs.map((x, i) => pointer(sources.source(e, i), x)),
            { size: n },
            { size: k },
          ],
          grid: channelScalesGrid(k),
          flops,
        }),
    };
    return [claim];
  },
};
