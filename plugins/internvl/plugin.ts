/** InternVL (Chen et al. 2024): the vision tower and the projector into the language model's space. */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { imagesFor, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { INTERNVL_MODEL_TYPES, readInternVLConfig } from "./config.ts";
import { internVLTower } from "./plan.ts";
import { internVLImageProcessor } from "./preprocess.ts";

const processorFile = (files: ModelFiles): unknown =>
  files["preprocessor_config.json"] ?? files["processor_config.json"];

function open(json: Readonly<Record<string, unknown>>, given: ModelFiles = {}): EncoderModel {
  const config = readInternVLConfig(json);
  const own = processorFile(given);
  const forms = pixelForms(own === undefined ? undefined : internVLImageProcessor(own), config.channels);
  return {
    towers: [internVLTower(config, forms)],
    prefixes: config.prefix === "" ? ["", "vision_tower.", "model.vision_tower."] : ["", "model."],
    processors: (files) => {
      const processor = processorFile(files);
      return processor === undefined ? {} : imagesFor(internVLImageProcessor(processor), forms);
    },
  };
}

const INTERNVL: EncoderSpec = {
  name: "internvl",
  modelTypes: INTERNVL_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json"],
  imageProcessors: {
    GotOcr2ImageProcessor: valuesOf(internVLImageProcessor),
    GotOcr2ImageProcessorPil: valuesOf(internVLImageProcessor),
  },
  open,
};

export const internVLPlugin: Plugin = definePlugin({
  name: "@fovea/internvl",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [INTERNVL],
});
