/**
 * The encoders of Whisper (Radford et al. 2022) and of Qwen2-Audio (Chu et al. 2024).
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { readWhisperConfig, WHISPER_MODEL_TYPES, type WhisperConfig } from "./config.ts";
import { MASK_NAME } from "./inputs.ts";
import { audioTower } from "./plan.ts";
import { featureExtractor, whisperAudioProcessor } from "./preprocess.ts";

function processors({ family, melBins }: WhisperConfig, files: ModelFiles): Processors {
  const json = processorFile(files, "feature_extractor");
  if (json === undefined) return {};
  const options = family === "whisper" ? { melBins } : { melBins, maskName: MASK_NAME };
  return { audio: whisperAudioProcessor(json, options, processorFileName(files, "feature_extractor")) };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readWhisperConfig(json);
  return {
    towers: [audioTower(config)],
    prefixes:
      config.family === "whisper" ? ["", "encoder.", "model.encoder."] : ["", "audio_tower.", "model.audio_tower."],
    processors: (files) => processors(config, files),
  };
}

const WHISPER: EncoderSpec = {
  name: "whisper",
  modelTypes: WHISPER_MODEL_TYPES,
  files: PROCESSOR_FILES,
  audioProcessors: { WhisperFeatureExtractor: featureExtractor },
  open,
};

/** Encoder `whisper`, for `model_type` whisper, qwen2_audio and qwen2_audio_encoder: an audio tower. */
export const whisperPlugin: Plugin = definePlugin({
  name: "@fovea/whisper",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [WHISPER],
});
