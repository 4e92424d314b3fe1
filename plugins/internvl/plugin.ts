/** InternVL (Chen et al. 2024): the vision tower and the projector into the language model's space. */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { FLOAT_PIXELS, type PixelForms, pixelForms } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { CLIP_MEAN, CLIP_STD, parseValueSteps } from "../../runtime/media/image_processor.ts";
import { INTERNVL_MODEL_TYPES, readInternVLConfig } from "./config.ts";
import { internVLTower } from "./plan.ts";

/** The tower takes bytes where a processor's file says how they are normalised; the processor itself is not there. */
function formsOf(channels: number, files: ModelFiles): PixelForms {
  const json = files["preprocessor_config.json"] ?? files["processor_config.json"];
  if (json === undefined) return FLOAT_PIXELS;
  return pixelForms({ steps: parseValueSteps(json, { mean: CLIP_MEAN, std: CLIP_STD }) }, channels);
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readInternVLConfig(json);
  return {
    towers: [internVLTower(config, formsOf(config.channels, files))],
    prefixes: config.prefix === "" ? ["", "vision_tower.", "model.vision_tower."] : ["", "model."],
    processors: () => ({}),
  };
}

const INTERNVL: EncoderSpec = {
  name: "internvl",
  modelTypes: INTERNVL_MODEL_TYPES,
  files: ["preprocessor_config.json", "processor_config.json"],
  open,
};

export const internVLPlugin: Plugin = definePlugin({
  name: "@fovea/internvl",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [INTERNVL],
});
