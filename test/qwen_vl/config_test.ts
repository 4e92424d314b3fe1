import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { QWEN_VL_MODEL_TYPES, type QwenVisionConfig, readQwenConfig } from "../../plugins/qwen_vl/config.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { FIXTURES, type Json, readJson } from "../clip/model_kit.ts";
import { openQwen } from "./model_kit.ts";

const COMMON = {
  heads: 16,
  channels: 3,
  temporalPatchSize: 2,
  mergeSize: 2,
  theta: 10000,
  bfloat16Frequencies: false,
  outHiddenSize: 3584,
};

const DEFAULTS: Readonly<Record<string, QwenVisionConfig>> = {
  qwen2_vl: {
    ...COMMON,
    family: "qwen2_vl",
    hiddenSize: 1280,
    intermediateSize: 5120,
    layers: 32,
    activation: "quick_gelu",
    patchSize: 14,
    deepstack: [],
  },
  qwen2_5_vl: {
    ...COMMON,
    family: "qwen2_5_vl",
    hiddenSize: 3584,
    intermediateSize: 3420,
    layers: 32,
    activation: "silu",
    patchSize: 14,
    windows: { side: 4, fullLayers: [7, 15, 23, 31] },
    deepstack: [],
  },
  qwen3_vl: {
    ...COMMON,
    family: "qwen3_vl",
    hiddenSize: 1152,
    intermediateSize: 4304,
    layers: 27,
    activation: "gelu_pytorch_tanh",
    patchSize: 16,
    positionSide: 48,
    deepstack: [
      { layer: 8, merger: 0 },
      { layer: 16, merger: 1 },
      { layer: 24, merger: 2 },
    ],
  },
};

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(
    () => readQwenConfig(config),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_config");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("qwen_vl config: absent fields take the defaults of transformers", () => {
  for (const [family, defaults] of Object.entries(DEFAULTS)) {
    assert.deepEqual(readQwenConfig({ model_type: family }), defaults);
    assert.deepEqual(readQwenConfig({ model_type: family, vision_config: { hidden_act: null } }), defaults);
    assert.deepEqual(readQwenConfig({ model_type: `${family}_vision` }), defaults);
  }
  assert.equal(QWEN_VL_MODEL_TYPES.length, 6);
});

test("qwen_vl config: the published 7B, towers saved alone, and other spellings", () => {
  const large = readJson(join(FIXTURES, "configs/qwen2.5-vl-7b/config.json"));
  assert.deepEqual(readQwenConfig(large), { ...DEFAULTS.qwen2_5_vl, hiddenSize: 1280 });
  // Early releases saved the tower with the whole model's type.
  const alone = { model_type: "qwen2_vl", depth: 3, embed_dim: 64, num_heads: 4, mlp_ratio: 2.5, hidden_size: 20 };
  const found = readQwenConfig(alone);
  assert.deepEqual([found.layers, found.hiddenSize, found.intermediateSize, found.outHiddenSize], [3, 64, 160, 20]);
  const vision_config = { rope_parameters: { rope_theta: 500, rope_type: "axial" } };
  assert.equal(readQwenConfig({ model_type: "qwen3_vl", vision_config }).theta, 500);
  assert.equal(readQwenConfig({ model_type: "qwen3_vl", vision_config: { rope_theta: 700 } }).theta, 700);
});

test("qwen_vl config: frequencies are rounded only where the model was cast as a whole", () => {
  const rounded = (fields: Json): boolean => readQwenConfig({ model_type: "qwen2_vl", ...fields }).bfloat16Frequencies;
  const dtype = "bfloat16";
  assert.ok(rounded({ dtype }));
  assert.ok(rounded({ dtype, vision_config: { depth: 3 }, text_config: {} }));
  assert.ok(!rounded({}));
  assert.ok(!rounded({ dtype: "float32" }));
  assert.ok(!rounded({ torch_dtype: dtype }));
  // As transformers saves what it loaded, with `dtype` for each part; some publishers write it for the text alone.
  assert.ok(!rounded({ dtype, vision_config: { dtype }, text_config: { dtype } }));
  assert.ok(!rounded({ dtype, vision_config: {}, text_config: { dtype } }));
  assert.ok(!rounded({ dtype, depth: 3 }), "a tower that was saved alone");
  assert.ok(!rounded({ dtype, model_type: "qwen2_vl_vision" }));
});

test("qwen_vl config: DeepStack's mergers keep their numbers, in the order of layers that exist", () => {
  const read = (deepstack_visual_indexes: readonly number[]): QwenVisionConfig["deepstack"] =>
    readQwenConfig({ model_type: "qwen3_vl", vision_config: { depth: 6, deepstack_visual_indexes } }).deepstack;
  assert.deepEqual(read([4, 9, 1]), [
    { layer: 1, merger: 2 },
    { layer: 4, merger: 0 },
  ]);
  assert.deepEqual(read([]), []);
});

test("qwen_vl config: wrong fields are named", () => {
  const wrong = (family: string, fields: Json, pattern: RegExp): void =>
    refuses({ model_type: family, vision_config: fields }, pattern);
  refuses({ model_type: "qwen_vl" }, /`model_type` holds "qwen_vl"; expected one of qwen2_vl, /);
  refuses({ model_type: "qwen2_vl", vision_config: [] }, /`vision_config` must be an object/);
  refuses({ model_type: "qwen2_vl", dtype: 16 }, /`dtype` holds 16; expected a text/);
  wrong("qwen2_vl", { depth: "32" }, /`vision_config.depth` holds "32"; expected a whole number from 1/);
  wrong("qwen2_vl", { num_heads: 128 }, /`vision_config.num_heads` holds 128; .* 1280 \/ num_heads is a multiple of 4/);
  wrong("qwen2_vl", { hidden_act: "swish2" }, /`vision_config.hidden_act` holds "swish2"/);
  wrong("qwen2_vl", { mlp_ratio: 0 }, /`vision_config.mlp_ratio` holds 0/);
  wrong("qwen2_vl", { rope_parameters: 3 }, /`vision_config.rope_parameters` must be an object/);
  wrong("qwen2_5_vl", { window_size: 27 }, /`vision_config.window_size` holds 27; expected at least the 28 pixels/);
  wrong("qwen2_5_vl", { fullatt_block_indexes: [7, -1] }, /`vision_config.fullatt_block_indexes` holds \[7,-1\]/);
  wrong("qwen2_5_vl", { fullatt_block_indexes: 7 }, /expected a list of whole numbers of at least 0/);
  wrong("qwen3_vl", { num_position_embeddings: 50 }, /`vision_config.num_position_embeddings` holds 50; .*square/);
  wrong("qwen3_vl", { deepstack_visual_indexes: [3, 3] }, /`vision_config.deepstack_visual_indexes` .*each layer once/);
});

test("qwen_vl config: the processor's largest image bounds a run", () => {
  const patches = (processor?: Json, name = "preprocessor_config.json"): number => {
    const files = processor === undefined ? {} : { [name]: processor };
    const [tower] = openQwen({ model_type: "qwen2_5_vl", vision_config: { hidden_size: 1280 } }, files).towers;
    return tower.components[0].symbols.patches.max;
  };
  const published = readJson(join(FIXTURES, "configs/qwen2.5-vl-7b/preprocessor_config.json"));
  assert.equal(patches(), 65536);
  assert.equal(patches(published), 65536);
  assert.equal(patches({ min_pixels: 3136, max_pixels: 1003520 }), 5120);
  // Of small bounds the longest pictures, one block wide, have more.
  assert.equal(patches({ size: { shortest_edge: 4, longest_edge: 3 * 28 * 28 + 27 } }), 96);
  assert.equal(patches({ image_processor: { max_pixels: 50176 } }, "processor_config.json"), 452);
  // Older files of that name describe the processor of the whole model without the image's.
  assert.equal(patches({ processor_class: "Qwen2_5_VLProcessor" }, "processor_config.json"), 65536);
  assert.equal(patches({ min_pixels: 1, max_pixels: 1 << 26 }), 65536);
  assert.equal(patches({ min_pixels: 1, max_pixels: 10 }), 4);
});
