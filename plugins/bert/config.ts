/** `config.json` of BERT and of what was made of it, with the defaults that Hugging Face transformers gives to absent fields. */

import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { EncoderSpec } from "../../runtime/abi/encoder.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";
import { BERT_NAMES, DISTILBERT_NAMES, type LayerNames, MPNET_NAMES } from "./names.ts";
import { NOMIC_BERT_MODEL_TYPE, readNomicBert } from "./nomic_config.ts";
import { BUCKETS } from "./relative_positions.ts";

/** Sizes in elements. */
export interface BertConfig {
  readonly vocabSize: number;
  /** Rows of the position table. */
  readonly maxPositions: number;
  /** Row of a text's first token: 0, and behind that of padding in RoBERTa, whose padding has a row and takes no other. */
  readonly firstPosition: number;
  /** Number of token types; 0 for models without. */
  readonly tokenTypes: number;
  /** Rows of the table of what attention's scores gain by distance; 0 for models without. */
  readonly relativeBuckets: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  readonly padTokenId: number;
  /** Base of the angles by which attention turns queries and keys, in place of a table of positions. */
  readonly theta?: number;
  /** Of products. */
  readonly bias: boolean;
  /** True where the checkpoint has the dense layer over the first token. */
  readonly pooler: boolean;
  readonly names: LayerNames;
}

/** RoBERTa (Liu et al. 2019) and what differs from it in training alone, XLM-RoBERTa (Conneau et al. 2020) foremost. */
const ROBERTA_MODEL_TYPES = ["roberta", "xlm-roberta", "camembert"];

/** DistilBERT (Sanh et al. 2019): BERT without token types and pooler, in names of its own. */
const DISTILBERT_MODEL_TYPE = "distilbert";

/** MPNet (Song et al. 2020): RoBERTa without token types, whose attention looks at distances as well. */
const MPNET_MODEL_TYPE = "mpnet";

/** `model_type` values. */
export const BERT_MODEL_TYPES: readonly string[] = [
  "bert",
  ...ROBERTA_MODEL_TYPES,
  DISTILBERT_MODEL_TYPE,
  MPNET_MODEL_TYPE,
  NOMIC_BERT_MODEL_TYPE,
];

const SIZE = { min: 1, max: 1 << 20 };

/** Heads that read every token are saved without the dense layer over the first one, RoBERTa's and MPNet's that classify texts as well. */
const WITHOUT_POOLER = {
  bert: /(?:ForMaskedLM|ForTokenClassification|ForQuestionAnswering|LMHeadModel)$/,
  roberta: /For(?:CausalLM|MaskedLM|QuestionAnswering|SequenceClassification|TokenClassification)$/,
};

/** Most tokens of a text. */
export const mostTokens = ({ maxPositions, firstPosition }: BertConfig): number => maxPositions - firstPosition;

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

/** RoBERTa numbers positions from the one behind padding's, which is the padding's id. */
function positionBehind(c: ConfigReader, padTokenId: number, maxPositions: number): number {
  if (padTokenId < 0 || padTokenId + 1 >= maxPositions) {
    throw c.error("pad_token_id", `a whole number from 0 to ${maxPositions - 2}: positions begin behind it`);
  }
  return padTokenId + 1;
}

const DEFAULT_EPS = 1e-12;

/** Sizes of vocabularies that differ from BERT's. */
const VOCABULARIES: Readonly<Record<string, number>> = { roberta: 50265, mpnet: 30527 };

type Shared = Pick<BertConfig, "vocabSize" | "maxPositions" | "firstPosition" | "padTokenId">;

/** Widths, as the families name them. */
function readWidths(
  c: ConfigReader,
  fields: { readonly hidden: string; readonly intermediate: string; readonly layers: string; readonly heads: string },
  defaults: { readonly layers: number },
): Pick<BertConfig, "hiddenSize" | "intermediateSize" | "layers" | "heads"> {
  const hiddenSize = c.integer(fields.hidden, 768, SIZE);
  const heads = c.integer(fields.heads, 12, SIZE);
  if (hiddenSize % heads !== 0) throw c.error(fields.heads, `a divisor of ${fields.hidden} ${hiddenSize}`);
  return {
    hiddenSize,
    intermediateSize: c.integer(fields.intermediate, 3072, SIZE),
    layers: c.integer(fields.layers, defaults.layers, { min: 1, max: 1024 }),
    heads,
  };
}

function readDistilBert(c: ConfigReader, shared: Shared): BertConfig {
  const fields = { hidden: "dim", intermediate: "hidden_dim", layers: "n_layers", heads: "n_heads" };
  return {
    ...shared,
    ...readWidths(c, fields, { layers: 6 }),
    tokenTypes: 0,
    relativeBuckets: 0,
    activation: c.oneOf("activation", ACTIVATION_NAMES, "gelu"),
    eps: DEFAULT_EPS,
    bias: true,
    pooler: false,
    names: DISTILBERT_NAMES,
  };
}

/** What MPNet has in place of token types, and names of its own. */
function asMpnet(c: ConfigReader, config: BertConfig): BertConfig {
  // Transformers counts positions from there whatever the configuration says.
  if (config.padTokenId !== 1) throw c.error("pad_token_id", "1, where MPNet's positions begin");
  const relativeBuckets = c.integer("relative_attention_num_buckets", BUCKETS, { min: BUCKETS });
  return { ...config, tokenTypes: 0, relativeBuckets, names: MPNET_NAMES };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readBertConfig(config: Readonly<Record<string, unknown>>): BertConfig {
  const c = createConfigReader(config);
  const type = c.oneOf("model_type", BERT_MODEL_TYPES);
  if (type === NOMIC_BERT_MODEL_TYPE) return readNomicBert(c);
  const family = type === MPNET_MODEL_TYPE || ROBERTA_MODEL_TYPES.includes(type) ? "roberta" : "bert";
  refuseVariants(c);
  const maxPositions = c.integer("max_position_embeddings", 512, SIZE);
  const padTokenId = c.integer("pad_token_id", family === "bert" ? 0 : 1);
  const shared = {
    vocabSize: c.integer("vocab_size", VOCABULARIES[type] ?? 30522, { min: 1 }),
    maxPositions,
    firstPosition: family === "bert" ? 0 : positionBehind(c, padTokenId, maxPositions),
    padTokenId,
  };
  if (type === DISTILBERT_MODEL_TYPE) return readDistilBert(c, shared);
  const fields = {
    ...{ hidden: "hidden_size", intermediate: "intermediate_size" },
    ...{ layers: "num_hidden_layers", heads: "num_attention_heads" },
  };
  const found = {
    ...shared,
    ...readWidths(c, fields, { layers: 12 }),
    tokenTypes: c.integer("type_vocab_size", 2, { min: 1 }),
    relativeBuckets: 0,
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    eps: c.number("layer_norm_eps", DEFAULT_EPS, { min: 0 }),
    bias: true,
    pooler:
      c.boolean(POOLER_FIELD, true) &&
      !c.strings("architectures", []).some((name) => WITHOUT_POOLER[family].test(name)),
    names: BERT_NAMES,
  };
  return type === MPNET_MODEL_TYPE ? asMpnet(c, found) : found;
}
