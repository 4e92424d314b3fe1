import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type ClipConfig, readClipConfig } from "../../plugins/clip/config.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { FIXTURES, type Json, openClip, readJson } from "./model_kit.ts";

const BASE = readJson(join(FIXTURES, "configs/clip-vit-base-patch32/config.json"));

const VISION_DEFAULTS = {
  hiddenSize: 768,
  intermediateSize: 3072,
  layers: 12,
  heads: 12,
  activation: "quick_gelu",
  eps: 1e-5,
  imageSize: 224,
  patchSize: 32,
  channels: 3,
};
const TEXT_DEFAULTS = {
  hiddenSize: 512,
  intermediateSize: 2048,
  layers: 12,
  heads: 8,
  activation: "quick_gelu",
  eps: 1e-5,
  vocabSize: 49408,
  maxPositions: 77,
  eosTokenId: 49407,
  poolsAtLargest: false,
  padTokenId: 1,
};

function edited(tower: "vision_config" | "text_config", fields: Json): Json {
  return { ...BASE, [tower]: { ...(BASE[tower] as Json), ...fields } };
}

function refuses(config: Json, pattern: RegExp): void {
  assert.throws(
    () => readClipConfig(config),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_config");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("clip config: absent fields take the defaults of transformers", () => {
  const defaults: ClipConfig = {
    vision: { ...VISION_DEFAULTS, projectionDim: 512 },
    text: { ...TEXT_DEFAULTS, projectionDim: 512 },
    logitScale: 2.6592,
  };
  assert.deepEqual(
    readClipConfig({ model_type: "clip", vision_config: {}, text_config: { hidden_act: null } }),
    defaults,
  );
  assert.deepEqual(readClipConfig(BASE), defaults);
});

test("clip config: published fields are read, and the older spelling of a tower wins", () => {
  const large = readClipConfig(readJson(join(FIXTURES, "configs/clip-vit-large-patch14-336/config.json")));
  assert.deepEqual(large.vision, {
    ...VISION_DEFAULTS,
    hiddenSize: 1024,
    intermediateSize: 4096,
    layers: 24,
    heads: 16,
    imageSize: 336,
    patchSize: 14,
    projectionDim: 768,
  });
  const fields = { hidden_act: "gelu", layer_norm_eps: 1e-6, eos_token_id: 2, pad_token_id: 0, vocab_size: 100 };
  const text = readClipConfig(edited("text_config", fields)).text;
  assert.deepEqual(
    [text?.activation, text?.eps, text?.eosTokenId, text?.poolsAtLargest, text?.padTokenId, text?.vocabSize],
    ["gelu", 1e-6, 2, true, 0, 100],
  );
  for (const model_type of ["metaclip_2", "metaclip_2_text_model"]) {
    const own = readClipConfig({ model_type, eos_token_id: 2, text_config: { eos_token_id: 2 } });
    assert.deepEqual([own.text?.eosTokenId, own.text?.poolsAtLargest], [2, false]);
  }
  assert.equal(readClipConfig({ model_type: "metaclip_2_vision_model" }).text, undefined);
  const old = readClipConfig({ ...BASE, vision_config_dict: { num_hidden_layers: 3 }, text_config_dict: null });
  assert.deepEqual([old.vision?.layers, old.vision?.patchSize, old.text?.layers], [3, 32, 12]);
});

test("clip config: a tower without a configuration has the defaults throughout", () => {
  const { vision, text } = readClipConfig({ model_type: "clip", text_config: null });
  const projectionDim = 512;
  assert.deepEqual(
    [vision, text],
    [
      { ...VISION_DEFAULTS, projectionDim },
      { ...TEXT_DEFAULTS, projectionDim },
    ],
  );
});

test("clip config: a tower saved alone has a projection when its architecture says so", () => {
  const vision = { model_type: "clip_vision_model", patch_size: 16, architectures: ["CLIPVisionModel"] };
  assert.deepEqual(readClipConfig(vision), { vision: { ...VISION_DEFAULTS, patchSize: 16 }, logitScale: 2.6592 });
  const text = { model_type: "clip_text_model", projection_dim: 640, architectures: ["CLIPTextModelWithProjection"] };
  assert.deepEqual(readClipConfig(text), { text: { ...TEXT_DEFAULTS, projectionDim: 640 }, logitScale: 2.6592 });
  const [tower] = openClip(vision).towers;
  assert.deepEqual(tower.outputs, ["pooler_output", "last_hidden_state"]);
  assert.ok(tower.components.every((c) => c.tag !== "clip/vision.project"));
});

test("clip config: errors name the field, what it holds and what was expected", () => {
  refuses(
    { model_type: "bert" },
    /`model_type` holds "bert"; expected one of clip, clip_vision_model, clip_text_model/,
  );
  refuses({}, /`model_type` is absent/);
  refuses({ ...BASE, text_config: "b" }, /`text_config` must be an object; it holds "b"/);
  refuses({ ...BASE, vision_config: [] }, /`vision_config` must be an object; it holds \[\]/);
  refuses({ ...BASE, text_config_dict: 3 }, /`text_config_dict` must be an object; it holds 3/);
  refuses({ ...BASE, projection_dim: "512" }, /`projection_dim` holds "512"; expected a whole number/);
  refuses(edited("vision_config", { hidden_size: "768" }), /`vision_config.hidden_size` holds "768"; expected a whole/);
  refuses(edited("vision_config", { hidden_size: 768.5 }), /`vision_config.hidden_size` holds 768.5/);
  refuses(
    edited("vision_config", { num_attention_heads: 7 }),
    /num_attention_heads` holds 7; expected a divisor of hidden_size 768/,
  );
  refuses(edited("vision_config", { image_size: 31 }), /image_size` holds 31; expected at least patch_size 32/);
  refuses(edited("vision_config", { patch_size: 0 }), /patch_size` holds 0; expected a whole number from 1/);
  refuses(edited("text_config", { num_hidden_layers: -1 }), /`text_config.num_hidden_layers` holds -1/);
  refuses(edited("text_config", { hidden_act: "swoosh" }), /hidden_act` holds "swoosh"; expected one of gelu, /);
  refuses(edited("text_config", { layer_norm_eps: "small" }), /layer_norm_eps` holds "small"; expected a number/);
  refuses(edited("text_config", { eos_token_id: [2] }), /eos_token_id` holds \[2\]/);
  refuses(
    { model_type: "clip_text_model", architectures: "CLIPTextModel" },
    /architectures` holds .* expected a list of texts/,
  );
});

test("llava config: a tower of CLIP and LLaVA's projector; without a tower's configuration it is ViT-L/14 at 336 pixels", () => {
  const large = { hiddenSize: 1024, intermediateSize: 4096, layers: 24, heads: 16, imageSize: 336, patchSize: 14 };
  const projector = { features: [23], dropsFirst: true, activation: "gelu", bias: true, width: 4096 };
  const logitScale = 2.6592;
  const found = { vision: { ...VISION_DEFAULTS, ...large }, projector, logitScale };
  assert.deepEqual(readClipConfig({ model_type: "llava" }), found);
  assert.deepEqual(readClipConfig(readJson(join(FIXTURES, "configs/llava-1.5-7b/config.json"))), found);
  assert.deepEqual(
    readClipConfig({ model_type: "llava", vision_config: { patch_size: 16 }, text_config: { hidden_size: 5120 } }),
    {
      vision: { ...VISION_DEFAULTS, patchSize: 16 },
      projector: { ...projector, features: [11], width: 5120 },
      logitScale,
    },
  );
  const [tower, ...others] = openClip({ model_type: "llava" }).towers;
  assert.deepEqual([tower.modality, tower.outputs, others], ["vision", ["projected", "last_hidden_state"], []]);
  refuses(
    { model_type: "llava", vision_config: { model_type: "dinov2" } },
    /`vision_config.model_type` holds "dinov2"; expected clip_vision_model, or pixtral or siglip_vision_model, which/,
  );
  refuses({ model_type: "llava", vision_feature_layer: -26 }, /`vision_feature_layer` holds -26; .* from -25 to 24/);
});
