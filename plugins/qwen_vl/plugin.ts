/**
 * The vision towers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: images and videos of any size, several in a run.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { FLOAT_PIXELS, imagesFor, type PixelForms, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { VIDEO_FILES, videoFile } from "../../runtime/abi/videos.ts";
import { QWEN_FAMILIES, QWEN_VL_MODEL_TYPES, type QwenVisionConfig, readQwenConfig } from "./config.ts";
import { MAX_PATCHES, unitPatches } from "./graphs.ts";
import { qwenTower } from "./plan.ts";
import { mostImagePixels, parseQwenProcessor, qwenImageProcessor } from "./preprocess.ts";
import { mostFramePixels, parseQwenVideoProcessor, type QwenVideoConfig, qwenVideoProcessor } from "./video.ts";

function videoConfig(files: ModelFiles, family: string): QwenVideoConfig | undefined {
  const own = videoFile(files);
  return own === undefined ? undefined : parseQwenVideoProcessor(own.json, family, own.file);
}

/** The processor of a tower; one that makes other patches than the tower takes has nothing to say about its bytes. */
function formsOf({ channels, patchSize }: QwenVisionConfig, processor: unknown, file: string): PixelForms {
  if (processor === undefined || parseQwenProcessor(processor, file).patchSize !== patchSize) return FLOAT_PIXELS;
  return pixelForms(qwenImageProcessor(processor, file), channels);
}

/** Patches of one run: those of the largest image or frame that the processors make. */
function maxPatches(config: QwenVisionConfig, processor: unknown, video: QwenVideoConfig | undefined): number {
  const unit = unitPatches(config);
  const pixels = config.patchSize * config.patchSize;
  const images = processor === undefined ? MAX_PATCHES * pixels : mostImagePixels(parseQwenProcessor(processor));
  const frames = video === undefined ? 0 : mostFramePixels(video);
  const most = Math.min(MAX_PATCHES, Math.max(images, frames) / pixels);
  return Math.max(1, Math.floor(most / unit)) * unit;
}

function open(json: Readonly<Record<string, unknown>>, given: ModelFiles = {}): EncoderModel {
  const config = readQwenConfig(json);
  const { family } = config;
  const own = processorFile(given, "image_processor");
  const forms = formsOf(config, own, processorFileName(given, "image_processor"));
  return {
    towers: [qwenTower(config, maxPatches(config, own, videoConfig(given, family)), forms)],
    prefixes: ["", "visual.", "model.visual."],
    processors: (files) => {
      const processor = processorFile(files, "image_processor");
      const video = videoConfig(files, family);
      return {
        ...(processor === undefined
          ? {}
          : imagesFor(qwenImageProcessor(processor, processorFileName(files, "image_processor")), forms)),
        ...(video === undefined ? {} : { videos: qwenVideoProcessor(video, forms) }),
      };
    },
  };
}

const QWEN_VL: EncoderSpec = {
  name: "qwen_vl",
  modelTypes: QWEN_VL_MODEL_TYPES,
  families: QWEN_FAMILIES,
  files: VIDEO_FILES,
  imageProcessors: {
    Qwen2VLImageProcessor: valuesOf(qwenImageProcessor),
    Qwen2VLImageProcessorFast: valuesOf(qwenImageProcessor),
    Qwen2VLImageProcessorPil: valuesOf(qwenImageProcessor),
  },
  open,
};

/**
 * Encoder `qwen_vl`, for `model_type` qwen2_vl, qwen2_5_vl, qwen3_vl and each with `_vision`: a vision tower for pictures
 * and videos.
 */
export const qwenVlPlugin: Plugin = definePlugin({
  name: "@fovea/qwen_vl",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [QWEN_VL],
});
