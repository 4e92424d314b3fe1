/** Rotary positions on values that are read in place. */
import { bytesOf, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { KernelSpec } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, dimEquals, mul, product } from "../../../runtime/core/dim.ts";
import { ROTARY_WORDS, rotaryGrid, rotaryKernel } from "../emit/rotary.ts";
import { beforeNarrow, kindOf, outOf, pointerTo } from "./kinds.ts";

const NAME = "rotary";

export const ROTARY_KERNEL: KernelSpec = {
  name: NAME,
  device: "webgpu",
  reads: [],
  readsHalves: true,
  claim: (context, output) => {
    const node = beforeNarrow(output);
    if (node.op !== NAME) return [];
    const [x, cos] = node.inputs;
    const odd = node.inputs.find((n) => n.dtype !== "f32");
    if (odd !== undefined)
      return [{ kernel: NAME, node, reason: `it computes in f32, and an operand is ${odd.dtype}.` }];
    const inPlace = context.isWeight(x) || dimEquals(context.view(x).strides[3], 1);
    const access = [inPlace ? "strided" : "dense", "dense", "dense"] as const;
    const sources = sourcesOf(context, node.inputs, access);
    const kinds = node.inputs.map((n, i) => kindOf(context, n, access[i]));
    const pairs = cos.shape[cos.shape.length - 1] as number;
    const turn = { headDim: x.shape[3] as number, pairs };
    const count = product(node.shape);
    const flops = mul(3, count);
    return [
      {
        kernel: NAME,
        covers: output === node ? [node] : [node, output],
        output,
        operands: sources.operands,
        weights: sources.weights,
        cost: { flops, bytes: add(bytesOf(output), ...node.inputs.map(bytesOf)), launches: 1 },
        emit: (e) => {
          const found = node.inputs.map((_, i) => sources.source(e, i));
          const [batch, token, head] = found[0].strides;
          const sizes: Record<(typeof ROTARY_WORDS)[number], Dim> = {
            elements: count,
            tokens: x.shape[1],
            heads: x.shape[2],
            x_batch: batch,
            x_token: token,
            x_head: head,
            table_batch: cos.shape.length === 3 ? mul(cos.shape[1], pairs) : 0,
          };
          e.step({
            name: NAME,
            code: rotaryKernel({
              ...turn,
              interleaved: node.attributes.interleaved === true,
              kinds,
              out: outOf(output),
            }),
            args: [
              { place: e.output, offset: 0, mode: "write" },
              ...found.map((s, i) => pointerTo(s, node.inputs[i], kinds[i])),
              ...ROTARY_WORDS.map((name) => ({ size: sizes[name] })),
            ],
            grid: rotaryGrid(count, turn),
            flops,
          });
        },
      },
    ];
  },
};
