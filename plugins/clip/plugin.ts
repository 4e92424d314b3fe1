/** CLIP (Radford et al. 2021): an image and a text tower with one embedding space. */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { createTokenizer } from "../../runtime/media/tokens.ts";
import { CLIP_MODEL_TYPES, type ClipConfig, type ClipTextConfig, readClipConfig } from "./config.ts";
import { textTower, visionTower } from "./plan.ts";
import { parseClipProcessor, preprocessImages } from "./preprocess.ts";
import { tokenizeTexts } from "./tokenize.ts";

function imageProcessor(files: ModelFiles): Processors["images"] {
  const json = files["preprocessor_config.json"] ?? files["processor_config.json"];
  if (json === undefined) return undefined;
  const processor = parseClipProcessor(json);
  return (images) => {
    const { pixel_values, shape } = preprocessImages(images, processor);
    return { pixel_values: { dtype: "f32", shape, data: pixel_values } };
  };
}

function textProcessor(files: ModelFiles, config: ClipTextConfig): Processors["texts"] {
  const json = files["tokenizer.json"];
  if (json === undefined) return undefined;
  let tokenizer: ReturnType<typeof createTokenizer> | undefined;
  return async (texts) => {
    tokenizer ??= createTokenizer(json, files["tokenizer_config.json"] ?? {});
    const { input_ids, attention_mask, shape } = tokenizeTexts(await tokenizer, texts, {
      maxPositions: config.maxPositions,
      padId: config.padTokenId,
    });
    return {
      input_ids: { dtype: "i32", shape, data: input_ids },
      attention_mask: { dtype: "i32", shape, data: attention_mask },
    };
  };
}

/** Processors for the towers that the model has; one whose file is absent is left out. */
function processors({ vision, text }: ClipConfig, files: ModelFiles): Processors {
  const images = vision === undefined ? undefined : imageProcessor(files);
  const texts = text === undefined ? undefined : textProcessor(files, text);
  return { ...(images === undefined ? {} : { images }), ...(texts === undefined ? {} : { texts }) };
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
  open,
};

export const clipPlugin: Plugin = definePlugin({ name: "clip", version: "0.1.0", abi: ABI_VERSION, encoders: [CLIP] });
