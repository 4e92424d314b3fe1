/** How a kernel is told that an operand is a weight. */
import type { ClaimContext } from "../../../runtime/abi/kernel.ts";
import type { Node } from "../../../runtime/ir/node.ts";

/** Storage buffers that a kernel may have on every adapter: one arena, and weights. */
const MOST_BUFFERS = 8;

/** Whether a kernel that reads these has more buffers than every adapter grants. */
export const tooManyBuffers = (context: ClaimContext, read: readonly Node[]): boolean =>
  1 + read.filter((node) => context.isWeight(node)).length > MOST_BUFFERS;

/** Weights lie in buffers of their own, other values in the arena. */
export const kindOf = (context: ClaimContext, node: Node): "read" | "weight" =>
  context.isWeight(node) ? "weight" : "read";
