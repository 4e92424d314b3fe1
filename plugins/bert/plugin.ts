/**
 * BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020), DistilBERT (Sanh et al. 2019),
 * MPNet (Song et al. 2020), Nomic BERT (Nussbaum et al. 2024) and what was trained from them, sentence embedders such as
 * MiniLM, E5, BGE and all-mpnet among them: what `modules.json` and `1_Pooling/config.json` say of pooling is computed as well.
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
import { adaptBertConfig, BERT_MODEL_TYPES, type BertConfig, mostTokens, readBertConfig } from "./config.ts";
import { bertTower } from "./plan.ts";

/** Nothing where the folder has no tokenizer. */
function processors(config: BertConfig, files: ModelFiles): Processors {
  if (files["tokenizer.json"] === undefined) return {};
  const limits = { maxTokens: mostTokens(config), padId: config.padTokenId };
  return { texts: createTextProcessor(files, { ...limits, ...readSentenceTextConfig(files) }) };
}

function open(json: Readonly<Record<string, unknown>>, files: ModelFiles = {}): EncoderModel {
  const config = readBertConfig(json);
  const sentence = readSentenceConfig(files);
  return {
    towers: [bertTower(config, sentence)],
    weightFiles: sentenceWeightFiles(sentence),
    prefixes: ["", "bert.", "roberta.", "distilbert.", "mpnet."],
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

/** Encoder `bert`, for `model_type` bert, roberta, xlm-roberta, camembert, distilbert, mpnet and nomic_bert: a text tower, with sentence embeddings where the folder configures them. */
export const bertPlugin: Plugin = definePlugin({
  name: "@fovea/bert",
  version: "0.1.0",
  abi: ABI_VERSION,
  encoders: [BERT],
});
