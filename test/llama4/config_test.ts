import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readLlama4Config } from "../../plugins/llama4/config.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";

const WHOLE = readJson(join(FIXTURES, "llama4/config.json"));
const VISION = WHOLE.vision_config as Json;

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(() => readLlama4Config(config), { code: "invalid_config", message: pattern });
}

test("llama4 config: the whole model, the tower alone, defaults", () => {
  const whole = readLlama4Config(WHOLE);
  assert.deepEqual(whole, {
    prefix: "vision_model.",
    hiddenSize: 64,
    intermediateSize: 256,
    layers: 2,
    heads: 4,
    imageSize: 56,
    patchSize: 14,
    channels: 3,
    theta: 10000,
    shuffle: 2,
    outputSize: 80,
    projectedSize: 48,
  });
  const { projectedSize: _, ...alone } = whole;
  assert.deepEqual(readLlama4Config(VISION), { ...alone, prefix: "" });
  const bare = { model_type: "llama4_vision_model", hidden_size: 1408 };
  assert.deepEqual(readLlama4Config(bare), {
    prefix: "",
    hiddenSize: 1408,
    intermediateSize: 5632,
    layers: 34,
    heads: 16,
    imageSize: 448,
    patchSize: 14,
    channels: 3,
    theta: 10000,
    shuffle: 2,
    outputSize: 4096,
  });
});

test("llama4 config: the published model, both spellings of the rotary base", () => {
  const scout = readLlama4Config(readJson(join(FIXTURES, "configs/llama-4-scout/config.json")));
  assert.deepEqual([scout.imageSize, scout.layers, scout.outputSize, scout.projectedSize], [336, 34, 4096, 5120]);
  const { rope_parameters: _, ...old } = VISION;
  assert.equal(readLlama4Config(old).theta, 10000);
  assert.equal(readLlama4Config({ ...old, rope_theta: 500 }).theta, 500);
  assert.equal(readLlama4Config({ ...old, rope_theta: 500, rope_parameters: { rope_theta: 7 } }).theta, 7);
  assert.equal(readLlama4Config({ ...old, rope_theta: 500, rope_parameters: { rope_type: "default" } }).theta, 500);
});

test("llama4 config: wrong fields are named", () => {
  refuses({ ...WHOLE, model_type: "llama" }, /`model_type` holds "llama"; expected one of llama4, llama4_vision_model/);
  refuses({ ...WHOLE, vision_config: 3 }, /the field `vision_config` must be an object; it holds 3/);
  const vision = (fields: Json): Json => ({ ...WHOLE, vision_config: { ...VISION, ...fields } });
  refuses(vision({ hidden_size: "64" }), /`vision_config.hidden_size` holds "64"; expected a whole number/);
  refuses(vision({ num_attention_heads: 5 }), /`vision_config.num_attention_heads` holds 5; .* out of hidden_size 64/);
  refuses(vision({ num_attention_heads: 32 }), /holds 32; expected heads of a width that 4 divides/);
  refuses(vision({ image_size: 60 }), /`vision_config.image_size` holds 60; expected a multiple of patch_size 14/);
  refuses(vision({ pixel_shuffle_ratio: 0.4 }), /`vision_config.pixel_shuffle_ratio` holds 0.4; expected 1 over/);
  refuses(vision({ pixel_shuffle_ratio: 1 / 3 }), /1 over a divisor of the 4 patches along a side/);
  refuses(vision({ intermediate_size: 128 }), /`vision_config.intermediate_size` holds 128; expected 256/);
  refuses(vision({ projector_input_dim: 64 }), /`vision_config.projector_input_dim` holds 64; .* 80/);
  refuses(vision({ vision_output_dim: 64 }), /`vision_config.vision_output_dim` holds 64; .* 80/);
  refuses(vision({ rope_parameters: { rope_type: "yarn" } }), /rope_parameters.rope_type` holds "yarn"/);
  refuses({ ...WHOLE, text_config: { hidden_size: 0 } }, /`text_config.hidden_size` holds 0/);
});
