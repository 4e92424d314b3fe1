/** CLIP (Radford et al. 2021): an image and a text tower with one embedding space. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { CLIP_MODEL_TYPES, type ClipConfig, readClipConfig } from "./config.ts";
import { textTower, visionTower } from "./plan.ts";
import { clipImageProcessor } from "./preprocess.ts";
import { clipTokenizer } from "./tokenize.ts";

/** Processors for the towers that the model has; one whose file is absent is left out. */
function processors({ vision, text }: ClipConfig, files: ModelFiles): Processors {
  const pixels = files["preprocessor_config.json"] ?? files["processor_config.json"];
  const hasTokenizer = files["tokenizer.json"] !== undefined;
  return {
    ...(vision === undefined || pixels === undefined ? {} : { images: clipImageProcessor(pixels) }),
    ...(text === undefined || !hasTokenizer ? {} : { texts: clipTokenizer(files, text.maxPositions, text.padTokenId) }),
  };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readClipConfig(json);
  return {
    towers: [
      ...(config.vision === undefined ? [] : [visionTower(config.vision)]),
      ...(config.text === undefined ? [] : [textTower(config.text)]),
    ],
    prefixes: ["", "clip.", "clip_model.", "vision_tower.", "model.vision_tower."],
    processors: (files) => processors(config, files),
    logitScale: { name: "logit_scale", fallback: config.logitScale },
  };
}

const CLIP: EncoderSpec = {
  name: "clip",
  modelTypes: CLIP_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"],
  imageProcessors: {
    CLIPImageProcessor: clipImageProcessor,
    CLIPImageProcessorPil: clipImageProcessor,
    CLIPFeatureExtractor: clipImageProcessor,
  },
  open,
};

export const clipPlugin: Plugin = definePlugin({
  name: "@fovea/clip",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [CLIP],
});
