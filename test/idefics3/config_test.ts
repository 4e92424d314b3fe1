import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { IDEFICS3_MODEL_TYPES, readIdefics3Config } from "../../plugins/idefics3/config.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";

const WHOLE = readJson(join(FIXTURES, "smolvlm/config.json"));

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(() => readIdefics3Config(config), { code: "invalid_config", message: pattern });
}

/** What transformers makes of an empty configuration. */
const DEFAULTS = {
  hiddenSize: 1152,
  intermediateSize: 3072,
  layers: 12,
  heads: 16,
  activation: "gelu_pytorch_tanh",
  eps: 1e-6,
  imageSize: 224,
  patchSize: 32,
  channels: 3,
};

test("idefics3 config: towers that were saved alone", () => {
  for (const model_type of ["idefics3_vision", "smolvlm_vision"]) {
    assert.deepEqual(readIdefics3Config({ model_type }), DEFAULTS);
  }
  const { imageSize, activation, eps } = readIdefics3Config(readJson(join(FIXTURES, "idefics3-tower/config.json")));
  assert.deepEqual([imageSize, activation, eps], [42, "gelu", 1e-5]);
  assert.equal(IDEFICS3_MODEL_TYPES.length, 4);
});

test("idefics3 config: whole models, as they are published", () => {
  for (const model_type of ["idefics3", "smolvlm"]) {
    assert.deepEqual(readIdefics3Config({ model_type }), { ...DEFAULTS, connector: { shuffle: 2, size: 4096 } });
  }
  // SmolVLM-256M, whose towers say an older name of theirs.
  const small = { hidden_size: 768, image_size: 512, model_type: "idefics3", num_attention_heads: 12, patch_size: 16 };
  const text_config = { model_type: "llama", hidden_size: 576 };
  assert.deepEqual(readIdefics3Config({ model_type: "idefics3", vision_config: small, text_config, scale_factor: 4 }), {
    ...DEFAULTS,
    ...{ hiddenSize: 768, heads: 12, imageSize: 512, patchSize: 16 },
    connector: { shuffle: 4, size: 576 },
  });
  assert.deepEqual(readIdefics3Config(WHOLE).connector, { shuffle: 3, size: 24 });
});

test("idefics3 config: wrong fields are named", () => {
  refuses({ model_type: "idefics2" }, /`model_type` holds "idefics2"; expected one of idefics3, smolvlm, idefics3_v/);
  const tower = (fields: Json, pattern: RegExp): void => refuses({ model_type: "smolvlm_vision", ...fields }, pattern);
  tower({ num_attention_heads: 5 }, /`num_attention_heads` holds 5; expected a divisor of hidden_size 1152/);
  tower({ image_size: 31 }, /`image_size` holds 31; expected at least patch_size 32/);
  tower({ patch_size: [14, 14] }, /`patch_size` holds \[14,14\]/);
  tower({ hidden_act: "swish" }, /`hidden_act` holds "swish"/);
  refuses({ ...WHOLE, vision_config: [] }, /`vision_config` must be an object/);
  refuses({ ...WHOLE, scale_factor: 0.5 }, /`scale_factor` holds 0.5; expected a whole number from 1 to 256/);
  refuses({ ...WHOLE, text_config: { model_type: "qwen3" } }, /`text_config.hidden_size` is absent/);
});
