/** Exported towers mean what their own graphs mean, read back from the file's bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeCheckpoint, WEIGHTS_FILE } from "../../bench/checkpoint.ts";
import { exportTower } from "../../bench/onnx/export.ts";
import { encodeOnnx } from "../../bench/onnx/model.ts";
import { createMessage } from "../../bench/onnx/protobuf.ts";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import { siglipPlugin } from "../../plugins/siglip/plugin.ts";
import { whisperPlugin } from "../../plugins/whisper/plugin.ts";
import type { Modality, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference, maxMagnitude } from "../kit/run_graph.ts";
import { runOnnx } from "./onnx_interpreter.ts";
import { readFields, readOnnx } from "./onnx_reader.ts";

const OUTPUTS = ["last_hidden_state"];
/** Both sides compute in f64 and differ in the order of their sums; scalars of the file are f32. */
const TOLERANCE = 1e-8;

const block = { hidden_size: 24, intermediate_size: 40, num_hidden_layers: 2, num_attention_heads: 3 };
const picture = { ...block, image_size: 16, patch_size: 8 };

interface Small {
  readonly plugin: Plugin;
  readonly modality: Modality;
  readonly config: Readonly<Record<string, unknown>>;
  /** Options of the tower's example. */
  readonly sizes?: { readonly size?: readonly [number, number]; readonly tokens?: number };
}

const MODELS: Readonly<Record<string, Small>> = {
  siglip: {
    plugin: siglipPlugin,
    modality: "vision",
    config: { model_type: "siglip", text_config: {}, vision_config: picture },
  },
  clip: {
    plugin: clipPlugin,
    modality: "vision",
    config: { model_type: "clip", projection_dim: 16, text_config: {}, vision_config: picture },
  },
  dinov2: {
    plugin: dinoPlugin,
    modality: "vision",
    config: { model_type: "dinov2", ...picture, image_size: 40, mlp_ratio: 2 },
    sizes: { size: [24, 16] },
  },
  whisper: {
    plugin: whisperPlugin,
    modality: "audio",
    config: {
      model_type: "whisper",
      ...{ d_model: 24, encoder_layers: 1, encoder_attention_heads: 3, encoder_ffn_dim: 40 },
      ...{ num_mel_bins: 5, max_source_positions: 9 },
    },
  },
  bert: {
    plugin: bertPlugin,
    modality: "text",
    config: { model_type: "bert", ...block, vocab_size: 50, max_position_embeddings: 16, hidden_act: "gelu" },
    sizes: { tokens: 7 },
  },
};

function towerOf({ plugin, modality, config }: Small): TowerSpec {
  const encoder = plugin.encoders?.find((one) => one.modelTypes.includes(String(config.model_type)));
  const tower = encoder?.open(config).towers.find((one) => one.modality === modality);
  assert.ok(tower !== undefined);
  return tower;
}

for (const [name, small] of Object.entries(MODELS)) {
  test(`the exported graph of ${name} gives what the tower gives`, () => {
    const tower = towerOf(small);
    const inputs = tower.example({ batch: 2, seed: 5, ...small.sizes });
    if (small.modality === "text") {
      const { shape } = inputs.input_ids;
      const shown = Int32Array.from({ length: 2 * shape[1] }, (_, i) => (i % shape[1] < 4 ? 1 : 0));
      Object.assign(inputs, { attention_mask: { dtype: "i32", shape, data: shown } });
    }
    const { bytes, place } = makeCheckpoint(tower);
    const { model, feeds, flops } = exportTower(tower, { inputs, outputs: OUTPUTS, weight: place });
    const read = readOnnx(encodeOnnx(model));
    const found = runOnnx(read, feeds, bytes).last_hidden_state;
    const expected = evaluateTower(tower, inputs, OUTPUTS, (weight, shape) => {
      const { file, offset, length } = place(weight);
      assert.equal(file, WEIGHTS_FILE);
      return refTensor("f32", shape, new Float32Array(bytes.slice(offset, offset + length).buffer));
    }).last_hidden_state;
    assert.ok(maxMagnitude(expected) > 0.5);
    const difference = maxDifference(found, expected);
    assert.ok(difference < TOLERANCE, `differs by ${difference}`);
    assert.deepEqual(read.outputs, [{ name: OUTPUTS[0], type: "f32", shape: expected.shape }]);
    assert.ok(flops > 0);
  });
}

test("operations of a tower are counted as those of its products", () => {
  const tower = towerOf(MODELS.siglip);
  const { place } = makeCheckpoint(tower);
  const inputs = tower.example({ batch: 3, seed: 5 });
  const { flops } = exportTower(tower, { inputs, outputs: OUTPUTS, weight: place });
  const [width, inner, tokens, layers] = [24, 40, 4, 2];
  const ofLayer = tokens * (4 * width * width + 2 * width * inner) + 2 * tokens * tokens * width;
  assert.equal(flops, 2 * 3 * (tokens * width * 3 * 8 * 8 + layers * ofLayer));
});

test("messages hold large and negative numbers, floats, texts and messages", () => {
  const inner = createMessage().text(3, "é").int(300, 0);
  const bytes = createMessage()
    .int(1, 2 ** 40 + 5)
    .int(1, -7)
    .float(2, 0.1)
    .message(16, inner)
    .finish();
  const [large, negative, float, message] = readFields(bytes);
  assert.deepEqual(
    [large, negative],
    [
      { id: 1, value: 2 ** 40 + 5 },
      { id: 1, value: -7 },
    ],
  );
  const value = float.value as Uint8Array;
  assert.equal(new DataView(value.buffer).getFloat32(0, true), Math.fround(0.1));
  assert.deepEqual(readFields(message.value as Uint8Array), [
    { id: 3, value: new TextEncoder().encode("é") },
    { id: 300, value: 0 },
  ]);
});
