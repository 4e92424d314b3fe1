/** The two-layer perceptron of transformer blocks. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { activation } from "./activation.ts";
import { lastWidth, linear } from "./linear.ts";

export interface MlpOptions {
  /** Width between the two layers. */
  readonly intermediateSize: number;
  /** `hidden_act` of the configuration. */
  readonly activation: string;
}

/** [..., width] -> [..., width] through `<prefix>fc1` and `<prefix>fc2`. @throws FoveaError `invalid_config` */
export function mlp(b: GraphBuilder, x: Node, prefix: string, options: MlpOptions): Node {
  const inner = linear(b, x, `${prefix}fc1.`, { outFeatures: options.intermediateSize });
  return linear(b, activation(b, inner, options.activation), `${prefix}fc2.`, { outFeatures: lastWidth(x, "An MLP") });
}
