/**
 * Llama 4 (Meta 2025): the vision tower and the projector into the language model's space.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { LLAMA4_MODEL_TYPES, readLlama4Config } from "./config.ts";
import { TILES } from "./graphs.ts";
import { llama4Tower } from "./plan.ts";
import { llama4ImageProcessor, parseLlama4Processor } from "./preprocess.ts";

const processorOf = (files: ModelFiles): unknown => processorFile(files, "image_processor");
const nameOf = (files: ModelFiles): string => processorFileName(files, "image_processor");

/** Tiles and overview of the largest image that the processor makes. */
function mostTiles(files: ModelFiles): number {
  const json = processorOf(files);
  return json === undefined ? TILES : parseLlama4Processor(json, nameOf(files)).maxTiles + 1;
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readLlama4Config(json);
  const given = processorOf(files);
  const forms = pixelForms(
    given === undefined ? undefined : llama4ImageProcessor(given, nameOf(files)),
    config.channels,
  );
  return {
    towers: [llama4Tower(config, mostTiles(files), forms)],
    prefixes: config.prefix === "" ? ["", "vision_model.", "model.vision_model."] : ["", "model."],
    processors: (all) => {
      const own = processorOf(all);
      return own === undefined ? {} : imagesFor(llama4ImageProcessor(own, nameOf(all)), forms);
    },
  };
}

const LLAMA4: EncoderSpec = {
  name: "llama4",
  modelTypes: LLAMA4_MODEL_TYPES,
  files: PROCESSOR_FILES,
  imageProcessors: {
    Llama4ImageProcessor: valuesOf(llama4ImageProcessor),
    Llama4ImageProcessorFast: valuesOf(llama4ImageProcessor),
  },
  open,
};

/** Encoder `llama4`, for `model_type` llama4 and llama4_vision_model: a vision tower. */
export const llama4Plugin: Plugin = definePlugin({
  name: "@fovea/llama4",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [LLAMA4],
});
