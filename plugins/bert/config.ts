/** BERT's `config.json`, with the defaults that Hugging Face transformers gives to absent fields. */

import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { EncoderSpec } from "../../runtime/abi/encoder.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** Sizes in elements. */
export interface BertConfig {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly tokenTypes: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  readonly padTokenId: number;
  /** True where the checkpoint has the dense layer over the first token. */
  readonly pooler: boolean;
}

/** `model_type` values. */
export const BERT_MODEL_TYPES: readonly string[] = ["bert"];

const SIZE = { min: 1, max: 1 << 20 };

/** Heads that read every token are saved without the dense layer over the first one. */
const WITHOUT_POOLER = /(?:ForMaskedLM|ForTokenClassification|ForQuestionAnswering|LMHeadModel)$/;

/** Of a model's constructor in transformers; configurations do not have it. */
const POOLER_FIELD = "add_pooling_layer";

/** Sentence embedders may be saved without the pooler, which they do not use, as the architecture that has one. */
export const adaptBertConfig: NonNullable<EncoderSpec["adapt"]> = (config, has) =>
  has("pooler.dense.weight") ? config : { ...config, [POOLER_FIELD]: false };

/** Fields of variants that this plugin does not compute. */
function refuseVariants(c: ConfigReader): void {
  c.oneOf("position_embedding_type", ["absolute"], "absolute");
  for (const field of ["is_decoder", "add_cross_attention"]) {
    if (c.boolean(field, false)) throw c.error(field, "false; decoders are not encoders");
  }
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readBertConfig(config: Readonly<Record<string, unknown>>): BertConfig {
  const c = createConfigReader(config);
  c.oneOf("model_type", BERT_MODEL_TYPES);
  refuseVariants(c);
  const hiddenSize = c.integer("hidden_size", 768, SIZE);
  const heads = c.integer("num_attention_heads", 12, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  return {
    vocabSize: c.integer("vocab_size", 30522, { min: 1 }),
    maxPositions: c.integer("max_position_embeddings", 512, SIZE),
    tokenTypes: c.integer("type_vocab_size", 2, { min: 1 }),
    hiddenSize,
    intermediateSize: c.integer("intermediate_size", 3072, SIZE),
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    heads,
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    eps: c.number("layer_norm_eps", 1e-12, { min: 0 }),
    padTokenId: c.integer("pad_token_id", 0),
    pooler: c.boolean(POOLER_FIELD, true) && !c.strings("architectures", []).some((name) => WITHOUT_POOLER.test(name)),
  };
}
