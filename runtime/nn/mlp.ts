/** The two-layer perceptron of transformer blocks. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { activation } from "./activation.ts";
import { lastWidth, linear } from "./linear.ts";

/** A perceptron's sizes, activation and names. */
export interface MlpOptions {
  /** Width between the layers. */
  readonly intermediateSize: number;
  /** Width of the result; that of the input unless given. */
  readonly outFeatures?: number;
  /** `hidden_act` of the configuration. */
  readonly activation: string;
  /** What the family calls the first and the last layer, without the last dot; `fc1` and `fc2` unless given. */
  readonly names?: readonly [string, string];
  /** False where the layers have no `bias`; true unless given. */
  readonly bias?: boolean;
}

/** [..., width] -> [..., width], or as wide as `outFeatures` says, through two layers named after `prefix`. @throws FoveaError `invalid_config` */
export function mlp(b: GraphBuilder, x: Node, prefix: string, options: MlpOptions): Node {
  const { intermediateSize, outFeatures = lastWidth(x, "An MLP"), names = ["fc1", "fc2"], bias = true } = options;
  const inner = linear(b, x, `${prefix}${names[0]}.`, { outFeatures: intermediateSize, bias });
  return linear(b, activation(b, inner, options.activation), `${prefix}${names[1]}.`, { outFeatures, bias });
}
