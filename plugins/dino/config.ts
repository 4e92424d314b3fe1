/** `config.json` of DINOv2 and DINOv3, with the defaults that Hugging Face transformers gives to absent fields. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES, type ProjectionBiases } from "../../runtime/nn/mod.ts";

/** How tokens learn where they are. */
export type DinoPositions =
  /** A table for `side` x `side` patches, resized bicubically to others. */
  | { readonly kind: "table"; readonly side: number; readonly antialias: boolean }
  /** Queries and keys of patches are turned by the patch's place in the image. */
  | { readonly kind: "rotary"; readonly theta: number };

export interface DinoMlp {
  /** `glu` keeps gate and value in one matrix, `gated` in two. */
  readonly kind: "plain" | "glu" | "gated";
  readonly intermediateSize: number;
  readonly bias: boolean;
}

/** Sizes in elements. */
export interface DinoConfig {
  readonly family: "dinov2" | "dinov3";
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation by its Hugging Face name. */
  readonly activation: string;
  readonly eps: number;
  /** Pixels of the square image that the model was trained with; others are taken too. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Register tokens between the class token and the patches. */
  readonly registers: number;
  readonly biases: ProjectionBiases;
  readonly mlp: DinoMlp;
  readonly positions: DinoPositions;
}

/** `model_type` values. */
export const DINO_MODEL_TYPES: readonly string[] = ["dinov2", "dinov2_with_registers", "dinov3_vit"];

const SIZE = { min: 1, max: 1 << 20 };

interface Defaults {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly patchSize: number;
  readonly eps: number;
}

type Common = Omit<DinoConfig, "family" | "registers" | "biases" | "mlp" | "positions">;

function readCommon(c: ConfigReader, defaults: Defaults): Common {
  const hiddenSize = c.integer("hidden_size", defaults.hiddenSize, SIZE);
  const heads = c.integer("num_attention_heads", defaults.heads, SIZE);
  if (hiddenSize % heads !== 0) throw c.error("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  const patchSize = c.integer("patch_size", defaults.patchSize, SIZE);
  const imageSize = c.integer("image_size", 224, SIZE);
  if (imageSize < patchSize) throw c.error("image_size", `at least patch_size ${patchSize}`);
  return {
    hiddenSize,
    heads,
    patchSize,
    imageSize,
    layers: c.integer("num_hidden_layers", 12, { min: 1, max: 1024 }),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, "gelu"),
    eps: c.number("layer_norm_eps", defaults.eps, { min: 0 }),
    channels: c.integer("num_channels", 3, { min: 1, max: 64 }),
  };
}

function registerTokens(c: ConfigReader, fallback: number): number {
  return c.integer("num_register_tokens", fallback, { min: 0, max: 256 });
}

/** Two thirds of the plain width, rounded up to a multiple of 8. */
function gluWidth(plain: number): number {
  return Math.floor((Math.trunc((plain * 2) / 3) + 7) / 8) * 8;
}

function readDinov2(c: ConfigReader, withRegisters: boolean): DinoConfig {
  const common = readCommon(c, {
    hiddenSize: 768,
    heads: 12,
    patchSize: withRegisters ? 16 : 14,
    eps: 1e-6,
  });
  const plain = Math.trunc(common.hiddenSize * c.number("mlp_ratio", 4, { min: 2 ** -10, max: 1024 }));
  if (plain < 1) throw c.error("mlp_ratio", `at least 1 / hidden_size ${common.hiddenSize}`);
  const own = c.boolean("qkv_bias", true);
  return {
    ...common,
    family: "dinov2",
    registers: withRegisters ? registerTokens(c, 4) : 0,
    biases: { query: own, key: own, value: own, output: true },
    mlp: c.boolean("use_swiglu_ffn", false)
      ? { kind: "glu", intermediateSize: gluWidth(plain), bias: true }
      : { kind: "plain", intermediateSize: plain, bias: true },
    positions: { kind: "table", side: Math.floor(common.imageSize / common.patchSize), antialias: withRegisters },
  };
}

function readDinov3(c: ConfigReader): DinoConfig {
  const common = readCommon(c, { hiddenSize: 384, heads: 6, patchSize: 16, eps: 1e-5 });
  const { hiddenSize, heads } = common;
  if ((hiddenSize / heads) % 4 !== 0) {
    throw c.error("num_attention_heads", `heads of a width that 4 divides, out of hidden_size ${hiddenSize}`);
  }
  return {
    ...common,
    family: "dinov3",
    registers: registerTokens(c, 0),
    biases: {
      query: c.boolean("query_bias", true),
      key: c.boolean("key_bias", false),
      value: c.boolean("value_bias", true),
      output: c.boolean("proj_bias", true),
    },
    mlp: {
      kind: c.boolean("use_gated_mlp", false) ? "gated" : "plain",
      intermediateSize: c.integer("intermediate_size", 1536, SIZE),
      bias: c.boolean("mlp_bias", true),
    },
    positions: { kind: "rotary", theta: c.number("rope_theta", 100, { min: 1 }) },
  };
}

/** @throws FoveaError `invalid_config` that names the field, what it holds and what was expected. */
export function readDinoConfig(config: Readonly<Record<string, unknown>>): DinoConfig {
  const c = createConfigReader(config);
  const type = c.oneOf("model_type", DINO_MODEL_TYPES);
  return type === "dinov3_vit" ? readDinov3(c) : readDinov2(c, type === "dinov2_with_registers");
}
