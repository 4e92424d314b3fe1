/** Rotary positions on values that are read in place. */

import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, KernelSpec, Offer, Place } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, dimEquals, mul, product } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { ROTARY_ARGUMENTS, rotaryKernel } from "../emit/rotary.ts";

const NAME = "rotary";

function claim(context: ClaimContext, node: Node): readonly Offer[] {
  if (node.op !== "rotary") return [];
  const [x, cos, sin] = node.inputs;
  const odd = node.inputs.find((n) => n.dtype !== "f32");
  if (odd !== undefined) return [{ kernel: NAME, node, reason: `it computes in f32, and an operand is ${odd.dtype}.` }];
  const inPlace = context.isWeight(x) || dimEquals(context.view(x).strides[3], 1);
  const sources = sourcesOf(context, node.inputs, [inPlace ? "strided" : "dense", "dense", "dense"]);
  const pairs = cos.shape[cos.shape.length - 1] as number;
  const headDim = x.shape[3] as number;
  const flops = mul(6 * pairs, product(x.shape.slice(0, 3)));
  const offer: Claim = {
    kernel: NAME,
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops, bytes: add(bytesOf(node), ...node.inputs.map(bytesOf)), launches: 1 },
    emit: (e) => {
      const found = node.inputs.map((_, i) => sources.source(e, i));
      const [batchStride, tokenStride, headStride] = found[0].strides;
      const pointers: Record<string, { readonly place: Place; readonly offset: Dim; readonly mode: "read" | "write" }> =
        {
          output: { place: e.output, offset: 0, mode: "write" },
          x: pointer(found[0], x),
          cos: pointer(found[1], cos),
          sin: pointer(found[2], sin),
        };
      const sizes: Record<string, Dim> = {
        tokens: x.shape[1],
        heads: x.shape[2],
        x_batch_stride: batchStride,
        x_token_stride: tokenStride,
        x_head_stride: headStride,
        table_batch_stride: cos.shape.length === 3 ? mul(cos.shape[1], pairs) : 0,
      };
      e.step({
        name: NAME,
        code: rotaryKernel({ headDim, pairs, interleaved: node.attributes.interleaved === true }).bytes,
        args: ROTARY_ARGUMENTS.map((name) => pointers[name] ?? { size: sizes[name] }),
        grid: mul(x.shape[0], x.shape[1]),
        flops,
      });
    },
  };
  return [offer];
}

export const ROTARY_KERNEL: KernelSpec = { name: NAME, device: "wasm", reads: [], claim };
