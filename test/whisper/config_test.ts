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
const QWEN2_AUDIO_DEFAULTS: WhisperConfig = {
  ...WHISPER_DEFAULTS,
  family: "qwen2_audio",
  melBins: 128,
  width: 1280,
  layers: 32,
  heads: 20,
  intermediateSize: 5120,
};

test("whisper config: absent fields take the defaults of transformers", () => {
  assert.deepEqual(readWhisperConfig({ model_type: "whisper", d_model: null }), WHISPER_DEFAULTS);
  assert.deepEqual(readWhisperConfig({ model_type: "qwen2_audio_encoder" }), QWEN2_AUDIO_DEFAULTS);
  assert.deepEqual(readWhisperConfig({ model_type: "qwen2_audio" }), QWEN2_AUDIO_DEFAULTS);
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
  assert.deepEqual(readWhisperConfig(whole), { ...QWEN2_AUDIO_DEFAULTS, layers: 2, activation: "relu" });
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
