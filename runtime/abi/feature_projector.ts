/** How LLaVA (Liu et al. 2023) and models after it hand hidden states of a vision tower to a language model. */
import type { Bindings } from "../core/dim.ts";
import { type ConfigReader, createConfigReader } from "./config.ts";
import type { ComponentCall } from "./encoder.ts";
import { hiddenStates } from "./plans.ts";

/** Which hidden states are read, and what two layers make of them. */
export interface FeatureProjector {
  /** Hidden states that are read, each by the layers that it passed; they lie side by side. At least one. */
  readonly features: readonly number[];
  /** Each picture's first token is left out: the class token, where a tower has one. */
  readonly dropsFirst: boolean;
  /** Activation between the layers by its Hugging Face name. */
  readonly activation: string;
  /** False where the layers have no `bias`. */
  readonly bias: boolean;
  /** Width of the language model's tokens. */
  readonly width: number;
}

/** Of these language models where a configuration does not say it; Llama's is the one that it stands for without a `model_type`. */
const TEXT_WIDTH = 4096;
const OF_THAT_WIDTH: readonly string[] = ["llama", "mistral", "qwen2"];

const SIZE = { min: 1, max: 1 << 20 };

/** Width of the language model's tokens. */
function readTextWidth(c: ConfigReader): number {
  if (!c.has("text_config")) return TEXT_WIDTH;
  const text = c.object("text_config");
  const isKnown = OF_THAT_WIDTH.includes(text.string("model_type", OF_THAT_WIDTH[0]));
  return text.integer("hidden_size", isKnown ? TEXT_WIDTH : undefined, SIZE);
}

/** A layer's number or a list of them; negative ones count from behind the last layer. */
function readFeatures(config: Readonly<Record<string, unknown>>, c: ConfigReader, layers: number): readonly number[] {
  const field = "vision_feature_layer";
  const bounds = { min: -layers - 1, max: layers };
  const given = Array.isArray(config[field]) ? c.integers(field, undefined, bounds) : [c.integer(field, -2, bounds)];
  if (given.length === 0) throw c.error(field, "at least one layer");
  return given.map((layer) => (layer < 0 ? layers + 1 + layer : layer));
}

/**
 * The projector of a `config.json` with the defaults of LLaVA.
 * @param layers of the vision tower
 * @param activations names that the plugin knows
 * @throws FoveaError `invalid_config`
 */
export function readFeatureProjector(
  config: Readonly<Record<string, unknown>>,
  layers: number,
  activations: readonly string[],
): FeatureProjector {
  const c = createConfigReader(config);
  return {
    features: readFeatures(config, c, layers),
    dropsFirst: c.oneOf("vision_feature_select_strategy", ["default", "full"], "default") === "default",
    activation: c.oneOf("projector_hidden_act", activations, "gelu"),
    bias: c.boolean("multimodal_projector_bias", true),
    width: readTextWidth(c),
  };
}

/** Layers that must run for the projector. */
export const featureLayers = ({ features }: FeatureProjector): number => Math.max(...features);

/** Port of the projector's component for the hidden states that it reads as its `i`-th. */
export const featurePort = (i: number): string => `features.${i}`;

/** The call that makes `projected` of what {@link hiddenStates} names. */
export function projectorCall(tag: string, instance: string, dims: Bindings, p: FeatureProjector): ComponentCall {
  const inputs = p.features.map((layer, i) => [featurePort(i), hiddenStates(layer)]);
  return { tag, instance, dims, inputs: Object.fromEntries(inputs), outputs: { projected: "projected" } };
}
