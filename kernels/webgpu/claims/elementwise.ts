/** Chains of elementwise ops as one pass. */
import { type CollapsedAxes, collapseAxes } from "../../../runtime/abi/claims/axes.ts";
import { leadStrides, seen } from "../../../runtime/abi/claims/epilogue.ts";
import { isScalarOp, type ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { grow } from "../../../runtime/abi/claims/grow.ts";
import { bytesOf, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import { productForm } from "../../../runtime/abi/claims/product_form.ts";
import type { Arg, Claim, ClaimContext, EmitContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, mul, product } from "../../../runtime/core/dim.ts";
import { broadcastStrides, denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { type ElementwiseOptions, elementwiseGrid, elementwiseKernel, type OperandType } from "../emit/elementwise.ts";
import { computes, exprFlops } from "../emit/expr.ts";
import { kindOf, outOf, pointerTo, tooManyBuffers } from "./kinds.ts";
import { columnStep } from "./row_front.ts";
import { isArithmetic, type RowSource, withSource } from "./row_join.ts";

const READABLE: readonly string[] = ["f32", "i32", "u8"];

/** Sizes and strides in the order of `elementwiseNames`. */
function wordsOf({ outer, inner, strides }: CollapsedAxes): readonly Arg[] {
  const sizes: readonly Dim[] = [inner, ...outer, ...strides.flatMap((s) => [s.inner, ...s.outer])];
  return sizes.map((size) => ({ size }));
}

/** One launch that computes `expr`, or copies the only operand's words, into the output's strides from `offset` elements on. */
export function emitPass(
  e: EmitContext,
  name: string,
  context: ClaimContext,
  expr: ScalarExpr | undefined,
  read: readonly { readonly node: Node; readonly source: Source }[],
  to: {
    readonly shape: Node["shape"];
    readonly strides: readonly Dim[];
    readonly offset: Dim;
    /** f16 for what is dense, and even. */
    readonly out?: "write" | "write16";
  },
): void {
  const strides = read.map(({ source }) => broadcastStrides(source.shape, source.strides, to.shape));
  const axes = collapseAxes(to.shape, [to.strides, ...strides]);
  const operands: ElementwiseOptions["operands"] = read.map(({ node }) => ({
    dtype: node.dtype as OperandType,
    kind: kindOf(context, node),
  }));
  e.step({
    name,
    code: elementwiseKernel({
      expr,
      operands,
      outer: axes.outer.length,
      ...(to.out === undefined ? {} : { out: to.out }),
    }),
    args: [
      { place: e.output, offset: mul(to.offset, 4), mode: "write" },
      ...read.map(({ node, source }) => pointerTo(source, node, kindOf(context, node))),
      ...wordsOf(axes),
    ],
    grid: elementwiseGrid([axes.inner, ...axes.outer]),
    flops: expr === undefined ? 0 : mul(exprFlops(expr), product(to.shape)),
  });
}

/** How the launch of a norm computes a chain: row by row, where what it reads can be walked so. */
function rowsOfChain(
  context: ClaimContext,
  { shape }: Node,
  expr: ScalarExpr,
  leaves: readonly Node[],
  source: (e: EmitContext, i: number) => Source,
): RowSource | undefined {
  if (shape.length === 0 || leaves.length === 0 || leaves.some(({ dtype }) => dtype !== "f32")) return undefined;
  if (!isArithmetic(expr)) return undefined;
  const [lead, n] = [shape.slice(0, -1), shape[shape.length - 1]];
  const strides = leaves.map((leaf) => seen(context, leaf)).map((v) => leadStrides(v.shape, v.strides, lead));
  const form = productForm(lead, strides, true);
  if (form === undefined) return undefined;
  return {
    read: leaves,
    addsParts: false,
    emit: (e, norm) => {
      const operands = leaves.map((node, i) => {
        const own = source(e, i);
        const column = columnStep(own.shape, own.strides, n);
        return { node, source: own, kind: kindOf(context, node), strides: form.strides[i], column };
      });
      norm.together({ expr, rows: form.rows, operands });
    },
  };
}

function claimChain(
  context: ClaimContext,
  root: Node,
  expr: ScalarExpr,
  leaves: readonly Node[],
  covers: readonly Node[],
): Claim {
  const sources = sourcesOf(context, leaves);
  const claimed: Claim = {
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
      const read = leaves.map((node, i) => ({ node, source: sources.source(e, i) }));
      const to = { shape: root.shape, strides: denseStrides(root.shape), offset: 0, out: outOf(root) };
      emitPass(e, covers.map((n) => n.op).join("_"), context, expr, read, to);
    },
  };
  const rows = rowsOfChain(context, root, expr, leaves, sources.source);
  return rows === undefined ? claimed : withSource(claimed, rows);
}

export const ELEMENTWISE_KERNEL: KernelSpec = {
  name: "elementwise",
  device: "webgpu",
  reads: [],
  readsHalves: true,
  claim: (context, node): readonly Offer[] => {
    if (node.op === "constant" && context.isOutput(node))
      return [claimChain(context, node, { constant: node.attributes.value as number }, [], [node])];
    if (!isScalarOp(node.op)) return [];
    const alone = grow(context, node, { fuse: false });
    const odd = [...(node.op === "narrow" ? [] : [node]), ...alone.leaves].find((n) => !READABLE.includes(n.dtype));
    const isComputed = (node.dtype === "f32" || node.op === "narrow") && computes(node.op);
    if (odd !== undefined || !isComputed) {
      const reason = `it computes f32 from f32, i32 and u8, not ${(odd ?? node).dtype}.`;
      return [{ kernel: "elementwise", node, reason }];
    }
    const fused = grow(context, node, { fuse: true });
    const single = claimChain(context, node, alone.expr, alone.leaves, alone.covers);
    if (fused.covers.length === 1 || tooManyBuffers(context, fused.leaves)) return [single];
    return [claimChain(context, node, fused.expr, fused.leaves, fused.covers), single];
  },
};
