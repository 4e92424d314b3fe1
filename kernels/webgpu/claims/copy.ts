/** Values moved without arithmetic: dense copies of views, concatenation, weights that are results. */
import { collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import { bytesOf, pointer, type Sources, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { ClaimContext, EmitContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, mul, product } from "../../../runtime/core/dim.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { byteCopyKernel, byteInsertKernel } from "../emit/byte_copy.ts";
import { moveGrid } from "../emit/move.ts";
import { emitPass } from "./elementwise.ts";
import { kindOf } from "./kinds.ts";
import { movedBytes } from "./lookup.ts";

function emitBytes(
  e: EmitContext,
  node: Node,
  code: Uint8Array,
  from: ReturnType<typeof pointer>,
  sizes: readonly Dim[],
): void {
  const count = product(node.shape);
  e.step({
    name: "copy",
    code,
    args: [{ place: e.output, offset: 0, mode: "write" }, from, ...[count, ...sizes].map((size) => ({ size }))],
    grid: moveGrid(count, 1),
    flops: 0,
  });
}

/** Bytes share words with their neighbours: one launch writes whole words of the output, through strides or between others. */
function emitByteCopies(
  e: EmitContext,
  context: ClaimContext,
  node: Node,
  inputs: readonly Node[],
  axis: number,
  sources: Sources,
): void {
  if (inputs.length === 1) {
    const source = sources.source(e, 0);
    const { inner, outer, strides } = collapseAxes(node.shape, [denseStrides(node.shape), source.strides]);
    const code = byteCopyKernel(outer.length, kindOf(context, inputs[0]));
    const sizes = [inner, strides[1].inner, ...outer.flatMap((size, i) => [size, strides[1].outer[i]])];
    emitBytes(e, node, code, pointer(source, inputs[0]), sizes);
    return;
  }
  let start: Dim = 0;
  for (const [i, input] of inputs.entries()) {
    const size = input.shape[axis];
    const sizes = [node.shape[axis], size, product(node.shape.slice(axis + 1)), start];
    emitBytes(e, node, byteInsertKernel(kindOf(context, input)), pointer(sources.source(e, i), input), sizes);
    start = add(start, size);
  }
}

/** Copies `inputs` one behind the other along an axis of the output. */
function claimCopies(context: ClaimContext, node: Node, inputs: readonly Node[], axis: number): readonly Offer[] {
  const bytes = movedBytes(node);
  if (bytes === undefined) return [{ kernel: "copy", node, reason: `it moves words and bytes, not ${node.dtype}.` }];
  const sources = sourcesOf(context, inputs, bytes === 1 && inputs.length > 1 ? "dense" : "strided");
  const strides = denseStrides(node.shape);
  return [
    {
      kernel: "copy",
      covers: [node],
      output: node,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: inputs.length },
      emit: (e) => {
        if (bytes === 1) {
          emitByteCopies(e, context, node, inputs, axis, sources);
          return;
        }
        let at: Dim = 0;
        for (const [i, input] of inputs.entries()) {
          const read = [{ node: input, source: sources.source(e, i) }];
          emitPass(e, "copy", context, undefined, read, { shape: input.shape, strides, offset: at });
          at = add(at, mul(input.shape[axis] ?? 1, strides[axis] ?? 1));
        }
      },
    },
  ];
}

export const COPY_KERNEL: KernelSpec = {
  name: "copy",
  device: "webgpu",
  reads: [],
  readsHalves: true,
  claim: (context, node) => {
    if (node.op === "contiguous") return claimCopies(context, node, node.inputs, 0);
    if (node.op === "concat") return claimCopies(context, node, node.inputs, node.attributes.axis as number);
    return node.op === "weight" && context.isOutput(node) ? claimCopies(context, node, [node], 0) : [];
  },
};
