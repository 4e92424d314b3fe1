/** Pixtral (Agrawal et al. 2024), alone, in Pixtral 12B and in Mistral Small 3.1: the vision tower and the projector. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PIXTRAL_MODEL_TYPES, type PixtralConfig, readPixtralConfig } from "./config.ts";
import { pixtralTower } from "./plan.ts";
import { pixtralImageProcessor } from "./preprocess.ts";

function processors({ patchSize, projector }: PixtralConfig, files: ModelFiles): Processors {
  const json = files["preprocessor_config.json"] ?? files["processor_config.json"];
  // Published files state the patch size without the squares that become one token.
  const step = patchSize * (projector?.merge?.size ?? 1);
  return json === undefined ? {} : { images: pixtralImageProcessor(json, step) };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readPixtralConfig(json);
  return {
    towers: [pixtralTower(config)],
    prefixes: config.prefix === "" ? ["", "vision_tower.", "model.vision_tower."] : ["", "model."],
    processors: (files) => processors(config, files),
  };
}

const PIXTRAL: EncoderSpec = {
  name: "pixtral",
  modelTypes: PIXTRAL_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json"],
  imageProcessors: {
    PixtralImageProcessor: (config) => pixtralImageProcessor(config),
    PixtralImageProcessorPil: (config) => pixtralImageProcessor(config),
  },
  open,
};

export const pixtralPlugin: Plugin = definePlugin({
  name: "@fovea/pixtral",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [PIXTRAL],
});
