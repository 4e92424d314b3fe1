/**
 * Text embedders that are made of language models of decoder blocks, pooled as `modules.json` and `1_Pooling/config.json`
 * say: EmbeddingGemma (Gemma Team 2025), Qwen3-Embedding (Zhang et al. 2025), and the hidden states of Gemma 3 and Qwen3.
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
import { DECODER_MODEL_TYPES, type DecoderConfig, readDecoderConfig } from "./config.ts";
import { decoderTower } from "./plan.ts";

/** Nothing where the folder has no tokenizer. */
function processors({ maxTokens, padTokenId: padId }: DecoderConfig, files: ModelFiles): Processors {
  if (files["tokenizer.json"] === undefined) return {};
  return { texts: createTextProcessor(files, { maxTokens, padId, ...readSentenceTextConfig(files) }) };
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readDecoderConfig(json);
  const sentence = readSentenceConfig(files);
  return {
    towers: [decoderTower(config, sentence)],
    weightFiles: sentenceWeightFiles(sentence),
    prefixes: ["", "model."],
    processors: (found) => processors(config, found),
  };
}

const DECODER: EncoderSpec = {
  name: "decoder",
  modelTypes: DECODER_MODEL_TYPES,
  files: ["tokenizer.json", "tokenizer_config.json", ...SENTENCE_FILES],
  open,
};

/** Encoder `decoder`, for `model_type` gemma3_text and qwen3: a text tower, with sentence embeddings where the folder configures them. */
export const decoderPlugin: Plugin = definePlugin({
  name: "@fovea/decoder",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [DECODER],
});
