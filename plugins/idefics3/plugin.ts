/**
 * Idefics3 (Laurençon et al. 2024) and SmolVLM (Marafioti et al. 2025): the vision tower and the connector into the language
 * model's space.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, type PixelProcessor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { VIDEO_FILES, videoFile } from "../../runtime/abi/videos.ts";
import { IDEFICS3_MODEL_TYPES, readIdefics3Config } from "./config.ts";
import { TOWER } from "./graphs.ts";
import { idefics3Tower } from "./plan.ts";
import { idefics3ImageProcessor } from "./preprocess.ts";
import { parseSmolVLMVideoProcessor, smolVLMVideoProcessor } from "./video.ts";

function processorOf(files: ModelFiles): PixelProcessor | undefined {
  const json = processorFile(files, "image_processor");
  return json === undefined ? undefined : idefics3ImageProcessor(json, processorFileName(files, "image_processor"));
}

function open(json: Readonly<Record<string, unknown>>, given: ModelFiles = {}): EncoderModel {
  const config = readIdefics3Config(json);
  const forms = pixelForms(processorOf(given), config.channels);
  return {
    towers: [idefics3Tower(config, forms)],
    prefixes: ["", "model."],
    // As transformers saves a tower alone.
    optionalBeginnings: [TOWER],
    processors: (files) => {
      const processor = processorOf(files);
      // Idefics3 has no video processor.
      const video = String(json.model_type).startsWith("smolvlm") ? videoFile(files) : undefined;
      return {
        ...(processor === undefined ? {} : imagesFor(processor, forms)),
        ...(video === undefined
          ? {}
          : { videos: smolVLMVideoProcessor(parseSmolVLMVideoProcessor(video.json, video.file), forms) }),
      };
    },
  };
}

const IDEFICS3: EncoderSpec = {
  name: "idefics3",
  modelTypes: IDEFICS3_MODEL_TYPES,
  files: VIDEO_FILES,
  imageProcessors: {
    Idefics3ImageProcessor: valuesOf(idefics3ImageProcessor),
    Idefics3ImageProcessorPil: valuesOf(idefics3ImageProcessor),
    SmolVLMImageProcessor: valuesOf(idefics3ImageProcessor),
    SmolVLMImageProcessorPil: valuesOf(idefics3ImageProcessor),
  },
  open,
};

/** Encoder `idefics3`, for `model_type` idefics3, smolvlm and both with `_vision`: a vision tower for pictures, with SmolVLM also for videos. */
export const idefics3Plugin: Plugin = definePlugin({
  name: "@fovea/idefics3",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [IDEFICS3],
});
