/**
 * ModernBERT (Warner et al. 2024): rotary positions, full and sliding attention, gated perceptrons; and the sentence
 * embedders made of it, pooled as `modules.json` and `1_Pooling/config.json` say.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import {
  readSentenceConfig,
  readSentenceTextConfig,
  SENTENCE_FILES,
  sentenceWeightFiles,
} from "../../runtime/abi/sentence_config.ts";
import { createTextProcessor } from "../../runtime/media/token_inputs.ts";
import { MODERNBERT_MODEL_TYPES, type ModernBertConfig, readModernBertConfig } from "./config.ts";
import { modernBertTower } from "./plan.ts";

/** Nothing where the folder has no tokenizer. */
function processors({ maxPositions: maxTokens, padTokenId: padId }: ModernBertConfig, files: ModelFiles): Processors {
  if (files["tokenizer.json"] === undefined) return {};
  return { texts: createTextProcessor(files, { maxTokens, padId, ...readSentenceTextConfig(files) }) };
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readModernBertConfig(json);
  const sentence = readSentenceConfig(files);
  return {
    towers: [modernBertTower(config, sentence)],
    weightFiles: sentenceWeightFiles(sentence),
    prefixes: ["", "model."],
    processors: (found) => processors(config, found),
  };
}

const MODERNBERT: EncoderSpec = {
  name: "modernbert",
  modelTypes: MODERNBERT_MODEL_TYPES,
  files: ["tokenizer.json", "tokenizer_config.json", ...SENTENCE_FILES],
  open,
};

/** Encoder `modernbert`, for that `model_type`: a text tower, with sentence embeddings where the folder configures them. */
export const modernBertPlugin: Plugin = definePlugin({
  name: "@fovea/modernbert",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [MODERNBERT],
});
