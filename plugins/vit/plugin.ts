/** ViT (Dosovitskiy et al. 2021): the plain vision transformer. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { readVitConfig, VIT_MODEL_TYPES } from "./config.ts";
import { vitTower } from "./plan.ts";
import { vitImageProcessor } from "./preprocess.ts";

function processors(files: ModelFiles): Processors {
  const config = files["preprocessor_config.json"] ?? files["processor_config.json"];
  return config === undefined ? {} : { images: vitImageProcessor(config) };
}

function open(config: Readonly<Record<string, unknown>>): EncoderModel {
  return {
    towers: [vitTower(readVitConfig(config))],
    prefixes: ["", "vit.", "encoder.", "vision_model.", "vision_tower.", "model.vision_tower."],
    processors,
  };
}

const VIT: EncoderSpec = {
  name: "vit",
  modelTypes: VIT_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json"],
  imageProcessors: {
    ViTImageProcessor: vitImageProcessor,
    ViTImageProcessorFast: vitImageProcessor,
    ViTImageProcessorPil: vitImageProcessor,
    ViTFeatureExtractor: vitImageProcessor,
  },
  open,
};

export const vitPlugin: Plugin = definePlugin({
  name: "@fovea/vit",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [VIT],
});
