/** Vision configurations of Qwen2-VL, Qwen2.5-VL and Qwen3-VL, with the defaults of Hugging Face transformers. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import { ACTIVATION_NAMES } from "../../runtime/nn/mod.ts";

export type QwenFamily = "qwen2_vl" | "qwen2_5_vl" | "qwen3_vl";

/** Attention inside of windows in all layers but some. */
export interface QwenWindows {
  /** Side of a window in merged patches. */
  readonly side: number;
  /** Layers whose patches attend to all of their frame. */
  readonly fullLayers: readonly number[];
}

/** Results that are taken between the layers, in their order. */
export interface QwenDeepstack {
  /** The layer whose hidden states are merged. */
  readonly layer: number;
  /** Number of its merger in the checkpoint. */
  readonly merger: number;
}

/** The vision tower. Sizes in elements unless said otherwise. */
export interface QwenVisionConfig {
  readonly family: QwenFamily;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Activation of the layers by its Hugging Face name. */
  readonly activation: string;
  /** Width of merged patches: that of the language model. */
  readonly outHiddenSize: number;
  readonly channels: number;
  /** Pixels. */
  readonly patchSize: number;
  /** Frames. */
  readonly temporalPatchSize: number;
  /** Patches along a side that become one. */
  readonly mergeSize: number;
  /** Base of the rotary frequencies. */
  readonly theta: number;
  /** True where rotary frequencies are rounded to bfloat16, see {@link castAsWhole}. */
  readonly bfloat16Frequencies: boolean;
  readonly windows?: QwenWindows;
  /** Side of the square table of learned positions. */
  readonly positionSide?: number;
  readonly deepstack: readonly QwenDeepstack[];
}

/** `model_type` values: whole models, and vision towers that were saved alone. */
export const QWEN_VL_MODEL_TYPES: readonly string[] = [
  "qwen2_vl",
  "qwen2_vl_vision",
  "qwen2_5_vl",
  "qwen2_5_vl_vision",
  "qwen3_vl",
  "qwen3_vl_vision",
];

const SIZE = { min: 1, max: 1 << 20 };
const MERGE = { min: 1, max: 16 };
const LAYERS = { min: 1, max: 1024 };

interface Defaults {
  readonly heads: number;
  readonly patchSize: number;
  readonly layers: number;
  readonly activation: string;
}

/** Both spellings of the rotary base; published configs leave it out. */
function readTheta(c: ConfigReader): number {
  const own = c.has("rope_parameters") ? c.object("rope_parameters") : c;
  return own.number("rope_theta", 10000, { min: 1 });
}

/** A tower as its own fields say. */
type Fields = Omit<QwenVisionConfig, "bfloat16Frequencies">;
type Common = Omit<Fields, "family" | "intermediateSize" | "outHiddenSize" | "deepstack">;

function readCommon(c: ConfigReader, hiddenSize: number, defaults: Defaults): Common {
  const heads = c.integer("num_heads", defaults.heads, SIZE);
  // Half of a head's pairs turn by the row, half by the column.
  if (hiddenSize % (4 * heads) !== 0) {
    throw c.error("num_heads", `a number of heads whose width ${hiddenSize} / num_heads is a multiple of 4`);
  }
  return {
    hiddenSize,
    heads,
    layers: c.integer("depth", defaults.layers, LAYERS),
    activation: c.oneOf("hidden_act", ACTIVATION_NAMES, defaults.activation),
    channels: c.integer("in_channels", 3, { min: 1, max: 64 }),
    patchSize: c.integer("patch_size", defaults.patchSize, { min: 1, max: 1024 }),
    temporalPatchSize: c.integer("temporal_patch_size", 2, MERGE),
    mergeSize: c.integer("spatial_merge_size", 2, MERGE),
    theta: readTheta(c),
  };
}

function readQwen2(c: ConfigReader): Fields {
  const hiddenSize = c.integer("embed_dim", 1280, SIZE);
  return {
    ...readCommon(c, hiddenSize, { heads: 16, patchSize: 14, layers: 32, activation: "quick_gelu" }),
    family: "qwen2_vl",
    intermediateSize: Math.trunc(hiddenSize * c.number("mlp_ratio", 4, { min: 1 / hiddenSize, max: 64 })),
    outHiddenSize: c.integer("hidden_size", 3584, SIZE),
    deepstack: [],
  };
}

function readQwen25(c: ConfigReader): Fields {
  const common = readCommon(c, c.integer("hidden_size", 3584, SIZE), {
    heads: 16,
    patchSize: 14,
    layers: 32,
    activation: "silu",
  });
  const unit = common.patchSize * common.mergeSize;
  const pixels = c.integer("window_size", 112, { min: 1, max: 1 << 16 });
  if (pixels < unit) throw c.error("window_size", `at least the ${unit} pixels of ${common.mergeSize} patches`);
  return {
    ...common,
    family: "qwen2_5_vl",
    intermediateSize: c.integer("intermediate_size", 3420, SIZE),
    outHiddenSize: c.integer("out_hidden_size", 3584, SIZE),
    windows: {
      side: Math.floor(pixels / unit),
      fullLayers: c.integers("fullatt_block_indexes", [7, 15, 23, 31], { min: 0 }),
    },
    deepstack: [],
  };
}

function readQwen3(c: ConfigReader): Fields {
  const common = readCommon(c, c.integer("hidden_size", 1152, SIZE), {
    heads: 16,
    patchSize: 16,
    layers: 27,
    activation: "gelu_pytorch_tanh",
  });
  const positions = c.integer("num_position_embeddings", 2304, SIZE);
  const positionSide = Math.floor(Math.sqrt(positions));
  if (positionSide * positionSide !== positions) throw c.error("num_position_embeddings", "a square number");
  const listed = c.integers("deepstack_visual_indexes", [8, 16, 24], { min: 0 });
  if (new Set(listed).size !== listed.length) throw c.error("deepstack_visual_indexes", "each layer once");
  return {
    ...common,
    family: "qwen3_vl",
    intermediateSize: c.integer("intermediate_size", 4304, SIZE),
    outHiddenSize: c.integer("out_hidden_size", 3584, SIZE),
    positionSide,
    // Layers that the tower does not have give nothing, as in transformers.
    deepstack: listed
      .map((layer, merger) => ({ layer, merger }))
      .filter(({ layer }) => layer < common.layers)
      .sort((a, b) => a.layer - b.layer),
  };
}

const READERS: readonly (readonly [QwenFamily, (c: ConfigReader) => Fields])[] = [
  ["qwen2_vl", readQwen2],
  ["qwen2_5_vl", readQwen25],
  ["qwen3_vl", readQwen3],
];

/** Families of tags. */
export const QWEN_FAMILIES: readonly QwenFamily[] = READERS.map(([family]) => family);

const PARTS = ["vision_config", "text_config"];

/**
 * A model that is built from a configuration and cast to bfloat16 as a whole rounds its rotary frequencies too; saved, it says
 * `dtype` for the whole and for no part. One that `from_pretrained` loads, in whatever type, keeps them in f32 and says `dtype`
 * for its parts as well; published checkpoints say it for a part, as `torch_dtype`, or not at all.
 */
function castAsWhole(whole: ConfigReader): boolean {
  const ofParts = PARTS.some((name) => whole.has(name) && whole.object(name).has("dtype"));
  return whole.string("dtype", "float32") === "bfloat16" && !ofParts;
}

/**
 * The vision part of a whole model's configuration (`vision_config`), or a vision tower's own.
 * @throws FoveaError `invalid_config` that names the field, what it holds and what was expected.
 */
export function readQwenConfig(config: Readonly<Record<string, unknown>>): QwenVisionConfig {
  const whole = createConfigReader(config);
  const type = whole.oneOf("model_type", QWEN_VL_MODEL_TYPES);
  const [, read] = READERS.find(([family]) => type.replace(/_vision$/, "") === family) ?? READERS[0];
  // Towers that early releases saved alone keep the whole model's type.
  const alone = type.endsWith("_vision") || (!whole.has("vision_config") && whole.has("depth"));
  const part = (): ConfigReader =>
    whole.has("vision_config") ? whole.object("vision_config") : createConfigReader({}, "vision_config");
  return { ...read(alone ? whole : part()), bfloat16Frequencies: !alone && castAsWhole(whole) };
}
