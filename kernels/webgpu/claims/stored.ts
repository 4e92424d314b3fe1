/** Numbers rounded to a type of two bytes. */
import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { KernelSpec } from "../../../runtime/abi/kernel.ts";
import { mul, product } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { storedGrid, storedKernel } from "../emit/stored.ts";
import { kindOf } from "./kinds.ts";

const NAME = "stored_as";

export const STORED_KERNEL: KernelSpec = {
  name: NAME,
  device: "webgpu",
  reads: [],
  claim: (context, node) => {
    if (node.op !== NAME) return [];
    const [x] = node.inputs;
    const sources = sourcesOf(context, [x], "dense");
    const count = product(node.shape);
    return [
      {
        kernel: NAME,
        covers: [node],
        output: node,
        operands: sources.operands,
        weights: sources.weights,
        cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: 1 },
        emit: (e) =>
          e.step({
            name: NAME,
            code: storedKernel(node.attributes.dtype as HalfDType, kindOf(context, x)),
            args: [{ place: e.output, offset: 0, mode: "write" }, pointer(sources.source(e, 0), x), { size: count }],
            grid: storedGrid(count),
            flops: 0,
          }),
      },
    ];
  },
};
