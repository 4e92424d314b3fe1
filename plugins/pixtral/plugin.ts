/**
 * Pixtral (Agrawal et al. 2024), alone, in Pixtral 12B and in Mistral Small 3.1: the vision tower and the projector.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, type PixelProcessor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { PIXTRAL_MODEL_TYPES, type PixtralConfig, readPixtralConfig } from "./config.ts";
import { pixtralTower } from "./plan.ts";
import { pixtralImageProcessor } from "./preprocess.ts";

function imageProcessorOf({ patchSize, projector }: PixtralConfig, files: ModelFiles): PixelProcessor | undefined {
  const json = processorFile(files, "image_processor");
  // Published files state the patch size without the squares that become one token.
  const step = patchSize * (projector?.merge?.size ?? 1);
  return json === undefined
    ? undefined
    : pixtralImageProcessor(json, step, processorFileName(files, "image_processor"));
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readPixtralConfig(json);
  const forms = pixelForms(imageProcessorOf(config, files), config.channels);
  return {
    towers: [pixtralTower(config, forms)],
    prefixes: config.prefix === "" ? ["", "vision_tower.", "model.vision_tower."] : ["", "model."],
    processors: (all) => {
      const images = imageProcessorOf(config, all);
      return images === undefined ? {} : imagesFor(images, forms);
    },
  };
}

const PIXTRAL: EncoderSpec = {
  name: "pixtral",
  modelTypes: PIXTRAL_MODEL_TYPES,
  files: PROCESSOR_FILES,
  imageProcessors: {
    PixtralImageProcessor: valuesOf(pixtralImageProcessor),
    PixtralImageProcessorPil: valuesOf(pixtralImageProcessor),
  },
  open,
};

/** Encoder `pixtral`, for `model_type` pixtral, mistral3 and llava with a Pixtral tower: a vision tower. */
export const pixtralPlugin: Plugin = definePlugin({
  name: "@fovea/pixtral",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [PIXTRAL],
});
