/** The vision towers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: images and videos of any size, several in a run. */
import type { EncoderModel, EncoderSpec, ModelFiles } from "../../runtime/abi/encoder.ts";
import { FLOAT_PIXELS, imagesFor, type PixelForms, pixelForms, valuesOf } from "../../runtime/abi/pixels.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { QWEN_VL_MODEL_TYPES, type QwenVisionConfig, readQwenConfig } from "./config.ts";
import { MAX_PATCHES, unitPatches } from "./graphs.ts";
import { qwenTower } from "./plan.ts";
import { parseQwenProcessor, qwenImageProcessor } from "./preprocess.ts";

const FILES: readonly string[] = ["preprocessor_config.json", "processor_config.json"];

/** The image processor's configuration; a whole model's `processor_config.json` need not hold it. */
function processorFile(files: ModelFiles): unknown {
  const whole = files["processor_config.json"] as { readonly image_processor?: unknown } | null | undefined;
  return files["preprocessor_config.json"] ?? (whole?.image_processor === undefined ? undefined : whole);
}

/** The processor of a tower; one that makes other patches than the tower takes has nothing to say about its bytes. */
function formsOf({ channels, patchSize }: QwenVisionConfig, processor: unknown): PixelForms {
  if (processor === undefined || parseQwenProcessor(processor).patchSize !== patchSize) return FLOAT_PIXELS;
  return pixelForms(qwenImageProcessor(processor), channels);
}

/** Patches of one run: those of the largest image that the processor makes. */
function maxPatches(config: QwenVisionConfig, processor: unknown): number {
  const unit = unitPatches(config);
  const pixels = config.patchSize * config.patchSize;
  const most =
    processor === undefined ? MAX_PATCHES : Math.min(MAX_PATCHES, parseQwenProcessor(processor).maxPixels / pixels);
  return Math.max(1, Math.floor(most / unit)) * unit;
}

function open(json: Readonly<Record<string, unknown>>, given: ModelFiles = {}): EncoderModel {
  const config = readQwenConfig(json);
  const own = processorFile(given);
  const forms = formsOf(config, own);
  return {
    towers: [qwenTower(config, maxPatches(config, own), forms)],
    prefixes: ["", "visual.", "model.visual."],
    processors: (files) => {
      const processor = processorFile(files);
      return processor === undefined ? {} : imagesFor(qwenImageProcessor(processor), forms);
    },
  };
}

const QWEN_VL: EncoderSpec = {
  name: "qwen_vl",
  modelTypes: QWEN_VL_MODEL_TYPES,
  files: FILES,
  imageProcessors: {
    Qwen2VLImageProcessor: valuesOf(qwenImageProcessor),
    Qwen2VLImageProcessorFast: valuesOf(qwenImageProcessor),
    Qwen2VLImageProcessorPil: valuesOf(qwenImageProcessor),
  },
  open,
};

export const qwenVlPlugin: Plugin = definePlugin({
  name: "@fovea/qwen_vl",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [QWEN_VL],
});
