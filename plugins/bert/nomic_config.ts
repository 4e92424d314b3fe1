/**
 * `config.json` of Nomic BERT (Nussbaum et al. 2024), in both spellings: that of its authors' own code, as published, and that
 * of Hugging Face transformers.
 */
import type { ConfigReader } from "../../runtime/abi/config.ts";
import { ropeTheta } from "../../runtime/abi/rotary_config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";
import type { BertConfig } from "./config.ts";
import { NOMIC_BERT_NAMES } from "./names.ts";

/** BERT with rotary positions, gated perceptrons and no biases. */
export const NOMIC_BERT_MODEL_TYPE = "nomic_bert";

const SIZE = { min: 1, max: 1 << 20 };

/** Settings of the authors' code that no published text embedder has. */
function refuseVariants(c: ConfigReader): void {
  const biases = ["qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"];
  for (const field of ["prenorm", "causal", "use_rms_norm", "rotary_emb_interleaved", ...biases])
    if (c.boolean(field, false)) throw c.error(field, "false, as published text embedders have it");
  for (const field of ["rotary_emb_scale_base", "rotary_scaling_factor"])
    if (c.has(field)) throw c.error(field, "null; positions are not scaled here");
  if (c.number("rotary_emb_fraction", 1) !== 1) throw c.error("rotary_emb_fraction", "1: all of a head turns");
  if (c.integer("num_experts", 0) > 1) throw c.error("num_experts", "none: mixtures of experts are not supported");
}

/** The gate's activation, which the authors' code calls by the whole perceptron. */
function readActivation(c: ConfigReader): string {
  if (!c.has("activation_function")) return c.oneOf("hidden_act", ACTIVATION_NAMES, "silu");
  c.oneOf("activation_function", ["swiglu"]);
  return "silu";
}

/** Base of the angles. */
function readTheta(c: ConfigReader): number {
  if (!c.has("rope_parameters")) return c.number("rotary_emb_base", 1000, { min: 1 });
  return ropeTheta(c.object("rope_parameters"), 1000);
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected */
export function readNomicBert(c: ConfigReader): BertConfig {
  refuseVariants(c);
  /** The authors' name of a size where the configuration has it. */
  const size = (own: string, field: string, fallback: number): number =>
    c.integer(c.has(own) ? own : field, fallback, SIZE);
  const hiddenSize = size("n_embd", "hidden_size", 768);
  const heads = size("n_head", "num_attention_heads", 12);
  if (hiddenSize % (2 * heads) !== 0)
    throw c.error(c.has("n_head") ? "n_head" : "num_attention_heads", `a divisor of half of the width ${hiddenSize}`);
  return {
    vocabSize: c.integer("vocab_size", 30528, { min: 1 }),
    maxPositions: size("n_positions", "max_position_embeddings", 2048),
    firstPosition: 0,
    padTokenId: c.integer("pad_token_id", 0),
    tokenTypes: c.integer("type_vocab_size", 2, { min: 0 }),
    relativeBuckets: 0,
    hiddenSize,
    intermediateSize: size("n_inner", "intermediate_size", 3072),
    layers: c.integer(c.has("n_layer") ? "n_layer" : "num_hidden_layers", 12, { min: 1, max: 1024 }),
    heads,
    activation: readActivation(c),
    eps: c.number(c.has("layer_norm_epsilon") ? "layer_norm_epsilon" : "layer_norm_eps", 1e-12, { min: 0 }),
    theta: readTheta(c),
    bias: false,
    pooler: false,
    names: NOMIC_BERT_NAMES,
  };
}
