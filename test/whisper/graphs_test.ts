import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { whisperPlugin } from "../../plugins/whisper/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import { normal } from "../../runtime/core/random.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { type CheckpointValues, evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";
import { checkpointOf, FIXTURES, type Json, openModelOf, readJson, testTowerFixture } from "../kit/tower_fixtures.ts";

testTowerFixture(whisperPlugin, "whisper", "audio");
testTowerFixture(whisperPlugin, "qwen2_audio", "audio");
testTowerFixture(whisperPlugin, "voxtral", "audio");

const OUTPUT = "last_hidden_state";

function opened(name: string): { readonly tower: TowerSpec; readonly checkpoint: CheckpointValues } {
  const folder = join(FIXTURES, name);
  const model = openModelOf(whisperPlugin, readJson(join(folder, "config.json")));
  return { tower: model.towers[0], checkpoint: checkpointOf(folder, model) };
}

const features = (batch: number, seed: number): Tensor => ({
  dtype: "f32",
  shape: [batch, 20, 100],
  data: Float32Array.from({ length: batch * 2000 }, (_, i) => normal(seed, i)),
});

function rows(t: RefTensor, from: number, to: number): RefTensor {
  const size = t.shape.slice(1).reduce((a, d) => a * d, 1);
  return { dtype: t.dtype, shape: [to - from, ...t.shape.slice(1)], data: t.data.subarray(from * size, to * size) };
}

function mask(lengths: readonly number[]): Tensor {
  const data = Int32Array.from({ length: lengths.length * 100 }, (_, i) =>
    i % 100 < lengths[Math.floor(i / 100)] ? 1 : 0,
  );
  return { dtype: "i32", shape: [lengths.length, 100], data };
}

test("whisper: a batch gives what its recordings give alone", () => {
  for (const name of ["whisper", "qwen2_audio"]) {
    const { tower, checkpoint } = opened(name);
    const all = features(3, 1);
    const lengths = [100, 31, 1];
    const given = (x: Tensor, some: readonly number[]): Tensors =>
      name === "whisper" ? { input_features: x } : { input_features: x, feature_attention_mask: mask(some) };
    const together = evaluateTower(tower, given(all, lengths), [OUTPUT], checkpoint)[OUTPUT];
    for (let i = 0; i < 3; i++) {
      const own = { ...all, shape: [1, 20, 100], data: all.data.subarray(2000 * i, 2000 * (i + 1)) };
      const alone = evaluateTower(tower, given(own, [lengths[i]]), [OUTPUT], checkpoint)[OUTPUT];
      assert.equal(maxDifference(alone, rows(together, i, i + 1)), 0);
    }
  }
});

test("qwen2_audio: no mask is a mask of ones; what lies behind the mask changes no token of sound", () => {
  const { tower, checkpoint } = opened("qwen2_audio");
  const x = features(1, 2);
  const run = (inputs: Tensors): RefTensor => evaluateTower(tower, inputs, [OUTPUT], checkpoint)[OUTPUT];
  const plain = run({ input_features: x });
  assert.equal(maxDifference(plain, run({ input_features: x, feature_attention_mask: mask([100]) })), 0);
  for (const length of [59, 60]) {
    const masked = run({ input_features: x, feature_attention_mask: mask([length]) });
    assert.ok(maxDifference(plain, masked) > 0.01);
    // The last token of sound sees four frames past itself through both convolutions.
    const other = features(1, 3);
    const mixed = Float32Array.from(x.data, (v, i) => (i % 100 < 64 ? v : other.data[i]));
    const changed = run({ input_features: { ...x, data: mixed }, feature_attention_mask: mask([length]) });
    // 30 tokens of sound are 15 after averaging.
    const sound = (t: RefTensor): RefTensor => ({ ...t, shape: [15, 64], data: t.data.subarray(0, 15 * 64) });
    assert.equal(maxDifference(sound(masked), sound(changed)), 0);
    assert.ok(maxDifference(masked, changed) > 0.01);
  }
});

test("qwen2_audio: an odd token at the end is dropped by the average", () => {
  const config = { ...readJson(join(FIXTURES, "qwen2_audio/config.json")), max_source_positions: 25 };
  const [tower] = openModelOf(whisperPlugin, config).towers;
  const { checkpoint } = opened("qwen2_audio");
  const read: CheckpointValues = (name, shape) => {
    const t = checkpoint(name, shape);
    return name === "embed_positions.weight" ? rows(t, 0, 25) : t;
  };
  const out = evaluateTower(tower, tower.example({ batch: 1, seed: 4 }), [OUTPUT], read)[OUTPUT];
  assert.deepEqual(out.shape, [1, 12, 64]);
});

test("whisper: three structures whatever the depth, two ranges each, instances under published prefixes", () => {
  const digests = (json: Json): string[] =>
    openModelOf(whisperPlugin, json).towers[0].components.map((c) =>
      digestJson(graphToData(buildGraph(c.symbols, c.build))),
    );
  const large = readJson(join(FIXTURES, "configs/whisper-large-v3/config.json"));
  const model = openModelOf(whisperPlugin, large);
  const { components } = model.towers[0];
  assert.deepEqual(
    components.map((c) => [c.tag, c.instances.length, splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag }).length]),
    [
      ["whisper/audio.stem", 1, 2],
      ["whisper/audio.block", 32, 2],
      ["whisper/audio.final", 1, 2],
    ],
  );
  assert.equal(components[1].instances[31], "layers.31.");
  assert.deepEqual(model.prefixes, ["", "encoder.", "model.encoder."]);
  const shallow = digests({ ...large, encoder_layers: 2 });
  assert.deepEqual(digests(large), shallow);
  assert.equal(new Set(shallow).size, 3);
  const qwen = openModelOf(whisperPlugin, { model_type: "qwen2_audio" });
  assert.deepEqual(qwen.prefixes, ["", "audio_tower.", "model.audio_tower."]);
  const voxtral = openModelOf(whisperPlugin, { model_type: "voxtral" });
  assert.deepEqual(voxtral.prefixes, ["", "model.", "audio_tower.", "model.audio_tower."]);
  const [projector] = voxtral.towers[0].components.slice(-1);
  assert.deepEqual([projector.tag, projector.instances], ["whisper/audio.project", ["multi_modal_projector."]]);
});
