import type { Json } from "../kit/tower_fixtures.ts";

/** What facebook/hubert-large-ls960-ft says of its encoder. */
export const HUBERT_LARGE: Json = {
  model_type: "hubert",
  hidden_size: 1024,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  intermediate_size: 4096,
  conv_bias: true,
  feat_extract_norm: "layer",
  do_stable_layer_norm: true,
  feat_proj_layer_norm: true,
};
