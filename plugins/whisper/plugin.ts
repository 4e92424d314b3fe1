/**
 * The encoders of Whisper (Radford et al. 2022), of Qwen2-Audio (Chu et al. 2024) and of Voxtral (Liu et al. 2025).
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { PROCESSOR_FILES, processorFile, processorFileName } from "../../runtime/abi/processor_files.ts";
import { readWhisperConfig, WHISPER_MODEL_TYPES, type WhisperConfig } from "./config.ts";
import { COUNT_NAME, MASK_NAME } from "./inputs.ts";
import { audioTower } from "./plan.ts";
import { featureExtractor, whisperAudioProcessor } from "./preprocess.ts";

function processors({ family, melBins }: WhisperConfig, files: ModelFiles): Processors {
  const json = processorFile(files, "feature_extractor");
  if (json === undefined) return {};
  const own = { qwen2_audio: { maskName: MASK_NAME }, voxtral: { countName: COUNT_NAME }, whisper: {} };
  const options = { melBins, ...own[family] };
  return { audio: whisperAudioProcessor(json, options, processorFileName(files, "feature_extractor")) };
}

function open(json: Readonly<Record<string, unknown>>): EncoderModel {
  const config = readWhisperConfig(json);
  return {
    towers: [audioTower(config)],
    prefixes:
      config.family === "whisper"
        ? ["", "encoder.", "model.encoder."]
        : ["", ...(config.projector === undefined ? [] : ["model."]), "audio_tower.", "model.audio_tower."],
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

/** Encoder `whisper`, for `model_type` whisper, and qwen2_audio and voxtral as they are or with `_encoder`: an audio tower. */
export const whisperPlugin: Plugin = definePlugin({
  name: "@fovea/whisper",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [WHISPER],
});
