/** The gated perceptron whose two input products are stored apart. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { activation } from "./activation.ts";
import { lastWidth, linear } from "./linear.ts";

/** A gated perceptron's sizes and activation. */
export interface GatedMlpOptions {
  /** Width between the layers. */
  readonly intermediateSize: number;
  /** `hidden_act` of the configuration, applied to the gate. */
  readonly activation: string;
  /** False where the layers have no `bias`; true unless given. */
  readonly bias?: boolean;
}

/**
 * [..., width] -> [..., width]: down(act(gate(x)) * up(x)) with `<prefix>gate_proj`, `up_proj` and `down_proj`; Shazeer
 * 2020. @throws FoveaError `invalid_config`
 */
export function gatedMlp(b: GraphBuilder, x: Node, prefix: string, options: GatedMlpOptions): Node {
  const { intermediateSize: outFeatures, bias = true } = options;
  const gate = activation(b, linear(b, x, `${prefix}gate_proj.`, { outFeatures, bias }), options.activation);
  const up = linear(b, x, `${prefix}up_proj.`, { outFeatures, bias });
  return linear(b, b.mul(gate, up), `${prefix}down_proj.`, { outFeatures: lastWidth(x, "An MLP"), bias });
}
