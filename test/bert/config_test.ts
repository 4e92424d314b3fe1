import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type BertConfig, mostTokens, readBertConfig } from "../../plugins/bert/config.ts";
import { BERT_NAMES, DISTILBERT_NAMES, MPNET_NAMES, NOMIC_BERT_NAMES } from "../../plugins/bert/names.ts";
import {
  readSentenceConfig,
  readSentenceTextConfig,
  type SentenceConfig,
  sentenceWeightFiles,
} from "../../runtime/abi/sentence_config.ts";
import { FIXTURES, readJson } from "./text_kit.ts";

/** What transformers gives to a BERT that says nothing. */
const BASE: BertConfig = {
  vocabSize: 30522,
  maxPositions: 512,
  firstPosition: 0,
  tokenTypes: 2,
  relativeBuckets: 0,
  hiddenSize: 768,
  intermediateSize: 3072,
  layers: 12,
  heads: 12,
  activation: "gelu",
  eps: 1e-12,
  bias: true,
  padTokenId: 0,
  pooler: true,
  names: BERT_NAMES,
};

test("bert config: absent fields are those of the base model", () => {
  assert.deepEqual(readBertConfig({ model_type: "bert" }), BASE);
  const mini = readBertConfig(readJson(join(FIXTURES, "configs/all-minilm-l6-v2/config.json")));
  assert.deepEqual([mini.hiddenSize, mini.layers, mini.heads, mini.intermediateSize], [384, 6, 12, 1536]);
});

test("bert config: heads that read every token are saved without a pooler", () => {
  const pooler = (...architectures: string[]): boolean => readBertConfig({ model_type: "bert", architectures }).pooler;
  for (const name of ["BertModel", "BertForSequenceClassification", "BertForPreTraining"])
    assert.equal(pooler(name), true);
  for (const name of ["BertForMaskedLM", "BertForTokenClassification", "BertForQuestionAnswering", "BertLMHeadModel"])
    assert.equal(pooler(name), false);
});

test("bert config: RoBERTa's positions begin behind that of padding, and more of its heads have no pooler", () => {
  const read = (change: object): ReturnType<typeof readBertConfig> =>
    readBertConfig({ model_type: "roberta", ...change });
  const { vocabSize, padTokenId, firstPosition, maxPositions } = read({});
  assert.deepEqual([vocabSize, padTokenId, firstPosition, maxPositions], [50265, 1, 2, 512]);
  assert.equal(mostTokens(read({ max_position_embeddings: 514 })), 512);
  const multilingual = readBertConfig({ model_type: "xlm-roberta", pad_token_id: 0 });
  assert.deepEqual([multilingual.vocabSize, multilingual.firstPosition], [30522, 1]);
  const pooler = (name: string): boolean => read({ architectures: [name] }).pooler;
  for (const name of ["RobertaModel", "RobertaForMultipleChoice"]) assert.equal(pooler(name), true, name);
  for (const name of ["XLMRobertaForMaskedLM", "RobertaForCausalLM", "CamembertForSequenceClassification"])
    assert.equal(pooler(name), false, name);
  assert.throws(() => read({ pad_token_id: -1 }), {
    code: "invalid_config",
    message: /`pad_token_id` holds -1; expected a whole number from 0 to 510: positions begin behind it/,
  });
});

test("bert config: DistilBERT has fields, names and defaults of its own", () => {
  const found = readBertConfig({ model_type: "distilbert", n_heads: 3, dim: 96, architectures: ["DistilBertModel"] });
  const own = { hiddenSize: 96, layers: 6, heads: 3, tokenTypes: 0, pooler: false, names: DISTILBERT_NAMES };
  assert.deepEqual(found, { ...BASE, ...own });
  assert.throws(() => readBertConfig({ model_type: "distilbert", n_heads: 5 }), {
    code: "invalid_config",
    message: /`n_heads` holds 5; expected a divisor of dim 768/,
  });
});

test("bert config: MPNet has no token types, and buckets of distances", () => {
  const found = readBertConfig({ model_type: "mpnet", max_position_embeddings: 514, architectures: ["MPNetModel"] });
  const own = { vocabSize: 30527, maxPositions: 514, firstPosition: 2, padTokenId: 1, tokenTypes: 0 };
  assert.deepEqual(found, { ...BASE, ...own, relativeBuckets: 32, names: MPNET_NAMES });
  assert.equal(readBertConfig({ model_type: "mpnet", architectures: ["MPNetForMaskedLM"] }).pooler, false);
  assert.throws(() => readBertConfig({ model_type: "mpnet", pad_token_id: 0 }), {
    code: "invalid_config",
    message: /`pad_token_id` holds 0; expected 1, where MPNet's positions begin/,
  });
  assert.throws(() => readBertConfig({ model_type: "mpnet", relative_attention_num_buckets: 16 }), {
    code: "invalid_config",
    message: /`relative_attention_num_buckets` holds 16; expected a whole number/,
  });
});

test("bert config: Nomic BERT has the spelling of its authors and that of transformers", () => {
  const published = {
    ...{ model_type: "nomic_bert", activation_function: "swiglu", n_embd: 64, n_head: 4, n_inner: 96, n_layer: 3 },
    ...{ n_positions: 8192, layer_norm_epsilon: 1e-6, rotary_emb_base: 500, rotary_emb_fraction: 1.0 },
    ...{ rotary_scaling_factor: null, prenorm: false, vocab_size: 99 },
  };
  const found = {
    ...{ vocabSize: 99, maxPositions: 8192, firstPosition: 0, padTokenId: 0, tokenTypes: 2, relativeBuckets: 0 },
    ...{ hiddenSize: 64, intermediateSize: 96, layers: 3, heads: 4, activation: "silu", eps: 1e-6, theta: 500 },
    ...{ bias: false, pooler: false, names: NOMIC_BERT_NAMES },
  };
  assert.deepEqual(readBertConfig(published), found);
  const own = {
    ...{ model_type: "nomic_bert", hidden_size: 64, num_attention_heads: 4, intermediate_size: 96, vocab_size: 99 },
    ...{ num_hidden_layers: 3, max_position_embeddings: 8192, layer_norm_eps: 1e-6 },
    rope_parameters: { rope_type: "default", rope_theta: 500 },
  };
  assert.deepEqual(readBertConfig(own), found);
  const { theta, maxPositions } = readBertConfig({ model_type: "nomic_bert" });
  assert.deepEqual([theta, maxPositions], [1000, 2048]);
  const refused = (change: object, message: RegExp): void => {
    assert.throws(() => readBertConfig({ ...published, ...change }), { code: "invalid_config", message });
  };
  refused({ prenorm: true }, /`prenorm` holds true; expected false/);
  refused({ activation_function: "gelu" }, /`activation_function` holds "gelu"; expected one of swiglu/);
  refused({ rotary_scaling_factor: 2 }, /`rotary_scaling_factor` holds 2; expected null; positions are not scaled/);
  refused({ num_experts: 8 }, /`num_experts` holds 8; expected none: mixtures of experts/);
  refused({ n_head: 64 }, /`n_head` holds 64; expected a divisor of half of the width 64/);
});

test("bert config: errors name the field, what it holds and what was expected", () => {
  const refused = (change: object, message: RegExp): void => {
    assert.throws(() => readBertConfig({ model_type: "bert", ...change }), { code: "invalid_config", message });
  };
  refused(
    { model_type: "robert" },
    /`model_type` holds "robert"; expected one of bert, roberta, xlm-roberta, camembert, distilbert, mpnet, nomic_bert/,
  );
  refused({ hidden_size: "768" }, /`hidden_size` holds "768"; expected a whole number/);
  refused({ num_attention_heads: 7 }, /`num_attention_heads` holds 7; expected a divisor of hidden_size 768/);
  refused({ num_hidden_layers: 0 }, /`num_hidden_layers` holds 0; expected a whole number from 1 to 1024/);
  refused({ hidden_act: "swish7" }, /`hidden_act` holds "swish7"; expected one of gelu/);
  refused({ layer_norm_eps: -1 }, /`layer_norm_eps` holds -1/);
  refused({ type_vocab_size: 1.5 }, /`type_vocab_size` holds 1.5/);
  refused(
    { position_embedding_type: "relative_key" },
    /`position_embedding_type` holds "relative_key"; expected one of absolute/,
  );
  refused({ is_decoder: true }, /`is_decoder` holds true; expected false; decoders are not encoders/);
  refused({ add_cross_attention: 1 }, /`add_cross_attention` holds 1; expected true or false/);
  refused({ architectures: "BertModel" }, /`architectures` holds "BertModel"; expected a list of texts/);
});

const POOLING = "1_Pooling/config.json";
const pipeline = (...kinds: string[]): object[] =>
  kinds.map((kind, i) => ({ idx: i, type: `some.package.${kind}`, path: i === 0 ? "" : `${i}_${kind}` }));

test("sentence config: pooling modes in the spellings of both generations", () => {
  const modes = (pooling: object): readonly string[] | undefined => readSentenceConfig({ [POOLING]: pooling })?.modes;
  assert.equal(readSentenceConfig({ "modules.json": pipeline("Transformer", "Pooling") }), undefined);
  assert.deepEqual(modes({}), ["mean"]);
  assert.deepEqual(modes({ pooling_mode: "cls" }), ["cls"]);
  assert.deepEqual(modes({ pooling_mode: ["mean", "cls"] }), ["mean", "cls"]);
  assert.deepEqual(modes({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }), ["cls"]);
  assert.deepEqual(modes({ pooling_mode_mean_tokens: false }), ["mean"]);
  const all = {
    pooling_mode_mean_sqrt_len_tokens: true,
    pooling_mode_mean_tokens: true,
    pooling_mode_max_tokens: true,
  };
  assert.deepEqual(modes({ ...all, pooling_mode_cls_token: true }), ["cls", "max", "mean", "mean_sqrt_len_tokens"]);
  assert.deepEqual(modes({ ...all, pooling_mode_lasttoken: true }), [
    "max",
    "mean",
    "mean_sqrt_len_tokens",
    "lasttoken",
  ]);
});

test("sentence config: modules say whether vectors are normalised", () => {
  const normalize = (modules?: unknown): boolean | undefined =>
    readSentenceConfig({ [POOLING]: {}, ...(modules === undefined ? {} : { "modules.json": modules }) })?.normalize;
  assert.equal(normalize(), false);
  assert.equal(normalize(pipeline("Transformer", "Pooling")), false);
  assert.equal(normalize(pipeline("Transformer", "Pooling", "Normalize")), true);
});

test("sentence config: dense layers behind pooling", () => {
  const modules = pipeline("Transformer", "Pooling", "Dense", "Dense", "Normalize");
  const read = (first: object, second: unknown = { in_features: 8, out_features: 4 }): SentenceConfig | undefined =>
    readSentenceConfig({
      ...{ [POOLING]: {}, "modules.json": modules },
      "2_Dense/config.json": { in_features: 16, out_features: 8, ...first },
      "3_Dense/config.json": second,
    });
  const activation = (activation_function?: string): unknown => read({ activation_function })?.dense[0].activation;
  const sentence = read({ bias: false });
  const wide = { prefix: "2_Dense.linear.", inFeatures: 16, outFeatures: 8, bias: false, activation: "tanh" };
  const narrow = { prefix: "3_Dense.linear.", inFeatures: 8, outFeatures: 4, bias: true, activation: "tanh" };
  assert.deepEqual(sentence, { modes: ["mean"], dense: [wide, narrow], normalize: true });
  assert.deepEqual(sentenceWeightFiles(sentence), {
    "2_Dense/model.safetensors": "2_Dense.",
    "3_Dense/model.safetensors": "3_Dense.",
  });
  assert.deepEqual(sentenceWeightFiles(undefined), {});
  assert.equal(activation("torch.nn.modules.linear.Identity"), undefined);
  assert.equal(activation("torch.nn.modules.activation.GELU"), "gelu");
  const refused = (first: object, message: RegExp): void =>
    assert.throws(() => read(first), { code: "invalid_config", message });
  refused({ activation_function: "torch.nn.Softplus" }, /2_Dense\/config.json: the field `activation_function` holds/);
  refused({ use_residual: true }, /`use_residual` holds true; expected false/);
  refused({ module_input_name: "token_embeddings" }, /`module_input_name` holds "token_embeddings"; expected/);
  refused({ out_features: 0 }, /`out_features` holds 0; expected/);
  assert.throws(() => read({}, null), {
    code: "invalid_config",
    message: /3_Dense\/config.json must be a JSON object/,
  });
  const elsewhere = modules.map((m) => ({ ...m, path: (m as { path: string }).path.replace("2_", "5_") }));
  assert.throws(() => readSentenceConfig({ [POOLING]: {}, "modules.json": elsewhere }), {
    code: "invalid_config",
    message: /`\[2\].path` holds "5_Dense"; expected "2_Dense"/,
  });
});

test("sentence config: what cannot be computed is refused by name", () => {
  const refused = (files: object, message: RegExp): void => {
    assert.throws(() => readSentenceConfig({ [POOLING]: {}, ...files }), { code: "invalid_config", message });
  };
  refused({ [POOLING]: [] }, /1_Pooling\/config.json must be a JSON object/);
  refused({ [POOLING]: { pooling_mode: "median" } }, /`pooling_mode` holds "median"; expected one of cls, max, mean, /);
  refused(
    { [POOLING]: { pooling_mode: ["cls", "weightedmean"] } },
    /`pooling_mode` holds .*; expected some of cls, max/,
  );
  refused({ [POOLING]: { pooling_mode: [] } }, /`pooling_mode` holds \[\]; expected some of/);
  refused(
    { [POOLING]: { pooling_mode_weightedmean_tokens: true } },
    /`pooling_mode_weightedmean_tokens` holds true; expected false/,
  );
  refused(
    { [POOLING]: { pooling_mode_cls_token: "yes" } },
    /`pooling_mode_cls_token` holds "yes"; expected true or false/,
  );
  refused({ "modules.json": {} }, /modules.json must be a list of modules/);
  refused({ "modules.json": [{ type: 3 }] }, /modules.json: the field `\[0\].type` holds 3; expected a text/);
  refused(
    { "modules.json": pipeline("Transformer", "Pooling", "Normalize", "Dense") },
    /lists Transformer, Pooling, Normalize, Dense; expected Transformer, Pooling, then perhaps one or two of Dense, and/,
  );
  refused({ "modules.json": pipeline("Transformer") }, /lists Transformer; expected/);
  refused(
    { "modules.json": [{ type: "a.Transformer" }, { type: "a.Pooling", path: "2_Pooling" }] },
    /the field `\[1\].path` holds "2_Pooling"; expected "1_Pooling"/,
  );
});

test("sentence config: limits and case of texts", () => {
  const read = (json?: object): unknown =>
    readSentenceTextConfig(json === undefined ? {} : { "sentence_bert_config.json": json });
  assert.deepEqual(read(), { lowercase: false });
  assert.deepEqual(read({ max_seq_length: 256, do_lower_case: true }), { cutTo: 256, lowercase: true });
  assert.deepEqual(read({ max_seq_length: null }), { lowercase: false });
  assert.throws(() => read({ max_seq_length: "256" }), {
    code: "invalid_config",
    message: /sentence_bert_config.json: the field `max_seq_length` holds "256"/,
  });
});
