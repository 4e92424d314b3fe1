/**
 * Speech encoders that read the wave itself: wav2vec 2.0 (Baevski et al. 2020), XLSR (Conneau et al. 2021) and HuBERT (Hsu et
 * al. 2021).
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { readWav2Vec2Config, samplesOf, WAV2VEC2_MODEL_TYPES, type Wav2Vec2Config } from "./config.ts";
import { mostSamples } from "./inputs.ts";
import { audioTower } from "./plan.ts";
import { wav2vec2AudioProcessor } from "./preprocess.ts";

function processors(config: Wav2Vec2Config, files: ModelFiles): Processors {
  const json = processorFile(files, "feature_extractor");
  if (json === undefined) return {};
  const bounds = { least: samplesOf(config, 1), most: mostSamples(config) };
  return { audio: wav2vec2AudioProcessor(json, bounds, processorFileName(files, "feature_extractor")) };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readWav2Vec2Config(json);
  return {
    towers: [audioTower(config)],
    prefixes: ["", "wav2vec2.", "hubert."],
    // The parts of a normed weight, before PyTorch named them otherwise.
    oldEndings: { "parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v" },
    processors: (files) => processors(config, files),
  };
}

const WAV2VEC2: EncoderSpec = {
  name: "wav2vec2",
  modelTypes: WAV2VEC2_MODEL_TYPES,
  files: PROCESSOR_FILES,
  audioProcessors: { Wav2Vec2FeatureExtractor: (json) => wav2vec2AudioProcessor(json) },
  open,
};

/** Encoder `wav2vec2`, for `model_type` wav2vec2 and hubert: an audio tower. */
export const wav2vec2Plugin: Plugin = definePlugin({
  name: "@fovea/wav2vec2",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [WAV2VEC2],
});
