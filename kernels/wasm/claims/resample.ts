/** Fixed-point resampling of bytes along one axis. */

import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, ceilDiv, type Dim, evaluate, mul, product } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { PIXEL_ROWS, resampleColumnsKernel } from "../emit/resample_columns.ts";
import { resampleRowsKernel } from "../emit/resample_rows.ts";

const NAME = "resample";

function claim(context: ClaimContext, node: Node): readonly Offer[] {
  const alongRows = node.op === "resample_columns";
  if (!alongRows && node.op !== "resample_rows") return [];
  const [x, , weights] = node.inputs;
  const options = { narrow: node.attributes.narrow === true };
  const taps = weights.shape[1];
  const sizes: readonly Dim[] = alongRows ? [x.shape[0], x.shape[1], node.shape[2], taps] : [...x.shape, taps];
  const sources = sourcesOf(context, node.inputs, "dense");
  const flops = mul(2, taps, product(node.shape));
  const offer: Claim = {
    kernel: NAME,
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops, bytes: add(bytesOf(node), ...node.inputs.map(bytesOf)), launches: 1 },
    emit: (e) =>
      e.step({
        name: node.op,
        code: (alongRows ? resampleColumnsKernel(options) : resampleRowsKernel(options)).bytes,
        args: [
          { place: e.output, offset: 0, mode: "write" },
          ...node.inputs.map((n, i) => pointer(sources.source(e, i), n)),
          ...sizes.map((size) => ({ size })),
        ],
        grid: alongRows ? ceilDiv(x.shape[0], PIXEL_ROWS) : node.shape[0],
        flops,
        itemOf: (dims) => {
          const each = alongRows ? 3 * evaluate(node.shape[2], dims) * PIXEL_ROWS : evaluate(node.shape[1], dims);
          return (element) => Math.floor(element / each);
        },
      }),
  };
  return [offer];
}

export const RESAMPLE_KERNEL: KernelSpec = { name: NAME, device: "wasm", reads: [], claim };
