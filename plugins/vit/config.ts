/** `config.json` of ViT, DeiT, ViT MSN and I-JEPA, with the defaults that Hugging Face transformers gives to absent fields. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { EncoderSpec } from "../../runtime/abi/encoder.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

/** Sizes in elements. */
export interface VitConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  /** False where queries, keys and values have no bias. */
  readonly qkvBias: boolean;
  /** Pixels of the square image. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Tensors below `embeddings.` of the learned tokens before the patches, in their order. */
  readonly tokens: readonly string[];
  /** Absent for checkpoints whose architecture has none. */
  readonly pooler?: { readonly size: number; readonly activation: string };
}

interface Family extends Pick<VitConfig, "tokens"> {
  /** Default of `layer_norm_eps`. */
  readonly eps: number;
  /** The architecture that pools, if any does; ones with another head were saved without a pooler. */
  readonly pooled?: string;
}

/**
 * By `model_type`: ViT; DeiT (Touvron et al. 2021), whose second token learned from a teacher; ViT MSN (Assran et al. 2022);
 * I-JEPA (Assran et al. 2023), which has patches alone.
 */
const FAMILIES: Readonly<Record<string, Family>> = {
  vit: { tokens: ["cls_token"], eps: 1e-12, pooled: "ViTModel" },
  deit: { tokens: ["cls_token", "distillation_token"], eps: 1e-12, pooled: "DeiTModel" },
  vit_msn: { tokens: ["cls_token"], eps: 1e-6 },
  ijepa: { tokens: [], eps: 1e-12 },
};

/** `model_type` values. */
export const VIT_MODEL_TYPES: readonly string[] = Object.keys(FAMILIES);

/** Of a model's constructor in transformers; configurations do not have it. */
const POOLER_FIELD = "add_pooling_layer";
const SIZE = { min: 1, max: 1 << 20 };

/** Backbones may be saved without the pooler, as the architecture that has one. */
export const adaptVitConfig: NonNullable<EncoderSpec["adapt"]> = (config, has) =>
  has("pooler.dense.weight") ? config : { ...config, [POOLER_FIELD]: false };

function readPooler(c: ConfigReader, hiddenSize: number, pooled: string | undefined): VitConfig["pooler"] {
  if (pooled === undefined) return undefined;
  const size = c.integer("pooler_output_size", hiddenSize, SIZE);
  const activation = c.oneOf("pooler_act", ["tanh", ...ACTIVATION_NAMES], "tanh");
  const isPooled = c.boolean(POOLER_FIELD, true) && c.strings("architectures", [pooled]).includes(pooled);
  return isPooled ? { size, activation } : undefined;
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readVitConfig(config: Readonly<Record<string, unknown>>): VitConfig {
  const c = createConfigReader(config);
  const { tokens, eps, pooled } = FAMILIES[c.oneOf("model_type", VIT_MODEL_TYPES)];
  const hiddenSize = c.integer("hidden_size", 768, SIZE);
  const heads = c.integer("num_attention_heads", 12, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  const imageSize = c.integer("image_size", 224, SIZE);
  const patchSize = c.integer("patch_size", 16, SIZE);
  if (imageSize < patchSize) throw c.error("image_size", `at least patch_size ${patchSize}`);
  const pooler = readPooler(c, hiddenSize, pooled);
  return {
    hiddenSize,
    heads,
    imageSize,
    patchSize,
    tokens,
    intermediateSize: c.integer("intermediate_size", 3072, SIZE),
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    eps: c.number("layer_norm_eps", eps, { min: 0 }),
    qkvBias: c.boolean("qkv_bias", true),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
    ...(pooler === undefined ? {} : { pooler }),
  };
}
