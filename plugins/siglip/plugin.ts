/** SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025): image and text towers trained with a sigmoid loss. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { readSiglipConfig, SIGLIP_MODEL_TYPES, type SiglipConfig } from "./config.ts";
import { naflexImageProcessor } from "./naflex_processor.ts";
import { textTower, visionTower } from "./plan.ts";
import { siglipImageProcessor } from "./preprocess.ts";
import { siglipTokenizer } from "./tokenize.ts";

/** Processors for the towers that the model has; one whose file is absent is left out. */
function processors({ vision, text }: SiglipConfig, modelType: string, files: ModelFiles): Processors {
  const pixels = files["preprocessor_config.json"] ?? files["processor_config.json"];
  const hasTokenizer = files["tokenizer.json"] !== undefined;
  const images = vision?.kind === "naflex" ? naflexImageProcessor : siglipImageProcessor;
  return {
    ...(vision === undefined || pixels === undefined ? {} : { images: images(pixels) }),
    ...(text === undefined || !hasTokenizer
      ? {}
      : { texts: siglipTokenizer(files, { modelType, maxTokens: text.maxPositions, padId: text.padTokenId }) }),
  };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readSiglipConfig(json);
  return {
    towers: [
      ...(config.vision === undefined ? [] : [visionTower(config.vision)]),
      ...(config.text === undefined ? [] : [textTower(config.text)]),
    ],
    prefixes: ["", "siglip.", "model.", "vision_tower.", "model.vision_tower."],
    processors: (files) => processors(config, String(json.model_type), files),
    scoring: "sigmoid",
    logitScale: { name: "logit_scale", fallback: 0 },
    logitBias: { name: "logit_bias", fallback: 0 },
  };
}

const SIGLIP: EncoderSpec = {
  name: "siglip",
  modelTypes: SIGLIP_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"],
  imageProcessors: {
    SiglipImageProcessor: siglipImageProcessor,
    SiglipImageProcessorPil: siglipImageProcessor,
    Siglip2ImageProcessor: naflexImageProcessor,
    Siglip2ImageProcessorPil: naflexImageProcessor,
  },
  open,
};

export const siglipPlugin: Plugin = definePlugin({
  name: "@fovea/siglip",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [SIGLIP],
});
