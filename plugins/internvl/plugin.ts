/**
 * InternVL (Chen et al. 2024): the vision tower and the projector into the language model's space.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { VIDEO_FILES, videoFile } from "../../runtime/abi/videos.ts";
import { INTERNVL_MODEL_TYPES, readInternVLConfig } from "./config.ts";
import { internVLTower } from "./plan.ts";
import { internVLImageProcessor } from "./preprocess.ts";
import { internVLVideoProcessor, parseInternVLVideoProcessor } from "./video.ts";

function open(json: Readonly<Record<string, unknown>>, given: ModelFiles = {}): EncoderModel {
  const config = readInternVLConfig(json);
  const own = processorFile(given, "image_processor");
  const forms = pixelForms(
    own === undefined ? undefined : internVLImageProcessor(own, processorFileName(given, "image_processor")),
    config.channels,
  );
  return {
    towers: [internVLTower(config, forms)],
    prefixes: config.prefix === "" ? ["", "vision_tower.", "model.vision_tower."] : ["", "model."],
    processors: (files) => {
      const processor = processorFile(files, "image_processor");
      const video = videoFile(files);
      return {
        ...(processor === undefined
          ? {}
          : imagesFor(internVLImageProcessor(processor, processorFileName(files, "image_processor")), forms)),
        ...(video === undefined
          ? {}
          : { videos: internVLVideoProcessor(parseInternVLVideoProcessor(video.json, video.file), forms) }),
      };
    },
  };
}

const INTERNVL: EncoderSpec = {
  name: "internvl",
  modelTypes: INTERNVL_MODEL_TYPES,
  files: VIDEO_FILES,
  imageProcessors: {
    GotOcr2ImageProcessor: valuesOf(internVLImageProcessor),
    GotOcr2ImageProcessorPil: valuesOf(internVLImageProcessor),
  },
  open,
};

/** Encoder `internvl`, for `model_type` internvl and internvl_vision: a vision tower for pictures and videos. */
export const internVLPlugin: Plugin = definePlugin({
  name: "@fovea/internvl",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [INTERNVL],
});
