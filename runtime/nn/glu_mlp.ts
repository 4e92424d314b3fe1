/** The gated perceptron whose two input products are stored as one. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { activation } from "./activation.ts";
import { lastWidth, linear } from "./linear.ts";

/** A gated perceptron's sizes, activation and names. */
export interface GluMlpOptions {
  /** Width between the layers; the first one's weight has twice as many rows. */
  readonly intermediateSize: number;
  /** Of the first half: its name in the configuration. */
  readonly activation: string;
  /** False where neither layer has a `bias`; true unless given. */
  readonly bias?: boolean;
  /** Name of the first layer, dot included, such as `Wi.`. */
  readonly input: string;
  /** Name of the second layer, dot included. */
  readonly output: string;
}

/**
 * [..., width] -> [..., width]: output(activation(first) * second) with the halves of the input layer's result (Shazeer 2020).
 * @throws FoveaError `invalid_config`
 */
export function gluMlp(b: GraphBuilder, x: Node, prefix: string, options: GluMlpOptions): Node {
  const { intermediateSize, bias = true } = options;
  const both = linear(b, x, prefix + options.input, { outFeatures: 2 * intermediateSize, bias });
  const axis = both.shape.length - 1;
  const first = b.slice(both, axis, 0, intermediateSize);
  const second = b.slice(both, axis, intermediateSize, 2 * intermediateSize);
  const gated = b.mul(activation(b, first, options.activation), second);
  return linear(b, gated, prefix + options.output, { outFeatures: lastWidth(x, "A gated MLP"), bias });
}
