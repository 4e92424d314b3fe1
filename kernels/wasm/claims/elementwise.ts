/** Chains of elementwise ops as one pass; copies of views; concatenation. */
import type { Claim, ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, dimEquals, mul, product, type Shape } from "../../../runtime/core/dim.ts";
import { broadcastStrides, denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { type CollapsedAxes, collapseAxes } from "../emit/axes.ts";
import {
  copyOptions,
  elementwiseGrid,
  elementwiseKernel,
  elementwiseOptions,
  elementwiseWords,
  type OperandType,
} from "../emit/elementwise.ts";
import { exprFlops, exprKey } from "../emit/expr.ts";
import { type Grown, grow } from "./grow.ts";
import { bytesOf, pointer, sourcesOf } from "./operands.ts";

const size = (value: Dim): { readonly size: Dim } => ({ size: value });

function claimChain(context: ClaimContext, root: Node, grown: Grown): Claim {
  const { expr, leaves, covers } = grown;
  const sources = sourcesOf(context, leaves);
  return {
    kernel: "elementwise",
    covers,
    output: root,
    operands: sources.operands,
    weights: sources.weights,
    cost: {
      flops: mul(exprFlops(expr), product(root.shape)),
      bytes: add(bytesOf(root), ...leaves.map(bytesOf)),
      launches: 1,
    },
    emit: (e) => {
      const found = leaves.map((_, i) => sources.source(e, i));
      const strides = found.map((s) => broadcastStrides(s.shape, s.strides, root.shape));
      const axes = collapseAxes(root.shape, [denseStrides(root.shape), ...strides]);
      const dtypes = leaves.map((l) => l.dtype as OperandType);
      const madd = context.capabilities.relaxedMadd === true;
      e.step({
        name: covers.map((n) => n.op).join("_"),
        code: elementwiseKernel(elementwiseOptions(expr, dtypes, axes, madd)).bytes,
        args: [
          { place: e.output, offset: 0, mode: "write" },
          ...found.map((s, i) => pointer(s, leaves[i])),
          ...elementwiseWords(axes).map(size),
        ],
        grid: elementwiseGrid(axes),
        flops: mul(exprFlops(expr), product(root.shape)),
      });
    },
  };
}

const READABLE: readonly string[] = ["f32", "i32", "u8"];

export const ELEMENTWISE_KERNEL: KernelSpec = {
  name: "elementwise",
  device: "wasm",
  reads: ["relaxedMadd"],
  claim: (context, node): readonly Offer[] => {
    if (context.kind(node) !== "elementwise") return [];
    const alone = grow(context, node, { fuse: false });
    const odd = [node, ...alone.leaves].find((n) => !READABLE.includes(n.dtype));
    if (odd !== undefined || node.dtype !== "f32") {
      return [
        { kernel: "elementwise", node, reason: `it computes f32 from f32, i32 and u8, not ${(odd ?? node).dtype}.` },
      ];
    }
    const fused = grow(context, node, { fuse: true });
    const single = claimChain(context, node, alone);
    return exprKey(fused.expr) === exprKey(alone.expr) ? [single] : [claimChain(context, node, fused), single];
  },
};

const WORD_TYPES: readonly string[] = ["f32", "i32"];

/** A run whose output elements lie apart becomes rows of one element. */
function withContiguousOutput(axes: CollapsedAxes): CollapsedAxes {
  if (dimEquals(axes.strides[0].inner, 1)) return axes;
  return {
    outer: [...axes.outer, axes.inner],
    inner: 1,
    strides: axes.strides.map((s) => ({ outer: [...s.outer, s.inner], inner: 1 })),
  };
}

/** Copies every input to its place in the output, which has the strides of `whole`. */
function claimCopies(
  context: ClaimContext,
  node: Node,
  name: string,
  places: (inputs: readonly Node[]) => readonly Dim[],
): readonly Offer[] {
  const inputs = node.inputs;
  if (!WORD_TYPES.includes(node.dtype))
    return [{ kernel: name, node, reason: `it moves words of four bytes, not ${node.dtype}.` }];
  const sources = sourcesOf(context, inputs);
  const whole: Shape = node.shape;
  const claim: Claim = {
    kernel: name,
    covers: [node],
    output: node,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: inputs.length },
    emit: (e) => {
      const offsets = places(inputs);
      for (const [i, input] of inputs.entries()) {
        const source = sources.source(e, i);
        const axes = withContiguousOutput(collapseAxes(input.shape, [denseStrides(whole), source.strides]));
        e.step({
          name,
          code: elementwiseKernel(copyOptions(axes)).bytes,
          args: [
            { place: e.output, offset: mul(offsets[i], 4), mode: "write" },
            pointer(source, input),
            ...elementwiseWords(axes).map(size),
          ],
          grid: elementwiseGrid(axes),
          flops: 0,
        });
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
    if (node.op === "contiguous") return claimCopies(context, node, "copy", () => [0]);
    if (node.op !== "concat") return [];
    const axis = node.attributes.axis as number;
    const stride = denseStrides(node.shape)[axis];
    return claimCopies(context, node, "concat", (inputs) => {
      let at: Dim = 0;
      return inputs.map((x) => {
        const offset = mul(at, stride);
        at = add(at, x.shape[axis]);
        return offset;
      });
    });
  },
};
