import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readSiglipConfig, SIGLIP_MODEL_TYPES, type SiglipConfig } from "../../plugins/siglip/config.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { FIXTURES, type Json, readJson, towerOf } from "../clip/model_kit.ts";
import { openSiglip } from "./model_kit.ts";

const BASE = readJson(join(FIXTURES, "configs/siglip-base-patch16-224/config.json"));
const SO400M = readJson(join(FIXTURES, "configs/siglip-so400m-patch14-384/config.json"));

const TRANSFORMER = {
  hiddenSize: 768,
  intermediateSize: 3072,
  layers: 12,
  heads: 12,
  activation: "gelu_pytorch_tanh",
  eps: 1e-6,
};
const PATCHES = { patchSize: 16, channels: 3, pools: true };
const FIXED = { ...TRANSFORMER, ...PATCHES, kind: "fixed", imageSize: 224 } as const;
const NAFLEX = { ...TRANSFORMER, ...PATCHES, kind: "naflex", positionSide: 16 } as const;
const TEXT = { ...TRANSFORMER, vocabSize: 32000, maxPositions: 64, padTokenId: 1, projectionSize: 768 };

const edited = (tower: "vision_config" | "text_config", fields: Json, type = "siglip"): Json => ({
  ...BASE,
  model_type: type,
  [tower]: { ...(BASE[tower] as Json), ...fields },
});

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(
    () => readSiglipConfig(config),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_config");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("siglip config: absent fields and towers take the defaults of transformers", () => {
  const defaults: SiglipConfig = { vision: FIXED, text: TEXT };
  assert.deepEqual(readSiglipConfig({ model_type: "siglip" }), defaults);
  assert.deepEqual(readSiglipConfig({ model_type: "siglip", vision_config: null, text_config: {} }), defaults);
  assert.deepEqual(readSiglipConfig(BASE), defaults);
  assert.deepEqual(readSiglipConfig({ model_type: "siglip2", vision_config: {} }), { vision: NAFLEX, text: TEXT });
});

test("siglip config: published fields are read", () => {
  const wide = { hiddenSize: 1152, intermediateSize: 4304, layers: 27, heads: 16 };
  assert.deepEqual(readSiglipConfig(SO400M), {
    vision: { ...FIXED, ...wide, imageSize: 384, patchSize: 14 },
    text: { ...TEXT, ...wide, projectionSize: 1152 },
  });
  // A projection is as wide as the tower unless it says otherwise.
  const narrow = readSiglipConfig({ model_type: "siglip", text_config: { hidden_size: 96 } });
  assert.equal(narrow.text?.projectionSize, 96);
  const small = readSiglipConfig(edited("vision_config", { num_patches: 36, vision_use_head: false }, "siglip2"));
  assert.deepEqual(small.vision, { ...NAFLEX, positionSide: 6, pools: false });
});

test("siglip config: towers that were saved alone", () => {
  assert.deepEqual(readSiglipConfig({ model_type: "siglip_vision_model", patch_size: 32 }), {
    vision: { ...FIXED, patchSize: 32 },
  });
  assert.deepEqual(readSiglipConfig({ model_type: "siglip2_vision_model" }), { vision: NAFLEX });
  for (const model_type of ["siglip_text_model", "siglip2_text_model"]) {
    assert.deepEqual(readSiglipConfig({ model_type, vocab_size: 9 }), { text: { ...TEXT, vocabSize: 9 } });
  }
  assert.equal(SIGLIP_MODEL_TYPES.length, 9);
  for (const served of SIGLIP_MODEL_TYPES) {
    const [model_type, tower] = served.split("/");
    const vision_config = tower === undefined ? {} : { model_type: tower };
    assert.ok(openSiglip({ model_type, vision_config, mm_tokens_per_image: 16 }).towers.length > 0);
  }
});

test("siglip config: without a head there is the last hidden state alone", () => {
  const tower = towerOf(openSiglip(edited("vision_config", { vision_use_head: false })), "vision");
  assert.deepEqual(tower.outputs, ["last_hidden_state"]);
  assert.deepEqual(
    tower.components.map((c) => c.tag),
    ["siglip/vision.embed", "siglip/vision.block", "siglip/vision.final"],
  );
});

test("siglip config: errors name the field, what it holds and what was expected", () => {
  refuses({ model_type: "clip" }, /`model_type` holds "clip"; expected one of siglip, siglip2, /);
  refuses({}, /`model_type` is absent/);
  refuses({ ...BASE, vision_config: [] }, /`vision_config` must be an object; it holds \[\]/);
  refuses({ ...BASE, text_config: "x" }, /`text_config` must be an object; it holds "x"/);
  refuses(edited("vision_config", { hidden_size: "768" }), /`vision_config.hidden_size` holds "768"; expected a whole/);
  refuses(edited("vision_config", { num_attention_heads: 7 }), /holds 7; expected a divisor of hidden_size 768/);
  refuses(edited("vision_config", { image_size: 15 }), /`vision_config.image_size` holds 15; expected at least .* 16/);
  refuses(edited("vision_config", { patch_size: 0 }), /patch_size` holds 0; expected a whole number from 1/);
  refuses(edited("vision_config", { vision_use_head: 1 }), /vision_use_head` holds 1; expected true or false/);
  refuses(edited("vision_config", { num_patches: 200 }, "siglip2"), /num_patches` holds 200; expected a square number/);
  refuses(edited("text_config", { hidden_act: "swoosh" }), /hidden_act` holds "swoosh"; expected one of gelu, /);
  refuses(edited("text_config", { projection_size: 0.5 }), /projection_size` holds 0.5/);
  refuses(edited("text_config", { layer_norm_eps: "small" }), /layer_norm_eps` holds "small"; expected a number/);
  refuses({ model_type: "siglip_text_model", vocab_size: 0 }, /`vocab_size` holds 0; expected a whole number of at/);
});

test("gemma3 config: a SigLIP tower, and means over as many squares as the language model takes", () => {
  const tower = { hidden_size: 1152, image_size: 896, patch_size: 14, vision_use_head: false };
  const found = readSiglipConfig({ model_type: "gemma3", vision_config: tower, text_config: { hidden_size: 2560 } });
  assert.deepEqual(found.projector, { kind: "pooled", width: 2560, square: 4 });
  assert.deepEqual([found.vision?.hiddenSize, found.vision?.pools, found.text], [1152, false, undefined]);
  const defaults = readSiglipConfig({ model_type: "gemma3", mm_tokens_per_image: 10 });
  assert.deepEqual(defaults, { vision: FIXED, projector: { kind: "pooled", width: 2304, square: 4 } });
  refuses(
    { model_type: "gemma3", mm_tokens_per_image: 225 },
    /`mm_tokens_per_image` holds 225; expected at most 196, the patches of a picture/,
  );
  refuses(
    { model_type: "gemma3", vision_config: { model_type: "clip_vision_model" } },
    /`vision_config.model_type` holds "clip_vision_model"; expected one of siglip_vision_model/,
  );
});

test("paligemma config: without a tower's configuration it is so400m's, without a head", () => {
  const wide = { hiddenSize: 1152, intermediateSize: 4304, layers: 27, heads: 16 };
  assert.deepEqual(readSiglipConfig({ model_type: "paligemma" }), {
    vision: { ...FIXED, ...wide, patchSize: 14, pools: false },
    projector: { kind: "linear", width: 2048 },
  });
  const found = readSiglipConfig({ model_type: "paligemma", projection_dim: 3584, vision_config: {} });
  assert.deepEqual(found, { vision: FIXED, projector: { kind: "linear", width: 3584 } });
});

test("llava config: a tower of SigLIP, whose first patch is no class token", () => {
  const llava = { model_type: "llava", vision_config: { model_type: "siglip_vision_model" } };
  const projector = { kind: "features", features: [11], dropsFirst: true, activation: "gelu", bias: true, width: 4096 };
  assert.deepEqual(readSiglipConfig(llava), { vision: FIXED, projector });
  const full = readSiglipConfig({ ...llava, vision_feature_layer: [-1, 3], vision_feature_select_strategy: "full" });
  assert.deepEqual(full.projector, { ...projector, features: [12, 3], dropsFirst: false });
  refuses(
    { ...llava, vision_config: { image_size: 20 } },
    /`vision_feature_select_strategy` is absent; expected full, since a picture has one patch and nothing before it/,
  );
});
