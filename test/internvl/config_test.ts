import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readInternVLConfig } from "../../plugins/internvl/config.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";

const ALONE = readJson(join(FIXTURES, "internvl/config.json"));
const WHOLE = readJson(join(FIXTURES, "internvl-projector/config.json"));

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(() => readInternVLConfig(config), { code: "invalid_config", message: pattern });
}

test("internvl config: the tower alone, variants, defaults", () => {
  const tower = {
    prefix: "",
    hiddenSize: 64,
    intermediateSize: 128,
    layers: 2,
    heads: 4,
    activation: "gelu",
    norm: "layer_norm",
    eps: 1e-6,
    qkvBias: false,
    qkNorm: false,
    imageSize: 56,
    patchSize: 14,
    channels: 3,
    positions: true,
    finalNorm: false,
  };
  assert.deepEqual(readInternVLConfig(ALONE), tower);
  const variant = readInternVLConfig({ ...ALONE, norm_type: "rms_norm", use_qk_norm: true });
  assert.deepEqual(variant, { ...tower, norm: "rms_norm", qkNorm: true });
  const bare = readInternVLConfig({ model_type: "internvl_vision", use_mean_pooling: false, attention_bias: true });
  assert.deepEqual(bare, {
    ...tower,
    hiddenSize: 1024,
    intermediateSize: 4096,
    layers: 24,
    heads: 16,
    imageSize: 448,
    qkvBias: true,
    finalNorm: true,
  });
  const { imageSize, patchSize } = readInternVLConfig({ ...ALONE, image_size: 70, patch_size: 10 });
  assert.deepEqual([imageSize, patchSize], [70, 10]);
});

test("internvl config: the whole model and its projector", () => {
  const { prefix, projector, hiddenSize } = readInternVLConfig(WHOLE);
  assert.deepEqual(
    [prefix, hiddenSize, projector],
    ["vision_tower.", 32, { shuffle: 2, activation: "gelu", size: 24 }],
  );
  assert.equal(readInternVLConfig({ ...WHOLE, downsample_ratio: 0.25 }).projector?.shuffle, 4);
});

test("internvl config: wrong fields are named", () => {
  refuses(
    { ...ALONE, model_type: "internvit" },
    /`model_type` holds "internvit"; expected one of internvl, internvl_v/,
  );
  refuses({ ...ALONE, num_attention_heads: 5 }, /`num_attention_heads` holds 5; expected a divisor of hidden_size 64/);
  refuses(
    { ...ALONE, image_size: [56, 70] },
    /`image_size` holds \[56,70\]; expected a whole number, or two equal ones/,
  );
  refuses({ ...ALONE, image_size: [56] }, /`image_size` holds \[56\]/);
  refuses({ ...ALONE, patch_size: [14, "14"] }, /`patch_size` holds \[14,"14"\]; expected a list of whole numbers/);
  refuses({ ...ALONE, patch_size: 64 }, /`image_size` holds \[56,56\]; expected at least patch_size 64/);
  refuses({ ...ALONE, norm_type: "batch_norm" }, /`norm_type` holds "batch_norm"/);
  refuses({ ...ALONE, use_qk_norm: 1 }, /`use_qk_norm` holds 1; expected true or false/);
  refuses({ ...WHOLE, vision_config: [] }, /`vision_config` must be an object/);
  refuses({ ...WHOLE, text_config: undefined }, /`text_config` must be an object/);
  refuses({ ...WHOLE, downsample_ratio: 0.3 }, /`downsample_ratio` holds 0.3; expected 1 over a whole number/);
  refuses({ ...WHOLE, vision_feature_layer: -2 }, /`vision_feature_layer` holds -2; expected -1/);
  refuses({ ...WHOLE, vision_feature_select_strategy: "full" }, /`vision_feature_select_strategy` holds "full"/);
  refuses({ ...WHOLE, vision_config: { hidden_act: "swish" } }, /`vision_config.hidden_act` holds "swish"/);
});
