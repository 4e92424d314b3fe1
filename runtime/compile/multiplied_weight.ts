/** Which tensor of the checkpoint a value is multiplied by: calibrations know values by it. */
import type { Node } from "../ir/node.ts";

/** A weight's name, stored or stacked; of stacked ones the first, since all multiply the same. */
export function firstTensor(weight: Node): string | undefined {
  if (weight.op === "weight") return String(weight.attributes.name);
  const [first] = weight.inputs;
  return (weight.op === "stored_as" || weight.op === "concat") && first !== undefined ? firstTensor(first) : undefined;
}

/** The tensor that `user` multiplies its operand at a position by; nothing where it is no product or has none. */
export const multipliedWeight = (user: Node, at: number): string | undefined =>
  user.op === "matmul" && at === 0 ? firstTensor(user.inputs[1]) : undefined;
