import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type DecoderConfig, readDecoderConfig } from "../../plugins/decoder/config.ts";
import { FIXTURES, readJson } from "../bert/text_kit.ts";

const gemma = (change: object = {}): DecoderConfig => readDecoderConfig({ model_type: "gemma3_text", ...change });
const qwen = (change: object = {}): DecoderConfig => readDecoderConfig({ model_type: "qwen3", ...change });

test("decoder config: absent fields are those of transformers", () => {
  const sizes = ({ vocabSize, hiddenSize, intermediateSize, heads, keyHeads, headDim }: DecoderConfig): unknown => [
    ...[vocabSize, hiddenSize, intermediateSize, heads, keyHeads, headDim],
  ];
  assert.deepEqual(sizes(gemma()), [262_208, 2304, 9216, 8, 4, 256]);
  assert.deepEqual(sizes(qwen()), [151_936, 4096, 22_016, 32, 32, 128]);
  const { layerTypes, causal, window, theta, scale, embeddingScale, activation, padTokenId } = gemma();
  assert.equal(layerTypes.length, 26);
  assert.deepEqual(
    [...layerTypes.keys()].filter((i) => layerTypes[i] === "full_attention"),
    [5, 11, 17, 23],
  );
  assert.deepEqual([causal, window, scale, embeddingScale], [true, 4095, 1 / 16, 48]);
  assert.deepEqual(theta, { full_attention: 1e6, sliding_attention: 1e4 });
  assert.deepEqual([activation, padTokenId], ["gelu_pytorch_tanh", 0]);
  assert.deepEqual(
    [qwen().causal, qwen().window, qwen().theta.full_attention, qwen().activation],
    [true, 0, 1e4, "silu"],
  );
});

test("decoder config: windows that count both sides, and one", () => {
  const window = (change: object): number => gemma({ sliding_window: 512, ...change }).window;
  assert.equal(window({}), 511);
  assert.equal(window({ use_bidirectional_attention: true }), 256);
  assert.equal(window({ layer_types: Array(26).fill("full_attention") }), 0);
  const { layerTypes, causal } = readDecoderConfig(readJson(join(FIXTURES, "sentence-gemma/config.json")));
  assert.deepEqual([...layerTypes], ["sliding_attention", "full_attention", "sliding_attention"]);
  assert.equal(causal, false);
});

test("decoder config: both generations spell rotary frequencies", () => {
  assert.deepEqual(gemma({ rope_theta: 5, rope_local_base_freq: 7 }).theta, {
    full_attention: 5,
    sliding_attention: 7,
  });
  const rope_parameters = { full_attention: { rope_theta: 5 }, sliding_attention: null };
  assert.deepEqual(gemma({ rope_parameters }).theta, { full_attention: 5, sliding_attention: 1e4 });
  const without = {
    rope_parameters: { full_attention: { rope_type: "default" } },
    rope_theta: 6,
    rope_local_base_freq: 7,
  };
  assert.deepEqual(gemma(without).theta, { full_attention: 6, sliding_attention: 7 });
  const scaling = { rope_scaling: { type: "default", rope_theta: 4 }, rope_theta: 6 };
  assert.deepEqual(gemma(scaling).theta, { full_attention: 4, sliding_attention: 1e4 });
  assert.equal(qwen(scaling).theta.full_attention, 4);
  assert.equal(qwen({ rope_theta: 9, rope_scaling: null }).theta.full_attention, 9);
  assert.equal(
    qwen({ rope_parameters: { rope_type: "default", rope_theta: 8 }, rope_theta: 9 }).theta.full_attention,
    8,
  );
});

test("decoder config: texts are read up to a bound", () => {
  assert.equal(qwen({ max_position_embeddings: 40_960 }).maxTokens, 32_768);
  assert.equal(gemma({ max_position_embeddings: 2048 }).maxTokens, 2048);
});

test("decoder config: errors name the field, what it holds and what was expected", () => {
  const refused = (read: (change: object) => unknown, change: object, message: RegExp): void => {
    assert.throws(() => read(change), { code: "invalid_config", message });
  };
  refused(gemma, { model_type: "llama" }, /`model_type` holds "llama"; expected one of gemma3_text, qwen3/);
  refused(
    gemma,
    { num_key_value_heads: 3 },
    /`num_key_value_heads` holds 3; expected a divisor of num_attention_heads 8/,
  );
  refused(qwen, { head_dim: 5 }, /`head_dim` holds 5; expected an even number/);
  for (const read of [gemma, qwen]) {
    refused(read, { rope_scaling: { rope_type: "linear", factor: 8 } }, /`rope_scaling.rope_type` holds "linear"/);
    refused(read, { rope_scaling: { type: "dynamic", factor: 8 } }, /`rope_scaling.type` holds "dynamic"/);
    refused(read, { layer_types: ["full_attention"] }, /`layer_types` holds .*; expected \d+ of full_attention and/);
  }
  const linear = { full_attention: { rope_type: "linear", factor: 8 } };
  refused(gemma, { rope_parameters: linear }, /`rope_parameters.full_attention.rope_type` holds "linear"/);
  refused(gemma, { rope_parameters: { full_attention: { type: "linear" } } }, /`rope_parameters.full_attention.type`/);
  refused(qwen, { rope_parameters: { type: "linear", factor: 4 } }, /`rope_parameters.type` holds "linear"/);
  refused(qwen, { rope_parameters: { rope_type: "yarn" } }, /`rope_parameters.rope_type` holds "yarn"/);
  refused(qwen, { use_sliding_window: true }, /`use_sliding_window` holds true; expected false/);
  refused(qwen, { num_hidden_layers: 1, layer_types: ["sliding_attention"] }, /expected full_attention alone/);
  refused(gemma, { hidden_activation: "swish7" }, /`hidden_activation` holds "swish7"/);
});
