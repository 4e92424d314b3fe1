import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { whisperPlugin } from "../../plugins/whisper/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { DType } from "../../runtime/core/dtype.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES, openModelOf, readJson } from "../kit/tower_fixtures.ts";

const towerIn = (name: string): TowerSpec =>
  openModelOf(whisperPlugin, readJson(join(FIXTURES, name, "config.json"))).towers[0];
const whisper = towerIn("whisper");
const qwen = towerIn("qwen2_audio");
const voxtral = towerIn("voxtral");

const tensor = (dtype: DType, shape: readonly number[], data: Tensor["data"]): Tensor => ({ dtype, shape, data });
const features = (shape: readonly number[]): Tensor =>
  tensor("f32", shape, new Float32Array(shape.reduce((a, d) => a * d, 1)));
const GOOD = features([2, 20, 100]);

const refuses = (tower: TowerSpec, inputs: Tensors, says: RegExp): void =>
  assert.throws(() => tower.prepare(inputs), hasCode("invalid_input", says));

test("whisper plan: stem, layers, end; the mask goes to Qwen2-Audio's layers", () => {
  const plan = whisper.plan({ input_features: [2, 20, 100] }, ["last_hidden_state"]);
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.inputs, c.outputs]),
    [
      ["whisper/audio.stem", "", { input_features: "input_features" }, { hidden_states: "hidden_states.0" }],
      ["whisper/audio.block", "layers.0.", { hidden_states: "hidden_states.0" }, { hidden_states: "hidden_states.1" }],
      ["whisper/audio.block", "layers.1.", { hidden_states: "hidden_states.1" }, { hidden_states: "hidden_states.2" }],
      ["whisper/audio.final", "", { hidden_states: "hidden_states.2" }, { last_hidden_state: "last_hidden_state" }],
    ],
  );
  assert.ok(plan.calls.every((c) => c.dims.batch === 2));
  const shapes = { input_features: [1, 20, 100], key_mask: [1, 50] };
  const masked = qwen.plan(shapes, ["last_hidden_state"]);
  assert.deepEqual(masked.calls[1].inputs, { hidden_states: "hidden_states.0", key_mask: "key_mask" });
  assert.notEqual(plan.key, whisper.plan({ input_features: [1, 20, 100] }, ["last_hidden_state"]).key);
  for (const outputs of [[], ["pooler_output"]]) {
    const ask = (): unknown => whisper.plan({ input_features: [1, 20, 100] }, outputs);
    assert.throws(ask, hasCode("invalid_input", /this tower gives last_hidden_state/));
  }
});

test("voxtral plan: the projector follows where its vectors are wanted", () => {
  const shapes = { input_features: [2, 20, 40] };
  const tags = (wanted: readonly string[]): readonly string[] =>
    voxtral
      .plan(shapes, wanted)
      .calls.slice(-2)
      .map((c) => c.tag);
  assert.deepEqual(tags(["last_hidden_state"]), ["whisper/audio.block", "whisper/audio.final"]);
  assert.deepEqual(tags(["projected"]), ["whisper/audio.final", "whisper/audio.project"]);
  assert.deepEqual(voxtral.plan(shapes, ["projected"]).results, { projected: "projected" });
  assert.throws(
    () => voxtral.plan(shapes, ["pooler_output"]),
    hasCode("invalid_input", /this tower gives projected, last_hidden_state/),
  );
});

test("whisper prepare: features of another shape, type or with odd values are refused", () => {
  assert.equal(whisper.prepare({ input_features: GOOD }).input_features, GOOD);
  refuses(whisper, {}, /"input_features" is missing/);
  refuses(whisper, { input_features: GOOD, mel: GOOD }, /no input "mel"; this tower takes input_features\./);
  refuses(whisper, { input_features: GOOD, feature_attention_mask: GOOD }, /no input "feature_attention_mask"/);
  const short = features([1, 20, 99]);
  refuses(
    whisper,
    { input_features: short },
    /input "input_features" has shape \[1, 20, 99\], expected \[batch, 20, 100\]; this model takes 1 seconds: pad or cut the audio/,
  );
  refuses(whisper, { input_features: features([1, 80, 100]) }, /shape \[1, 80, 100\]/);
  refuses(whisper, { input_features: features([20, 100]) }, /shape \[20, 100\]/);
  refuses(whisper, { input_features: features([0, 20, 100]) }, /shape \[0, 20, 100\]/);
  refuses(whisper, { input_features: { ...GOOD, shape: [1, 20, 100] } }, /holds 4000 values, .* needs 2000/);
  refuses(whisper, { input_features: tensor("u8", [1, 20, 100], new Uint8Array(2000)) }, /type u8, expected f32/);
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const data = new Float32Array(2000);
    data[7] = odd;
    refuses(whisper, { input_features: tensor("f32", [1, 20, 100], data) }, new RegExp(`holds ${odd} at element 7`));
  }
});

test("qwen2_audio prepare: frames of sound become tokens, two frames each", () => {
  const keys = (lengths: readonly number[], wide = false): number[] => {
    const bits = lengths.flatMap((n) => Array.from({ length: 100 }, (_, i) => (i < n ? 1 : 0)));
    const data = wide ? BigInt64Array.from(bits, BigInt) : Int32Array.from(bits);
    const mask = { dtype: wide ? "i64" : "i32", shape: [lengths.length, 100], data } as unknown as Tensor;
    const inputs = { input_features: features([lengths.length, 20, 100]), feature_attention_mask: mask };
    const { key_mask } = qwen.prepare(inputs);
    assert.deepEqual(key_mask.shape, [lengths.length, 50]);
    const ones = [...key_mask.data].map(Number);
    return lengths.map((_, row) => ones.slice(row * 50, (row + 1) * 50).reduce((a, v) => a + v, 0));
  };
  assert.deepEqual(keys([100, 99, 98, 2, 1]), [50, 50, 49, 1, 1]);
  assert.deepEqual(keys([3], true), [2]);
  assert.ok(qwen.prepare({ input_features: GOOD }).key_mask.data.every((v) => v === 1));
});

test("qwen2_audio prepare: masks that fit no recording are refused", () => {
  const masked = (shape: readonly number[], values: readonly number[]): Tensors => {
    const data = new Int32Array(shape.reduce((a, d) => a * d, 1));
    data.set(values);
    return { input_features: features([1, 20, 100]), feature_attention_mask: tensor("i32", shape, data) };
  };
  refuses(qwen, masked([1, 50], [1]), /"feature_attention_mask" has shape \[1, 50\], expected \[1, 100\]/);
  refuses(qwen, masked([1, 100], [1, 2]), /holds 2 at element 1; expected 1 for sound, 0 for padding/);
  refuses(qwen, masked([1, 100], []), /hides all frames of audio 0; expected at least one/);
  refuses(qwen, masked([1, 100], [0, 1]), /padding before sound in audio 0; expected ones first/);
});

test("whisper example: seeded inputs that prepare takes, silent after the asked seconds", () => {
  const a = whisper.example({ batch: 2, seed: 1 });
  assert.deepEqual(whisper.prepare(a).input_features.shape, [2, 20, 100]);
  assert.deepEqual(whisper.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(whisper.example({ batch: 2, seed: 2 }), a);
  const half = qwen.example({ batch: 1, seed: 1, seconds: 0.5 });
  assert.ok(half.input_features.data.every((v, i) => i % 100 < 50 || v === -1));
  assert.equal(qwen.prepare(half).key_mask.data.filter((v) => v === 1).length, 25);
  for (const seconds of [0, 1.01, Number.NaN]) {
    const make = (): unknown => whisper.example({ batch: 1, seed: 1, seconds });
    assert.throws(make, hasCode("invalid_input", /takes up to 1 seconds of audio, found/));
  }
});
