import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readWhisperConfig, type WhisperConfig } from "../../plugins/whisper/config.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";

const refuses = (config: Json, says: RegExp): void =>
  assert.throws(() => readWhisperConfig(config), hasCode("invalid_config", says));

const WHISPER_DEFAULTS: WhisperConfig = {
  family: "whisper",
  melBins: 80,
  width: 384,
  layers: 4,
  heads: 6,
  intermediateSize: 1536,
  positions: 1500,
  activation: "gelu",
};
const LARGE: WhisperConfig = {
  ...WHISPER_DEFAULTS,
  family: "qwen2_audio",
  melBins: 128,
  width: 1280,
  layers: 32,
  heads: 20,
  intermediateSize: 5120,
};
const VOXTRAL_DEFAULTS: WhisperConfig = { ...LARGE, family: "voxtral" };

test("whisper config: absent fields take the defaults of transformers", () => {
  assert.deepEqual(readWhisperConfig({ model_type: "whisper", d_model: null }), WHISPER_DEFAULTS);
  assert.deepEqual(readWhisperConfig({ model_type: "qwen2_audio_encoder" }), LARGE);
  assert.deepEqual(readWhisperConfig({ model_type: "qwen2_audio" }), LARGE);
  assert.deepEqual(readWhisperConfig({ model_type: "voxtral_encoder" }), VOXTRAL_DEFAULTS);
  const projector = { group: 4, width: 3072, activation: "gelu" };
  assert.deepEqual(readWhisperConfig({ model_type: "voxtral" }), { ...VOXTRAL_DEFAULTS, projector });
});

test("whisper config: published files are read, Qwen2-Audio's tower below audio_config", () => {
  const of = (name: string): WhisperConfig =>
    readWhisperConfig(readJson(join(FIXTURES, `configs/${name}/config.json`)));
  const base = { width: 512, layers: 6, heads: 8, intermediateSize: 2048 };
  assert.deepEqual(of("whisper-base"), { ...WHISPER_DEFAULTS, ...base });
  const large = { melBins: 128, width: 1280, layers: 32, heads: 20, intermediateSize: 5120 };
  assert.deepEqual(of("whisper-large-v3"), { ...WHISPER_DEFAULTS, ...large });
  const audio = { model_type: "qwen2_audio_encoder", encoder_layers: 2, activation_function: "relu" };
  const whole = { model_type: "qwen2_audio", d_model: 7, text_config: {}, audio_config: audio };
  assert.deepEqual(readWhisperConfig(whole), { ...LARGE, layers: 2, activation: "relu" });
});

test("voxtral config: the tower below audio_config, and a projector that takes whole tokens", () => {
  const audio = { model_type: "voxtral_encoder", hidden_size: 32, num_attention_heads: 4, num_hidden_layers: 2 };
  const whole = {
    model_type: "voxtral",
    projector_hidden_act: "silu",
    text_config: { hidden_size: 5120 },
    audio_config: { ...audio, intermediate_size: 64, max_source_positions: 30 },
  };
  const tower = { ...VOXTRAL_DEFAULTS, width: 32, heads: 4, layers: 2, intermediateSize: 64, positions: 30 };
  assert.deepEqual(readWhisperConfig(whole), { ...tower, projector: { group: 2, width: 5120, activation: "silu" } });
  const edited = (fields: Json): Json => ({ ...whole, audio_config: { ...whole.audio_config, ...fields } });
  refuses(
    edited({ hidden_size: 33 }),
    /`audio_config.num_attention_heads` holds 4; expected a divisor of hidden_size 33/,
  );
  refuses(
    edited({ intermediate_size: 48 }),
    /`audio_config.intermediate_size` holds 48; expected a multiple of hidden_/,
  );
  refuses(
    edited({ max_source_positions: 31 }),
    /`audio_config.max_source_positions` holds 31; expected a multiple of 2,/,
  );
  refuses(
    edited({ model_type: "whisper" }),
    /`audio_config.model_type` holds "whisper"; expected one of voxtral_encoder/,
  );
  refuses({ ...whole, projector_hidden_act: "swoosh" }, /`projector_hidden_act` holds "swoosh"/);
  refuses({ ...whole, text_config: { hidden_size: 0 } }, /`text_config.hidden_size` holds 0/);
});

test("whisper config: errors name the field, what it holds and what was expected", () => {
  const whisper = (fields: Json): Json => ({ model_type: "whisper", ...fields });
  refuses({}, /`model_type` is absent; expected one of whisper, qwen2_audio, qwen2_audio_encoder/);
  refuses(whisper({ d_model: "384" }), /`d_model` holds "384"; expected a whole number/);
  refuses(
    whisper({ encoder_attention_heads: 7 }),
    /`encoder_attention_heads` holds 7; expected a divisor of d_model 384/,
  );
  refuses(whisper({ num_mel_bins: 0 }), /`num_mel_bins` holds 0; expected a whole number from 1 to 1024/);
  refuses(whisper({ encoder_layers: 1.5 }), /`encoder_layers` holds 1.5/);
  refuses(whisper({ encoder_ffn_dim: [] }), /`encoder_ffn_dim` holds \[\]/);
  refuses(whisper({ max_source_positions: -1 }), /`max_source_positions` holds -1/);
  refuses(whisper({ activation_function: "swoosh" }), /`activation_function` holds "swoosh"; expected one of gelu/);
  refuses({ model_type: "qwen2_audio", audio_config: 3 }, /`audio_config` must be an object; it holds 3/);
  refuses(
    { model_type: "qwen2_audio", audio_config: { model_type: "whisper" } },
    /`audio_config.model_type` holds "whi/,
  );
  refuses({ model_type: "qwen2_audio", audio_config: { d_model: 1281 } }, /`audio_config.encoder_attention_heads`/);
  refuses({ model_type: "qwen2_audio_encoder", max_source_positions: 1 }, /averaged two by two/);
});
