/**
 * CLIP (Radford et al. 2021): an image and a text tower with one embedding space; and what LLaVA and LLaVA-NeXT see by, with
 * the projector of their language model.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors, TowerSpec } from "../../runtime/abi/encoder.ts";
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
import { CLIP_MODEL_TYPES, type ClipConfig, type ClipVisionConfig, readClipConfig } from "./config.ts";
import { textTower, visionTower } from "./plan.ts";
import { clipImageProcessor, llavaImageProcessor } from "./preprocess.ts";
import { tilesTower } from "./tile_plan.ts";
import { tileImageProcessor } from "./tile_processor.ts";
import { clipTokenizer } from "./tokenize.ts";

function imageProcessorOf({ projector, tiles }: ClipConfig, files: ModelFiles): PixelProcessor | undefined {
  const json = processorFile(files, "image_processor");
  if (json === undefined) return undefined;
  const file = processorFileName(files, "image_processor");
  if (tiles !== undefined) return tileImageProcessor(json, file, tiles);
  return (projector === undefined ? clipImageProcessor : llavaImageProcessor)(json, file);
}

/** The tower of pictures, whole or in tiles. */
function pictureTower(vision: ClipVisionConfig, forms: PixelForms, { projector, tiles }: ClipConfig): TowerSpec {
  return projector !== undefined && tiles !== undefined
    ? tilesTower(vision, forms, projector, tiles)
    : visionTower(vision, forms, projector);
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
      ...(vision === undefined ? [] : [pictureTower(vision, forms, config)]),
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
    LlavaNextImageProcessor: valuesOf(tileImageProcessor),
    LlavaNextImageProcessorPil: valuesOf(tileImageProcessor),
  },
  open,
};

/** Encoder `clip`, for `model_type` clip, metaclip_2, and both with `_vision_model` or `_text_model`: vision and text towers; llava and llava_next with a tower of CLIP: vision. */
export const clipPlugin: Plugin = definePlugin({
  name: "@fovea/clip",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [CLIP],
});
