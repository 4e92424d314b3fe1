/**
 * DINOv2, with and without registers, and DINOv3: self-supervised vision transformers.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, type PixelProcessor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { DINO_MODEL_TYPES, type DinoConfig, readDinoConfig } from "./config.ts";
import { dinoTower } from "./plan.ts";
import { bitImageProcessor, dinov3ImageProcessor } from "./preprocess.ts";

/** The processor that the family's checkpoints come with. */
function imageProcessorOf({ family }: DinoConfig, files: ModelFiles): PixelProcessor | undefined {
  const config = processorFile(files, "image_processor");
  if (config === undefined) return undefined;
  return (family === "dinov3" ? dinov3ImageProcessor : bitImageProcessor)(
    config,
    processorFileName(files, "image_processor"),
  );
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readDinoConfig(json);
  const forms = pixelForms(imageProcessorOf(config, files), config.channels);
  return {
    towers: [dinoTower(config, forms)],
    prefixes: ["", "dinov2.", "dinov2_with_registers.", "dinov3_vit.", "backbone.", "encoder.", "vision_tower."],
    processors: (all) => {
      const images = imageProcessorOf(config, all);
      return images === undefined ? {} : imagesFor(images, forms);
    },
  };
}

const DINO: EncoderSpec = {
  name: "dino",
  modelTypes: DINO_MODEL_TYPES,
  families: ["dinov2", "dinov3"],
  files: PROCESSOR_FILES,
  imageProcessors: {
    BitImageProcessor: valuesOf(bitImageProcessor),
    BitImageProcessorFast: valuesOf(bitImageProcessor),
    BitImageProcessorPil: valuesOf(bitImageProcessor),
    DINOv3ViTImageProcessor: valuesOf(dinov3ImageProcessor),
    DINOv3ViTImageProcessorFast: valuesOf(dinov3ImageProcessor),
  },
  open,
};

/** Encoder `dino`, for `model_type` dinov2, dinov2_with_registers and dinov3_vit: a vision tower. */
export const dinoPlugin: Plugin = definePlugin({
  name: "@fovea/dino",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [DINO],
});
