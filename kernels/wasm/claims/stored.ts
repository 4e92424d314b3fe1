/** Weights of two bytes: what claims ask for instead of an operand that is read through `stored_as`, and the op by itself. */

import { bytesOf, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, EmittedStep, KernelSpec, PackedLayout, Place } from "../../../runtime/abi/kernel.ts";
import { type Dim, evaluate, mul, product } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { storedGrid, storedKernel } from "../emit/stored.ts";

const NAME = "stored_as";

export interface StoredWeight {
  readonly dtype: HalfDType;
  /** The value before it is rounded, f32. */
  readonly value: Node;
}

/** What a weight-only operand rounds, where it does; nothing for other operands. */
export function storedWeight(context: ClaimContext, node: Node): StoredWeight | undefined {
  if (node.op !== "stored_as" || !context.isWeight(node)) return undefined;
  return { dtype: node.attributes.dtype as HalfDType, value: node.inputs[0] };
}

function roundStep(dtype: HalfDType, asF32: boolean, from: Place, fromOffset: Dim, to: Place, count: Dim): EmittedStep {
  return {
    name: NAME,
    code: storedKernel({ dtype, asF32 }).bytes,
    args: [{ place: to, offset: 0, mode: "write" }, { place: from, offset: fromOffset, mode: "read" }, { size: count }],
    grid: storedGrid(count),
    flops: 0,
  };
}

/** A weight's numbers one after another, two bytes each. */
export function denseHalf({ dtype, value }: StoredWeight): PackedLayout {
  const count = evaluate(product(value.shape), {});
  return {
    name: `dense ${dtype}`,
    bytes: 2 * count,
    dtype,
    dense: true,
    pack: (source, destination) => roundStep(dtype, false, source, 0, destination, count),
  };
}

export const STORED_KERNEL: KernelSpec = {
  name: NAME,
  device: "wasm",
  reads: [],
  claim: (context, node) => {
    if (node.op !== "stored_as") return [];
    const sources = sourcesOf(context, node.inputs, "dense");
    const claim: Claim = {
      kernel: NAME,
      covers: [node],
      output: node,
      operands: sources.operands,
      weights: sources.weights,
      cost: { flops: 0, bytes: mul(2, bytesOf(node)), launches: 1 },
      emit: (e) => {
        const { place, offset }: Source = sources.source(e, 0);
        const dtype = node.attributes.dtype as HalfDType;
        e.step(roundStep(dtype, true, place, mul(offset, 4), e.output, product(node.shape)));
      },
    };
    return [claim];
  },
};
