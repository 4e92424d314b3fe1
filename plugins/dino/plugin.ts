/** DINOv2, with and without registers, and DINOv3: self-supervised vision transformers. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { DINO_MODEL_TYPES, type DinoConfig, readDinoConfig } from "./config.ts";
import { dinoTower } from "./plan.ts";
import { bitImageProcessor, dinov3ImageProcessor } from "./preprocess.ts";

/** The processor that the family's checkpoints come with. */
function processors({ family }: DinoConfig, files: ModelFiles): Processors {
  const config = files["preprocessor_config.json"] ?? files["processor_config.json"];
  if (config === undefined) return {};
  return { images: (family === "dinov3" ? dinov3ImageProcessor : bitImageProcessor)(config) };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readDinoConfig(json);
  return {
    towers: [dinoTower(config)],
    prefixes: ["", "dinov2.", "dinov2_with_registers.", "dinov3_vit.", "backbone.", "encoder.", "vision_tower."],
    processors: (files) => processors(config, files),
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
    DINOv3ViTImageProcessor: dinov3ImageProcessor,
    DINOv3ViTImageProcessorFast: dinov3ImageProcessor,
  },
  open,
};

export const dinoPlugin: Plugin = definePlugin({
  name: "@fovea/dino",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [DINO],
});
