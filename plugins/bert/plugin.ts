/**
 * BERT (Devlin et al. 2019) and what was trained from it, sentence embedders such as MiniLM, E5, BGE and GTE among them:
 * what `modules.json` and `1_Pooling/config.json` say of pooling is computed as well.
 * @module
 */
import type { EncoderModel, EncoderSpec, ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { readSentenceConfig, readSentenceTextConfig, SENTENCE_FILES } from "../../runtime/abi/sentence_config.ts";
import { createTextProcessor } from "../../runtime/media/token_inputs.ts";
import { adaptBertConfig, BERT_MODEL_TYPES, type BertConfig, readBertConfig } from "./config.ts";
import { bertTower } from "./plan.ts";

/** Nothing where the folder has no tokenizer. */
function processors({ maxPositions: maxTokens, padTokenId: padId }: BertConfig, files: ModelFiles): Processors {
  if (files["tokenizer.json"] === undefined) return {};
  return { texts: createTextProcessor(files, { maxTokens, padId, ...readSentenceTextConfig(files) }) };
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readBertConfig(json);
  return {
    towers: [bertTower(config, readSentenceConfig(files))],
    prefixes: ["", "bert."],
    // As the first checkpoints were converted.
    oldEndings: { "LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta" },
    processors: (found) => processors(config, found),
  };
}

const BERT: EncoderSpec = {
  name: "bert",
  modelTypes: BERT_MODEL_TYPES,
  files: ["tokenizer.json", "tokenizer_config.json", ...SENTENCE_FILES],
  open,
  adapt: adaptBertConfig,
};

/** Encoder `bert`, for `model_type` bert: a text tower, with sentence embeddings where the folder configures them. */
export const bertPlugin: Plugin = definePlugin({
  name: "@fovea/bert",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [BERT],
});
