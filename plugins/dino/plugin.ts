/** DINOv2, with and without registers, and DINOv3: self-supervised vision transformers. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { DINO_MODEL_TYPES, readDinoConfig } from "./config.ts";
import { dinoTower } from "./plan.ts";
import { bitImageProcessor } from "./preprocess.ts";

function processors(files: ModelFiles): Processors {
  const config = files["preprocessor_config.json"] ?? files["processor_config.json"];
  return config === undefined ? {} : { images: bitImageProcessor(config) };
}

function open(config: Readonly<Record<string, unknown>>): EncoderModel {
  return {
    towers: [dinoTower(readDinoConfig(config))],
    prefixes: ["", "dinov2.", "dinov2_with_registers.", "dinov3_vit.", "backbone.", "encoder.", "vision_tower."],
    processors,
  };
}

const DINO: EncoderSpec = {
  name: "dino",
  modelTypes: DINO_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json"],
  imageProcessors: {
    BitImageProcessor: bitImageProcessor,
    BitImageProcessorFast: bitImageProcessor,
    BitImageProcessorPil: bitImageProcessor,
  },
  open,
};

export const dinoPlugin: Plugin = definePlugin({
  name: "@fovea/dino",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [DINO],
});
