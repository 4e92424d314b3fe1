import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readPixtralConfig } from "../../plugins/pixtral/config.ts";
import { pixtralPlugin } from "../../plugins/pixtral/plugin.ts";
import { FIXTURES, type Json, openModelOf, readJson } from "../kit/tower_fixtures.ts";

const ALONE = readJson(join(FIXTURES, "pixtral/config.json"));
const MERGE = readJson(join(FIXTURES, "pixtral-merge/config.json"));
const LLAVA = readJson(join(FIXTURES, "pixtral-llava/config.json"));

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(() => readPixtralConfig(config), { code: "invalid_config", message: pattern });
}

test("pixtral config: the tower alone, its defaults, both spellings of the rotary base", () => {
  const tower = {
    prefix: "",
    hiddenSize: 64,
    intermediateSize: 128,
    layers: 2,
    heads: 4,
    activation: "gelu",
    imageSize: 64,
    patchSize: 8,
    channels: 3,
    theta: 10000,
  };
  assert.deepEqual(readPixtralConfig(ALONE), tower);
  assert.deepEqual(readPixtralConfig({ model_type: "pixtral" }), {
    ...tower,
    hiddenSize: 1024,
    intermediateSize: 4096,
    layers: 24,
    heads: 16,
    imageSize: 1024,
    patchSize: 16,
  });
  assert.equal(readPixtralConfig({ model_type: "pixtral", rope_theta: 500 }).theta, 500);
  assert.equal(readPixtralConfig({ ...ALONE, rope_theta: 500, rope_parameters: { rope_theta: 7 } }).theta, 7);
});

test("pixtral config: whole models and their projectors", () => {
  const merge = readPixtralConfig(MERGE);
  assert.equal(merge.prefix, "vision_tower.");
  assert.deepEqual(merge.projector, { activation: "gelu", bias: true, size: 24, merge: { size: 2, eps: 3e-5 } });
  const llava = readPixtralConfig(LLAVA);
  assert.deepEqual([llava.activation, llava.theta], ["silu", 500]);
  assert.deepEqual(llava.projector, { activation: "gelu", bias: true, size: 24 });
  const { multimodal_projector_bias: _, ...silent } = MERGE;
  assert.equal(readPixtralConfig(silent).projector?.bias, false);
  assert.deepEqual(openModelOf(pixtralPlugin, MERGE).towers[0].outputs, ["projected", "last_hidden_state"]);
  assert.deepEqual(openModelOf(pixtralPlugin, ALONE).towers[0].outputs, ["last_hidden_state"]);
});

test("pixtral config: wrong fields are named", () => {
  refuses({ ...ALONE, model_type: "clip" }, /`model_type` holds "clip"; expected one of pixtral, mistral3, llava/);
  refuses({ ...ALONE, num_attention_heads: 3 }, /`num_attention_heads` holds 3; .* out of hidden_size 64/);
  refuses({ ...ALONE, num_attention_heads: 32 }, /heads of a width that 4 divides/);
  refuses({ ...ALONE, head_dim: 32 }, /`head_dim` holds 32; expected 16/);
  refuses({ ...ALONE, image_size: 4 }, /`image_size` holds 4; expected at least patch_size 8/);
  refuses({ ...ALONE, patch_size: "8" }, /`patch_size` holds "8"/);
  refuses({ ...ALONE, hidden_act: "swish" }, /`hidden_act` holds "swish"/);
  refuses({ ...ALONE, rope_parameters: { rope_type: "yarn" } }, /rope_parameters.rope_type` holds "yarn"/);
  refuses({ ...MERGE, vision_config: undefined }, /`vision_config` must be an object/);
  refuses({ ...MERGE, text_config: undefined }, /`text_config` must be an object/);
  refuses({ ...MERGE, vision_feature_layer: -2 }, /`vision_feature_layer` holds -2; expected -1/);
  refuses({ ...MERGE, vision_feature_layer: [-1, -2] }, /`vision_feature_layer` holds \[-1,-2\]/);
  refuses({ ...MERGE, spatial_merge_size: 0 }, /`spatial_merge_size` holds 0/);
  // Models of this type stand on CLIP's tower unless they say otherwise.
  const tower = (fields: Json): Json => ({ ...LLAVA, vision_config: { ...(LLAVA.vision_config as Json), ...fields } });
  refuses(
    tower({ model_type: "clip_vision_model" }),
    /`vision_config.model_type` holds "clip_vision_model"; .* pixtral/,
  );
  refuses(tower({ model_type: undefined }), /`vision_config.model_type` is absent/);
  refuses({ ...LLAVA, vision_feature_layer: undefined }, /`vision_feature_layer` is absent; expected -1/);
  refuses({ ...LLAVA, vision_feature_select_strategy: "default" }, /`vision_feature_select_strategy` holds "default"/);
});
