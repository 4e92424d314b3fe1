import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { framesOf, hopOf, readWav2Vec2Config, samplesOf, type Wav2Vec2Config } from "../../plugins/wav2vec2/config.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";
import { HUBERT_LARGE } from "./hubert_large.ts";

const refuses = (fields: Json, says: RegExp): void =>
  assert.throws(() => readWav2Vec2Config({ model_type: "wav2vec2", ...fields }), hasCode("invalid_config", says));

const SIZES = [10, 3, 3, 3, 3, 2, 2];
const DEFAULTS: Wav2Vec2Config = {
  convolutions: SIZES.map((size, i) => ({ channels: 512, size, stride: i === 0 ? 5 : 2 })),
  convolutionBias: false,
  featureNorm: "group",
  featureActivation: "gelu",
  projectionNorm: true,
  hiddenSize: 768,
  layers: 12,
  heads: 12,
  intermediateSize: 3072,
  activation: "gelu",
  eps: 1e-5,
  preNorm: false,
  positionSize: 128,
  positionGroups: 16,
};

test("wav2vec2 config: absent fields take the defaults of transformers", () => {
  for (const model_type of ["wav2vec2", "hubert"]) {
    assert.deepEqual(readWav2Vec2Config({ model_type, hidden_size: null, adapter_attn_dim: null }), DEFAULTS);
  }
});

test("wav2vec2 config: published files are read, and HuBERT's norm of features where it says so", () => {
  const base = readJson(join(FIXTURES, "configs/wav2vec2-base-960h/config.json"));
  assert.deepEqual(readWav2Vec2Config(base), DEFAULTS);
  const large = { hiddenSize: 1024, layers: 24, heads: 16, intermediateSize: 4096, preNorm: true };
  const own = { ...large, convolutionBias: true, featureNorm: "layer" as const };
  assert.deepEqual(readWav2Vec2Config(HUBERT_LARGE), { ...DEFAULTS, ...own });
  const bare = { feat_proj_layer_norm: false };
  assert.equal(readWav2Vec2Config({ model_type: "hubert", ...bare }).projectionNorm, false);
  assert.equal(readWav2Vec2Config({ model_type: "wav2vec2", ...bare }).projectionNorm, true);
});

test("wav2vec2 config: a frame is 25 ms and the next begins 20 ms later", () => {
  assert.equal(hopOf(DEFAULTS), 320);
  assert.deepEqual(
    [1, 2, 16].map((frames) => samplesOf(DEFAULTS, frames)),
    [400, 720, 5200],
  );
  assert.deepEqual(
    [400, 719, 720, 16000, 160000].map((samples) => framesOf(DEFAULTS, samples)),
    [1, 1, 2, 49, 499],
  );
  assert.ok(framesOf(DEFAULTS, 399) < 1);
});

test("wav2vec2 config: errors name the field, what it holds and what was expected", () => {
  assert.throws(
    () => readWav2Vec2Config({ model_type: "whisper" }),
    hasCode("invalid_config", /`model_type` holds "whisper"; expected one of wav2vec2, hubert/),
  );
  refuses({ hidden_size: "768" }, /`hidden_size` holds "768"; expected a whole number/);
  refuses({ num_attention_heads: 7 }, /`num_attention_heads` holds 7; expected a divisor of hidden_size 768/);
  refuses(
    { num_conv_pos_embedding_groups: 5 },
    /`num_conv_pos_embedding_groups` holds 5; expected a divisor of hidden/,
  );
  refuses({ num_conv_pos_embedding_groups: 96 }, /holds 96; expected a whole number from 1 to 64/);
  refuses({ num_conv_pos_embeddings: 0 }, /`num_conv_pos_embeddings` holds 0/);
  refuses({ hidden_act: "swoosh" }, /`hidden_act` holds "swoosh"; expected one of gelu/);
  refuses({ feat_extract_activation: 1 }, /`feat_extract_activation` holds 1/);
  refuses({ feat_extract_norm: "batch" }, /`feat_extract_norm` holds "batch"; expected one of group, layer/);
  refuses({ conv_stride: [5, 2] }, /`conv_stride` holds \[5,2\]; expected 7 numbers, one for each of conv_dim/);
  refuses({ conv_kernel: [3, 0] }, /`conv_kernel` holds \[3,0\]; expected a list of whole numbers/);
  refuses(
    { conv_dim: [], conv_kernel: [], conv_stride: [] },
    /`conv_dim` holds \[\]; expected at least one convolution/,
  );
  const wide = { conv_dim: [8, 8], conv_kernel: [3, 3], conv_stride: [60000, 2] };
  refuses(
    wide,
    /`conv_kernel` holds \[3,3\]; expected kernels and strides by which a frame sees at most 65536 samples/,
  );
});

test("wav2vec2 config: adapters and other norms than these are refused", () => {
  refuses({ add_adapter: true }, /`add_adapter` holds true; expected false, since adapters behind the encoder/);
  refuses({ adapter_attn_dim: 16 }, /`adapter_attn_dim` holds 16; expected null, since adapters of languages/);
  refuses({ conv_pos_batch_norm: true }, /`conv_pos_batch_norm` holds true; expected false, since batch norms/);
});
