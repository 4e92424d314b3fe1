import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type DinoConfig, readDinoConfig } from "../../plugins/dino/config.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";

const DINOV2: DinoConfig = {
  family: "dinov2",
  hiddenSize: 768,
  layers: 12,
  heads: 12,
  activation: "gelu",
  eps: 1e-6,
  imageSize: 224,
  patchSize: 14,
  channels: 3,
  registers: 0,
  biases: { query: true, key: true, value: true, output: true },
  mlp: { kind: "plain", intermediateSize: 3072, bias: true },
  positions: { kind: "table", side: 16, antialias: false },
};

function refuses(fields: Json, pattern: RegExp): void {
  assert.throws(
    () => readDinoConfig(fields),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_config");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("dino config: absent fields take the defaults of transformers", () => {
  assert.deepEqual(readDinoConfig({ model_type: "dinov2" }), DINOV2);
  assert.deepEqual(readDinoConfig({ model_type: "dinov2_with_registers" }), {
    ...DINOV2,
    patchSize: 16,
    registers: 4,
    positions: { kind: "table", side: 14, antialias: true },
  });
  assert.deepEqual(readDinoConfig({ model_type: "dinov3_vit" }), {
    ...DINOV2,
    family: "dinov3",
    hiddenSize: 384,
    heads: 6,
    patchSize: 16,
    eps: 1e-5,
    biases: { query: true, key: false, value: true, output: true },
    mlp: { kind: "plain", intermediateSize: 1536, bias: true },
    positions: { kind: "rotary", theta: 100 },
  });
});

test("dino config: published fields are read", () => {
  const small = readDinoConfig(readJson(join(FIXTURES, "configs/dinov2-small/config.json")));
  assert.deepEqual(small, {
    ...DINOV2,
    hiddenSize: 384,
    heads: 6,
    imageSize: 518,
    mlp: { kind: "plain", intermediateSize: 1536, bias: true },
    positions: { kind: "table", side: 37, antialias: false },
  });
  // DINOv2 giant: two thirds of 4 x 1536, to a multiple of 8.
  const giant = readDinoConfig({
    model_type: "dinov2",
    hidden_size: 1536,
    num_attention_heads: 24,
    use_swiglu_ffn: true,
  });
  assert.deepEqual(giant.mlp, { kind: "glu", intermediateSize: 4096, bias: true });
  const odd = readDinoConfig({
    model_type: "dinov2",
    hidden_size: 60,
    num_attention_heads: 3,
    use_swiglu_ffn: true,
    mlp_ratio: 2.5,
  });
  assert.equal(odd.mlp.intermediateSize, 104);
  assert.deepEqual(readDinoConfig({ model_type: "dinov2", qkv_bias: false }).biases, {
    query: false,
    key: false,
    value: false,
    output: true,
  });
  const seven = readDinoConfig({
    model_type: "dinov3_vit",
    hidden_size: 4096,
    num_attention_heads: 32,
    intermediate_size: 8192,
    use_gated_mlp: true,
    hidden_act: "silu",
    query_bias: false,
    value_bias: false,
    num_register_tokens: 4,
  });
  assert.deepEqual(seven.mlp, { kind: "gated", intermediateSize: 8192, bias: true });
  assert.deepEqual(seven.biases, { query: false, key: false, value: false, output: true });
  assert.equal(seven.registers, 4);
});

test("dino config: errors name the field, what it holds and what was expected", () => {
  const [v2, v3] = ["dinov2", "dinov3_vit"].map(
    (model_type) =>
      (fields: Json): Json => ({ model_type, ...fields }),
  );
  refuses(
    { model_type: "dinov4" },
    /`model_type` holds "dinov4"; expected one of dinov2, dinov2_with_registers, dinov3_vit/,
  );
  refuses(
    v2({ hidden_size: null, num_attention_heads: 5 }),
    /`num_attention_heads` holds 5; expected a divisor of hidden_size 768/,
  );
  refuses(v2({ mlp_ratio: "4" }), /`mlp_ratio` holds "4"; expected a number/);
  refuses(v2({ mlp_ratio: 0 }), /`mlp_ratio` holds 0/);
  refuses(v2({ use_swiglu_ffn: "no" }), /`use_swiglu_ffn` holds "no"; expected true or false/);
  refuses(v2({ qkv_bias: [] }), /`qkv_bias` holds \[\]/);
  refuses(v2({ image_size: 13 }), /`image_size` holds 13; expected at least patch_size 14/);
  refuses(v2({ patch_size: 14.5 }), /`patch_size` holds 14.5/);
  refuses(v2({ hidden_act: "swiglu" }), /`hidden_act` holds "swiglu"/);
  refuses({ model_type: "dinov2_with_registers", num_register_tokens: -1 }, /`num_register_tokens` holds -1/);
  refuses(v3({ num_attention_heads: 64 }), /`num_attention_heads` holds 64; expected heads of a width that 4 divides/);
  refuses(v3({ rope_theta: "100" }), /`rope_theta` holds "100"/);
  refuses(v3({ key_bias: 0 }), /`key_bias` holds 0; expected true or false/);
  refuses(v3({ intermediate_size: 0 }), /`intermediate_size` holds 0/);
});
