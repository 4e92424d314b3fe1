/** InternVL (Chen et al. 2024): the vision tower and the projector into the language model's space. */
import type { EncoderModel, EncoderSpec } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { INTERNVL_MODEL_TYPES, readInternVLConfig } from "./config.ts";
import { internVLTower } from "./plan.ts";
import { internVLImageProcessor } from "./preprocess.ts";

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readInternVLConfig(json);
  return {
    towers: [internVLTower(config)],
    prefixes: config.prefix === "" ? ["", "vision_tower.", "model.vision_tower."] : ["", "model."],
    processors: (files) => {
      const own = files["preprocessor_config.json"] ?? files["processor_config.json"];
      return own === undefined ? {} : { images: internVLImageProcessor(own) };
    },
  };
}

const INTERNVL: EncoderSpec = {
  name: "internvl",
  modelTypes: INTERNVL_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json"],
  imageProcessors: { GotOcr2ImageProcessor: internVLImageProcessor, GotOcr2ImageProcessorPil: internVLImageProcessor },
  open,
};

export const internVLPlugin: Plugin = definePlugin({
  name: "@fovea/internvl",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [INTERNVL],
});
