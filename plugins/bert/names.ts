/** How checkpoints of each family name a layer's weights; all names but the layer's are relative to it and end with their dot. */

export interface LayerNames {
  /** A layer, by its number. */
  readonly layer: (at: number) => string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  /** What follows attention, and its norm. */
  readonly attended: string;
  readonly attendedNorm: string;
  /** The two layers of the perceptron, and its norm. */
  readonly inner: string;
  readonly outer: string;
  readonly outerNorm: string;
}

export const BERT_NAMES: LayerNames = {
  layer: (at) => `encoder.layer.${at}.`,
  query: "attention.self.query.",
  key: "attention.self.key.",
  value: "attention.self.value.",
  attended: "attention.output.dense.",
  attendedNorm: "attention.output.LayerNorm.",
  inner: "intermediate.dense.",
  outer: "output.dense.",
  outerNorm: "output.LayerNorm.",
};

export const MPNET_NAMES: LayerNames = {
  ...BERT_NAMES,
  query: "attention.attn.q.",
  key: "attention.attn.k.",
  value: "attention.attn.v.",
  attended: "attention.attn.o.",
  attendedNorm: "attention.LayerNorm.",
};

export const DISTILBERT_NAMES: LayerNames = {
  layer: (at) => `transformer.layer.${at}.`,
  query: "attention.q_lin.",
  key: "attention.k_lin.",
  value: "attention.v_lin.",
  attended: "attention.out_lin.",
  attendedNorm: "sa_layer_norm.",
  inner: "ffn.lin1.",
  outer: "ffn.lin2.",
  outerNorm: "output_layer_norm.",
};
