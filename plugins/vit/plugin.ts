/**
 * ViT (Dosovitskiy et al. 2021), the plain vision transformer, and models of its shape: DeiT (Touvron et al. 2021),
 * ViT MSN (Assran et al. 2022) and I-JEPA (Assran et al. 2023).
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, type PixelProcessor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { adaptVitConfig, readVitConfig, VIT_MODEL_TYPES } from "./config.ts";
import { vitTower } from "./plan.ts";
import { deitImageProcessor, processorClass, vitImageProcessor } from "./preprocess.ts";

function imageProcessorOf(modelType: string, files: ModelFiles): PixelProcessor | undefined {
  const json = processorFile(files, "image_processor");
  if (json === undefined) return undefined;
  return processorClass(json, modelType)(json, processorFileName(files, "image_processor"));
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readVitConfig(json);
  const type = String(json.model_type);
  const forms = pixelForms(imageProcessorOf(type, files), config.channels);
  return {
    towers: [vitTower(config, forms)],
    prefixes: ["", "vit.", "deit.", "ijepa.", "encoder.", "vision_model.", "vision_tower.", "model.vision_tower."],
    processors: (all) => {
      const images = imageProcessorOf(type, all);
      return images === undefined ? {} : imagesFor(images, forms);
    },
  };
}

const VIT: EncoderSpec = {
  name: "vit",
  modelTypes: VIT_MODEL_TYPES,
  files: PROCESSOR_FILES,
  imageProcessors: {
    ViTImageProcessor: valuesOf(vitImageProcessor),
    ViTImageProcessorFast: valuesOf(vitImageProcessor),
    ViTImageProcessorPil: valuesOf(vitImageProcessor),
    ViTFeatureExtractor: valuesOf(vitImageProcessor),
    DeiTImageProcessor: valuesOf(deitImageProcessor),
    DeiTImageProcessorPil: valuesOf(deitImageProcessor),
  },
  open,
  adapt: adaptVitConfig,
};

/** Encoder `vit`, for `model_type` vit, deit, vit_msn and ijepa: a vision tower. */
export const vitPlugin: Plugin = definePlugin({
  name: "@fovea/vit",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [VIT],
});
