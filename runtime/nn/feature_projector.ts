/** LLaVA's projector (Liu et al. 2023): hidden states of a vision tower become tokens of a language model. */
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { mlp } from "./mlp.ts";

/** What {@link featureProjector} reads of each picture, and its layers. */
export interface FeatureProjectorOptions {
  /** Each picture's first token is left out. */
  readonly dropsFirst: boolean;
  /** Activation between the layers by its Hugging Face name. */
  readonly activation: string;
  /** False where the layers have no `bias`. */
  readonly bias: boolean;
  /** Width of the language model's tokens. */
  readonly width: number;
}

/**
 * Hidden states [batch, tokens, hidden_size], or [tokens, hidden_size] of which none is left out, side by side through the
 * layers `linear_1` and `linear_2` below `prefix` -> the same with one token less where the first is left out, and `width` wide.
 * @throws FoveaError `invalid_config`
 */
export function featureProjector(
  b: GraphBuilder,
  states: readonly Node[],
  prefix: string,
  options: FeatureProjectorOptions,
): Node {
  const { dropsFirst, width, ...layers } = options;
  const joined = states.length === 1 ? states[0] : b.concat(states, states[0].shape.length - 1);
  const read = dropsFirst ? b.slice(joined, 1, 1, joined.shape[1]) : joined;
  return mlp(b, read, prefix, {
    ...layers,
    names: ["linear_1", "linear_2"],
    intermediateSize: width,
    outFeatures: width,
  });
}
