/** Ops over the last axis: norms, softmax, reductions. */
import { bytesOf, leading, rowStride, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, divisorOf, mul, product } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { isHalf } from "../emit/kernel.ts";
import { givesNumbers, isHeld, isRowOp, rowFlops, rowKernel } from "../emit/rows.ts";
import { beforeNarrow, kindOf, outOf, pointerTo } from "./kinds.ts";
import { frontArgs, frontOf, frontWords, liesInFours } from "./row_front.ts";
import { type RowNorm, withNorm } from "./row_join.ts";

function claim(context: ClaimContext, output: Node): readonly Offer[] {
  const node = beforeNarrow(output);
  if (!isRowOp(node.op)) return [];
  const odd = node.inputs.find((n) => n.dtype !== "f32");
  if (odd !== undefined)
    return [{ kernel: "rows", node, reason: `it computes in f32 and an operand is ${odd.dtype}.` }];
  const [x] = node.inputs;
  const view = context.isWeight(x) ? undefined : context.view(x);
  const inPlace = view === undefined || rowStride(view.shape, view.strides) !== undefined;
  const access = [inPlace ? "strided" : "dense", "dense", "dense"] as const;
  const sources = sourcesOf(context, node.inputs, access);
  const kinds = node.inputs.map((n, i) => kindOf(context, n, access[i]));
  const flops = mul(rowFlops(node.op), product(x.shape));
  const emit: RowNorm["emit"] = (e, computed) => {
    const found = node.inputs.map((_, i) => sources.source(e, i));
    const [{ place, shape, strides }, ...parameters] = found;
    const width = shape[shape.length - 1];
    const step = rowStride(shape, strides) ?? width;
    const out = outOf(output);
    const lies = [width, step, ...found.map(({ offset }) => offset)];
    const inFours =
      !givesNumbers(node.op) &&
      ![out, ...kinds].some(isHalf) &&
      lies.every((d) => divisorOf(d, context.box) % 4 === 0) &&
      (computed === undefined || liesInFours(computed, context.box));
    const stored = computed?.stored === true || !isHeld(width, inFours);
    const read =
      computed === undefined ? [pointerTo(found[0], x, kinds[0])] : frontArgs(computed, stored ? place : undefined);
    e.step({
      name: node.op,
      code: rowKernel(node, {
        ...{ kinds, out, inFours },
        ...(computed === undefined ? {} : { front: frontOf(computed, stored) }),
      }),
      args: [
        { place: e.output, offset: 0, mode: "write" },
        ...read,
        ...parameters.map((s, i) => pointerTo(s, node.inputs[i + 1], kinds[i + 1])),
        ...[width, step, givesNumbers(node.op) ? 1 : width].map((size) => ({ size })),
        ...(computed === undefined ? [] : frontWords(computed)).map((size) => ({ size })),
      ],
      grid: leading(shape, 1),
      flops,
    });
  };
  const claimed: Claim = {
    kernel: "rows",
    covers: output === node ? [node] : [node, output],
    output,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops, bytes: add(bytesOf(output), ...node.inputs.map(bytesOf)), launches: 1 },
    emit: (e) => emit(e),
  };
  return [context.kind(node) === "normalization" ? withNorm(claimed, { node, emit }) : claimed];
}

export const ROWS_KERNEL: KernelSpec = { name: "rows", device: "webgpu", reads: [], readsHalves: true, claim };
