/**
 * CLIP (Radford et al. 2021): an image and a text tower with one embedding space; and what LLaVA sees by, with the projector
 * of its language model.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import {
  FLOAT_PIXELS,
  imagesFor,
  type PixelForms,
  type PixelProcessor,
  pixelForms,
  valuesOf,
} from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { CLIP_MODEL_TYPES, type ClipConfig, readClipConfig } from "./config.ts";
import { textTower, visionTower } from "./plan.ts";
import { clipImageProcessor, llavaImageProcessor } from "./preprocess.ts";
import { clipTokenizer } from "./tokenize.ts";

function imageProcessorOf({ projector }: ClipConfig, files: ModelFiles): PixelProcessor | undefined {
  const json = processorFile(files, "image_processor");
  if (json === undefined) return undefined;
  const make = projector === undefined ? clipImageProcessor : llavaImageProcessor;
  return make(json, processorFileName(files, "image_processor"));
}

/** Processors for the towers that the model has; one whose file is absent is left out. */
function processors(config: ClipConfig, forms: PixelForms, files: ModelFiles): Processors {
  const { vision, text } = config;
  const images = imageProcessorOf(config, files);
  const hasTokenizer = files["tokenizer.json"] !== undefined;
  return {
    ...(vision === undefined || images === undefined ? {} : imagesFor(images, forms)),
    ...(text === undefined || !hasTokenizer ? {} : { texts: clipTokenizer(files, text.maxPositions, text.padTokenId) }),
  };
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readClipConfig(json);
  const { vision } = config;
  const forms = vision === undefined ? FLOAT_PIXELS : pixelForms(imageProcessorOf(config, files), vision.channels);
  return {
    towers: [
      ...(vision === undefined ? [] : [visionTower(vision, forms, config.projector)]),
      ...(config.text === undefined ? [] : [textTower(config.text)]),
    ],
    prefixes: ["", "clip.", "clip_model.", "metaclip_2.", "model.", "vision_tower.", "model.vision_tower."],
    // As transformers 5 saves a tower alone.
    optionalBeginnings: ["vision_model.", "text_model."],
    processors: (all) => processors(config, forms, all),
    logitScale: { name: "logit_scale", fallback: config.logitScale },
  };
}

const CLIP: EncoderSpec = {
  name: "clip",
  modelTypes: CLIP_MODEL_TYPES,
  files: [...PROCESSOR_FILES, "tokenizer.json", "tokenizer_config.json"],
  imageProcessors: {
    CLIPImageProcessor: valuesOf(clipImageProcessor),
    CLIPImageProcessorPil: valuesOf(clipImageProcessor),
    CLIPFeatureExtractor: valuesOf(clipImageProcessor),
    LlavaImageProcessor: valuesOf(llavaImageProcessor),
    LlavaImageProcessorPil: valuesOf(llavaImageProcessor),
  },
  open,
};

/** Encoder `clip`, for `model_type` clip, metaclip_2, and both with `_vision_model` or `_text_model`: vision and text towers; llava with a tower of CLIP: vision. */
export const clipPlugin: Plugin = definePlugin({
  name: "@fovea/clip",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [CLIP],
});
