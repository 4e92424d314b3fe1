/** Values moved without arithmetic: dense copies of views, concatenation, weights that are results. */

import { type CollapsedAxes, collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import { bytesOf, pointer, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, EmitContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, dimEquals, mul } from "../../../runtime/core/dim.ts";
import { DTYPE_BYTES } from "../../../runtime/core/dtype.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import type { KernelModule } from "../asm/module.ts";
import { byteCopyGrid, byteCopyKernel, byteCopyWords, byteLines } from "../emit/byte_copy.ts";
import { copyOptions, elementwiseGrid, elementwiseKernel, elementwiseWords } from "../emit/elementwise.ts";
import {
  transposedCopy,
  transposedCopyGrid,
  transposedCopyKernel,
  transposedCopyWords,
} from "../emit/transposed_copy.ts";

/** Types whose values are moved as they are, words or bytes. */
const MOVED_TYPES: readonly string[] = ["f32", "i32", "u8"];

/** A run whose output elements lie apart becomes rows of one element. */
function withContiguousOutput(axes: CollapsedAxes): CollapsedAxes {
  if (dimEquals(axes.strides[0].inner, 1)) return axes;
  return {
    outer: [...axes.outer, axes.inner],
    inner: 1,
    strides: axes.strides.map((s) => ({ outer: [...s.outer, s.inner], inner: 1 })),
  };
}

interface Moved {
  readonly node: Node;
  readonly source: Source;
  /** Elements from the start of the output. */
  readonly offset: Dim;
}

/** A kernel with its integer arguments. */
interface CopyLaunch {
  readonly code: KernelModule;
  readonly words: readonly Dim[];
  readonly grid: Dim;
}

function wordCopy(axes: CollapsedAxes): CopyLaunch {
  const transposed = transposedCopy(axes);
  return transposed === undefined
    ? { code: elementwiseKernel(copyOptions(axes)), words: elementwiseWords(axes), grid: elementwiseGrid(axes) }
    : {
        code: transposedCopyKernel(transposed.outer.length),
        words: transposedCopyWords(transposed),
        grid: transposedCopyGrid(transposed),
      };
}

function byteCopy(axes: CollapsedAxes): CopyLaunch {
  const lines = byteLines(axes);
  return { code: byteCopyKernel(lines.options), words: byteCopyWords(lines), grid: byteCopyGrid(lines) };
}

/** One launch that writes an input to its place in an output with the given strides. */
function emitCopy(e: EmitContext, name: string, { node, source, offset }: Moved, outputStrides: readonly Dim[]): void {
  const axes = withContiguousOutput(collapseAxes(node.shape, [outputStrides, source.strides]));
  const { code, words, grid } = node.dtype === "u8" ? byteCopy(axes) : wordCopy(axes);
  e.step({
    name,
    code: code.bytes,
    args: [
      { place: e.output, offset: mul(offset, DTYPE_BYTES[node.dtype]), mode: "write" },
      pointer(source, node),
      ...words.map((size) => ({ size })),
    ],
    grid,
    flops: 0,
  });
}

/** Copies `inputs` one behind the other along an axis of the output. */
function claimCopies(
  context: ClaimContext,
  node: Node,
  name: string,
  inputs: readonly Node[],
  axis: number,
): readonly Offer[] {
  if (!MOVED_TYPES.includes(node.dtype)) {
    return [{ kernel: "copy", node, reason: `it moves ${MOVED_TYPES.join(", ")}, not ${node.dtype}.` }];
  }
  const sources = sourcesOf(context, inputs);
  const strides = denseStrides(node.shape);
  const claim: Claim = {
    kernel: "copy",
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: inputs.length },
    emit: (e) => {
      let at: Dim = 0;
      for (const [i, input] of inputs.entries()) {
        emitCopy(e, name, { node: input, source: sources.source(e, i), offset: at }, strides);
        at = add(at, mul(input.shape[axis] ?? 1, strides[axis] ?? 1));
      }
    },
  };
  return [claim];
}

export const COPY_KERNEL: KernelSpec = {
  name: "copy",
  device: "wasm",
  reads: [],
  claim: (context, node) => {
    if (node.op === "contiguous") return claimCopies(context, node, "copy", node.inputs, 0);
    if (node.op === "concat") return claimCopies(context, node, "concat", node.inputs, node.attributes.axis as number);
    return node.op === "weight" && context.isOutput(node) ? claimCopies(context, node, "copy", [node], 0) : [];
  },
};
