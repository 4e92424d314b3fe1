/** How checkpoints of each family name a layer's weights; all names but the layer's are relative to it and end with their dot. */

export interface LayerNames {
  /** The norm of embeddings, not of a layer. */
  readonly embeddingNorm: string;
  /** A layer, by its number. */
  readonly layer: (at: number) => string;
  /** Query, key and value: products of their own, or thirds of one. */
  readonly projections: readonly string[];
  /** What follows attention, and its norm. */
  readonly attended: string;
  readonly attendedNorm: string;
  /** The two layers of the perceptron, and its norm. */
  readonly inner: string;
  /** What the first layer is gated by, where it is. */
  readonly gate?: string;
  readonly outer: string;
  readonly outerNorm: string;
}

export const BERT_NAMES: LayerNames = {
  embeddingNorm: "embeddings.LayerNorm.",
  layer: (at) => `encoder.layer.${at}.`,
  projections: ["attention.self.query.", "attention.self.key.", "attention.self.value."],
  attended: "attention.output.dense.",
  attendedNorm: "attention.output.LayerNorm.",
  inner: "intermediate.dense.",
  outer: "output.dense.",
  outerNorm: "output.LayerNorm.",
};

export const MPNET_NAMES: LayerNames = {
  ...BERT_NAMES,
  projections: ["attention.attn.q.", "attention.attn.k.", "attention.attn.v."],
  attended: "attention.attn.o.",
  attendedNorm: "attention.LayerNorm.",
};

export const DISTILBERT_NAMES: LayerNames = {
  embeddingNorm: "embeddings.LayerNorm.",
  layer: (at) => `transformer.layer.${at}.`,
  projections: ["attention.q_lin.", "attention.k_lin.", "attention.v_lin."],
  attended: "attention.out_lin.",
  attendedNorm: "sa_layer_norm.",
  inner: "ffn.lin1.",
  outer: "ffn.lin2.",
  outerNorm: "output_layer_norm.",
};

export const NOMIC_BERT_NAMES: LayerNames = {
  embeddingNorm: "emb_ln.",
  layer: (at) => `encoder.layers.${at}.`,
  projections: ["attn.Wqkv."],
  attended: "attn.out_proj.",
  attendedNorm: "norm1.",
  inner: "mlp.fc11.",
  gate: "mlp.fc12.",
  outer: "mlp.fc2.",
  outerNorm: "norm2.",
};
