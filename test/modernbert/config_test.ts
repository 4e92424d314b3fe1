import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readModernBertConfig } from "../../plugins/modernbert/config.ts";
import { FIXTURES, readJson } from "../bert/text_kit.ts";

const read = (change: object = {}): ReturnType<typeof readModernBertConfig> =>
  readModernBertConfig({ model_type: "modernbert", ...change });

test("modernbert config: absent fields are those of the base model", () => {
  const { layerTypes, ...rest } = read();
  assert.equal(layerTypes.length, 22);
  layerTypes.forEach((type, i) => {
    assert.equal(type, i % 3 === 0 ? "full_attention" : "sliding_attention");
  });
  assert.deepEqual(rest, {
    vocabSize: 50368,
    maxPositions: 8192,
    hiddenSize: 768,
    intermediateSize: 1152,
    heads: 12,
    window: 64,
    theta: { full_attention: 160_000, sliding_attention: 10_000 },
    activation: "gelu",
    eps: 1e-5,
    normBias: false,
    attentionBias: false,
    mlpBias: false,
    padTokenId: 50283,
  });
});

test("modernbert config: both generations spell layers and frequencies", () => {
  const fixture = readModernBertConfig(readJson(join(FIXTURES, "sentence-modernbert/config.json")));
  assert.deepEqual(fixture.layerTypes, ["full_attention", "sliding_attention"]);
  assert.equal(fixture.window, 8);
  // Every third layer unless told otherwise.
  const third = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"];
  assert.deepEqual(read({ num_hidden_layers: 4 }).layerTypes, third);
  assert.deepEqual(read({ global_rope_theta: 5, local_rope_theta: 3 }).theta, {
    full_attention: 5,
    sliding_attention: 3,
  });
  const rope = { full_attention: { rope_theta: 7 }, sliding_attention: { rope_theta: 9, rope_type: "default" } };
  assert.deepEqual(read({ rope_parameters: rope }).theta, { full_attention: 7, sliding_attention: 9 });
  assert.deepEqual(read({ rope_parameters: {} }).theta, { full_attention: 160_000, sliding_attention: 10_000 });
  assert.deepEqual(read({ num_hidden_layers: 3, global_attn_every_n_layers: 2 }).layerTypes, [
    "full_attention",
    "sliding_attention",
    "full_attention",
  ]);
});

test("modernbert config: errors name the field, what it holds and what was expected", () => {
  const refused = (change: object, message: RegExp): void => {
    assert.throws(() => read(change), { code: "invalid_config", message });
  };
  refused({ model_type: "bert" }, /`model_type` holds "bert"; expected one of modernbert/);
  refused(
    { num_attention_heads: 5 },
    /`num_attention_heads` holds 5; expected heads of an even width out of hidden_size 768/,
  );
  refused({ hidden_size: 12, num_attention_heads: 4 }, /`num_attention_heads` holds 4/);
  refused({ local_attention: -1 }, /`local_attention` holds -1; expected a whole number of at least 2/);
  refused(
    { layer_types: ["full_attention"] },
    /`layer_types` holds .*; expected 22 of full_attention and sliding_attention/,
  );
  refused({ num_hidden_layers: 1, layer_types: ["linear"] }, /`layer_types` holds \["linear"\]/);
  refused(
    { rope_parameters: { full_attention: { rope_type: "yarn" } } },
    /`rope_parameters.full_attention.rope_type` holds "yarn"/,
  );
  refused({ rope_parameters: { sliding_attention: 3 } }, /`rope_parameters.sliding_attention` must be an object/);
  refused({ global_rope_theta: 0 }, /`global_rope_theta` holds 0/);
  refused({ hidden_activation: 3 }, /`hidden_activation` holds 3; expected one of gelu/);
  refused({ norm_bias: "no" }, /`norm_bias` holds "no"; expected true or false/);
  refused({ global_attn_every_n_layers: 0 }, /`global_attn_every_n_layers` holds 0/);
});
