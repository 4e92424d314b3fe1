/**
 * SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025): image and text towers trained with a sigmoid loss; and
 * what Gemma 3, PaliGemma and LLaVA see by, with the projector of their language model.
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
import { readSiglipConfig, SIGLIP_MODEL_TYPES, type SiglipConfig } from "./config.ts";
import { naflexImageProcessor } from "./naflex_processor.ts";
import { textTower, visionTower } from "./plan.ts";
import { gemmaImageProcessor, siglipImageProcessor } from "./preprocess.ts";
import { siglipTokenizer } from "./tokenize.ts";

function imageProcessorOf({ vision, projector }: SiglipConfig, files: ModelFiles): PixelProcessor | undefined {
  const json = processorFile(files, "image_processor");
  if (vision === undefined || json === undefined) return undefined;
  const fixed = projector?.kind === "pooled" ? gemmaImageProcessor : siglipImageProcessor;
  return (vision.kind === "naflex" ? naflexImageProcessor : fixed)(json, processorFileName(files, "image_processor"));
}

/** Processors for the towers that the model has; one whose file is absent is left out. */
function processors(config: SiglipConfig, forms: PixelForms, modelType: string, files: ModelFiles): Processors {
  const { text } = config;
  const images = imageProcessorOf(config, files);
  const hasTokenizer = files["tokenizer.json"] !== undefined;
  return {
    ...(images === undefined ? {} : imagesFor(images, forms)),
    ...(text === undefined || !hasTokenizer
      ? {}
      : { texts: siglipTokenizer(files, { modelType, maxTokens: text.maxPositions, padId: text.padTokenId }) }),
  };
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readSiglipConfig(json);
  const { vision } = config;
  const forms = vision === undefined ? FLOAT_PIXELS : pixelForms(imageProcessorOf(config, files), vision.channels);
  return {
    towers: [
      ...(vision === undefined ? [] : [visionTower(vision, forms, config.projector)]),
      ...(config.text === undefined ? [] : [textTower(config.text)]),
    ],
    prefixes: ["", "siglip.", "model.", "vision_tower.", "model.vision_tower."],
    // As transformers 5 saves a tower alone.
    optionalBeginnings: ["vision_model.", "text_model."],
    processors: (all) => processors(config, forms, String(json.model_type), all),
    scoring: "sigmoid",
    logitScale: { name: "logit_scale", fallback: 0 },
    logitBias: { name: "logit_bias", fallback: 0 },
  };
}

const SIGLIP: EncoderSpec = {
  name: "siglip",
  modelTypes: SIGLIP_MODEL_TYPES,
  families: ["siglip", "siglip2"],
  files: [...PROCESSOR_FILES, "tokenizer.json", "tokenizer_config.json"],
  imageProcessors: {
    SiglipImageProcessor: valuesOf(siglipImageProcessor),
    SiglipImageProcessorPil: valuesOf(siglipImageProcessor),
    Gemma3ImageProcessor: valuesOf(gemmaImageProcessor),
    Gemma3ImageProcessorPil: valuesOf(gemmaImageProcessor),
    Siglip2ImageProcessor: valuesOf(naflexImageProcessor),
    Siglip2ImageProcessorPil: valuesOf(naflexImageProcessor),
  },
  open,
};

/** Encoder `siglip`, for `model_type` siglip, siglip2, and both with `_vision_model` or `_text_model`: vision and text towers; gemma3, paligemma, and llava with a tower of SigLIP: vision. */
export const siglipPlugin: Plugin = definePlugin({
  name: "@fovea/siglip",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [SIGLIP],
});
