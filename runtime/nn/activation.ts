/** Activations by the names that Hugging Face configurations use. */
import { FoveaError } from "../core/diagnostics.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import type { ElementwiseOp } from "../ir/ops.ts";

/** `hidden_act` -> op. */
const ACTIVATIONS: Readonly<Record<string, ElementwiseOp>> = {
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  quick_gelu: "quick_gelu",
  relu: "relu",
  silu: "silu",
};

/** Names that {@link activation} takes. */
export const ACTIVATION_NAMES: readonly string[] = Object.keys(ACTIVATIONS);

/** The activation called `name` of every element. @throws FoveaError `invalid_config` that lists the known names. */
export function activation(b: GraphBuilder, x: Node, name: string): Node {
  if (!Object.hasOwn(ACTIVATIONS, name)) {
    throw new FoveaError(
      "invalid_config",
      `There is no activation "${name}"; the known ones are ${ACTIVATION_NAMES.join(", ")}.`,
    );
  }
  return b.unary(ACTIVATIONS[name], x);
}
