import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Convolution } from "../../plugins/wav2vec2/config.ts";
import { MAX_FRAMES } from "../../plugins/wav2vec2/graphs.ts";
import { windowMoments } from "../../plugins/wav2vec2/moments.ts";
import { wav2vec2Plugin } from "../../plugins/wav2vec2/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { normal } from "../../runtime/core/random.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES, openModelOf, readJson } from "../kit/tower_fixtures.ts";

const towerIn = (name: string): TowerSpec =>
  openModelOf(wav2vec2Plugin, readJson(join(FIXTURES, name, "config.json"))).towers[0];
const wav2vec2 = towerIn("wav2vec2");
const hubert = towerIn("hubert");

const wave = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, d) => a * d, 1) }, (_, i) => normal(1, i)),
});

const refuses = (tower: TowerSpec, inputs: Tensors, says: RegExp): void =>
  assert.throws(() => tower.prepare(inputs), hasCode("invalid_input", says));

test("wav2vec2 plan: features of pieces, positions of frames, layers, and an end where norms come first", () => {
  const calls = (tower: TowerSpec, shapes: Readonly<Record<string, readonly number[]>>): unknown[] =>
    tower.plan(shapes, ["last_hidden_state"]).calls.map((c) => [c.tag, c.instance, c.dims, c.inputs, c.outputs]);
  const dims = { batch: 2, frames: 33 };
  const positions = { hidden_states: "hidden_states.0" };
  const layer = { hidden_states: "hidden_states.1" };
  const block = ["wav2vec2/audio.block", "encoder.layers.0.", dims, positions, layer];
  const embed = ["wav2vec2/audio.embed", "", dims, { joined: "joined.0" }, positions];
  const features = ["wav2vec2/audio.features", "feature_extractor.", { pieces: 6 }];
  assert.deepEqual(calls(hubert, { recordings: [2, 0], frames: [66, 0] }), [
    [...features, { input_values: "input_values.0" }, { features: "joined.0" }],
    embed,
    block,
    ["wav2vec2/audio.final", "encoder.", dims, layer, { last_hidden_state: "last_hidden_state" }],
  ]);
  const [first, , , last] = calls(wav2vec2, { recordings: [2, 0], frames: [66, 0] });
  assert.deepEqual(first, [
    ...features,
    { input_values: "input_values.0", moments: "moments.0" },
    { features: "joined.0" },
  ]);
  const long = calls(wav2vec2, { recordings: [1, 0], frames: [1030, 0] }).slice(0, 6);
  const call = (at: number): Readonly<Record<string, string>> => ({
    input_values: `input_values.${at}`,
    moments: `moments.${at}`,
  });
  const join = (at: number, pieces: number): unknown[] => [
    "wav2vec2/audio.join",
    "",
    { before: 32 * at, pieces },
    { joined: `joined.${at - 1}`, features: `features.${at}` },
    { joined: `joined.${at}` },
  ];
  const part = (pieces: number): unknown[] => ["wav2vec2/audio.features", "feature_extractor.", { pieces }];
  assert.deepEqual(long, [
    [...part(32), call(0), { features: "joined.0" }],
    [...part(32), call(1), { features: "features.1" }],
    join(1, 32),
    [...part(1), call(2), { features: "features.2" }],
    join(2, 1),
    ["wav2vec2/audio.embed", "", { batch: 1, frames: 1030 }, { joined: "joined.2" }, positions],
  ]);
  assert.deepEqual((last as unknown[])[1], "encoder.layers.1.");
  const plan = wav2vec2.plan({ recordings: [2, 0], frames: [66, 0] }, ["last_hidden_state"]);
  assert.deepEqual(plan.results, { last_hidden_state: "hidden_states.2" });
  assert.notEqual(plan.key, wav2vec2.plan({ recordings: [2, 0], frames: [68, 0] }, ["last_hidden_state"]).key);
  const ask = (): unknown => wav2vec2.plan({ recordings: [2, 0], frames: [66, 0] }, ["pooler_output"]);
  assert.throws(ask, hasCode("invalid_input", /this tower gives last_hidden_state/));
});

test("wav2vec2 prepare: pieces of 16 frames overlap, and zeros lie behind the end", () => {
  // A frame sees 45 samples, the next begins 20 later: a piece has 345, the next begins 320 later.
  const given = wave([2, 700]);
  const prepared = wav2vec2.prepare({ input_values: given });
  const { "input_values.0": input_values, "moments.0": moments, frames, recordings } = prepared;
  assert.deepEqual(
    [recordings.shape, frames.shape],
    [
      [2, 0],
      [66, 0],
    ],
  );
  assert.deepEqual(input_values.shape, [6, 345]);
  assert.deepEqual(moments.shape, [6, 11, 10]);
  const piece = (at: number): Float32Array => input_values.data.subarray(345 * at, 345 * (at + 1)) as Float32Array;
  assert.deepEqual(piece(1), given.data.subarray(320, 665));
  assert.deepEqual(piece(3), given.data.subarray(700, 1045));
  assert.deepEqual([...piece(2).subarray(0, 60)], [...given.data.subarray(640, 700)]);
  assert.ok(
    piece(2)
      .subarray(60)
      .every((v) => v === 0),
  );
  const own = [...moments.data.subarray(0, 110)];
  assert.deepEqual(own, [...windowMoments(given.data.subarray(0, 700) as Float32Array, { size: 10, stride: 5 })]);
  assert.deepEqual([...moments.data.subarray(220, 330)], own);
  assert.deepEqual(Object.keys(hubert.prepare({ input_values: given })), ["recordings", "frames", "input_values.0"]);
});

test("wav2vec2 prepare: more than 32 pieces go to several calls", () => {
  const { "moments.1": last, ...prepared } = wav2vec2.prepare({ input_values: wave([3, 6000]) });
  assert.deepEqual(
    Object.entries(prepared).map(([name, t]) => [name, t.shape]),
    [
      ["recordings", [3, 0]],
      ["frames", [894, 0]],
      ["input_values.0", [32, 345]],
      ["moments.0", [32, 11, 10]],
      ["input_values.1", [25, 345]],
    ],
  );
  // The second recording's end, and the third.
  assert.deepEqual(last.data.subarray(0, 110), prepared["moments.0"].data.subarray(19 * 110, 20 * 110));
  assert.notDeepEqual(last.data.subarray(6 * 110, 7 * 110), last.data.subarray(0, 110));
});

test("wav2vec2 prepare: waves of another shape or type, too short or too long, are refused", () => {
  refuses(wav2vec2, {}, /"input_values" is missing/);
  refuses(wav2vec2, { input_values: wave([1, 90]), attention_mask: wave([1, 90]) }, /no input "attention_mask"/);
  refuses(
    wav2vec2,
    { input_values: wave([90]) },
    /shape \[90\], expected \[batch, samples\]: recordings of one length/,
  );
  refuses(
    wav2vec2,
    { input_values: wave([1, 44]) },
    /has 44 samples a recording; the first frame sees 45: give longer/,
  );
  assert.deepEqual(wav2vec2.prepare({ input_values: wave([1, 45]) }).frames.shape, [1, 0]);
  const most = 20 * (MAX_FRAMES + 1) + 24;
  const long = (samples: number): Tensor => ({ dtype: "f32", shape: [1, samples], data: new Float32Array(samples) });
  assert.deepEqual(hubert.prepare({ input_values: long(most) }).frames.shape, [MAX_FRAMES, 0]);
  refuses(
    hubert,
    { input_values: long(most + 1) },
    /has 600045 samples a recording; at most 600044 are taken \(37 seconds at 16000 Hz\): cut recordings into shorter/,
  );
  refuses(wav2vec2, { input_values: { ...wave([1, 90]), shape: [1, 80] } }, /holds 90 values, .* needs 80/);
  const bytes: Tensor = { dtype: "u8", shape: [1, 90], data: new Uint8Array(90) };
  refuses(wav2vec2, { input_values: bytes }, /type u8, expected f32/);
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const given = wave([1, 90]);
    given.data[7] = odd;
    refuses(wav2vec2, { input_values: given }, new RegExp(`holds ${odd} at element 7`));
  }
});

test("wav2vec2 split: as many recordings as the limit's frames hold, at most 16, and at least one", () => {
  const parts = (batch: number, samples: number, limit: number): number[] => {
    const given = wave([batch, samples]);
    const found = wav2vec2.split?.({ input_values: given }, limit) ?? [];
    assert.deepEqual(
      found.flatMap((part) => [...part.input_values.data]),
      [...given.data],
    );
    return found.map((part) => part.input_values.shape[0]);
  };
  // 105 samples are 4 frames.
  assert.deepEqual(parts(5, 105, 1000), [5]);
  assert.deepEqual(parts(5, 105, 11), [2, 2, 1]);
  assert.deepEqual(parts(3, 105, 1), [1, 1, 1]);
  assert.deepEqual(parts(35, 105, MAX_FRAMES), [16, 16, 3]);
  const cut: Tensor = { ...wave([5, 105]), shape: [7, 105] };
  assert.throws(() => wav2vec2.split?.({ input_values: cut }, 4), hasCode("invalid_input", /holds 525 values/));
});

/** Mean and variance of a filter's results over a wave, by its results. */
function plainly(samples: Float32Array, filter: readonly number[], stride: number): readonly [number, number] {
  const found: number[] = [];
  for (let at = 0; at + filter.length <= samples.length; at += stride)
    found.push(filter.reduce((sum, w, i) => sum + w * samples[at + i], 0));
  const mean = found.reduce((a, v) => a + v, 0) / found.length;
  return [mean, found.reduce((a, v) => a + (v - mean) ** 2, 0) / found.length];
}

function byMoments(samples: Float32Array, filter: readonly number[], stride: number): readonly [number, number] {
  const { length } = filter;
  const moments = windowMoments(samples, { size: length, stride });
  const rows = Array.from({ length: length + 1 }, (_, r) =>
    filter.reduce((sum, w, i) => sum + w * moments[r * length + i], 0),
  );
  return [rows[length], rows.slice(0, length).reduce((sum, v) => sum + v * v, 0)];
}

test("wav2vec2 moments: mean and variance of any filter, also of one that nearly nothing passes", () => {
  const sizes: readonly Convolution[] = [
    { channels: 1, size: 10, stride: 5 },
    { channels: 1, size: 3, stride: 7 },
    { channels: 1, size: 1, stride: 1 },
  ];
  for (const { size, stride } of sizes) {
    const samples = Float32Array.from({ length: 901 }, (_, i) => 3 + normal(size, i));
    const filter = Array.from({ length: size }, (_, i) => normal(9, i));
    const [[mean, variance], [wanted, spread]] = [byMoments, plainly].map((f) => f(samples, filter, stride));
    assert.ok(Math.abs(mean - wanted) < 1e-6 * Math.sqrt(spread) + 1e-6 * Math.abs(wanted));
    assert.ok(Math.abs(variance / spread - 1) < 1e-6);
  }
  // A slow wave and a filter of second differences, which lets a millionth of its energy through: f32 has no more digits.
  const slow = Float32Array.from({ length: 4000 }, (_, i) => Math.sin(i / 30) + 1e-4 * normal(3, i));
  const [, variance] = byMoments(slow, [1, -2, 1, 0, 0, 0, 0, 0, 0, 0], 5);
  const [, spread] = plainly(slow, [1, -2, 1, 0, 0, 0, 0, 0, 0, 0], 5);
  assert.ok(spread < 1e-5 && Math.abs(variance / spread - 1) < 1e-3, `${variance} instead of ${spread}`);
});

test("wav2vec2 example: seeded noise of the asked length, five seconds unless asked", () => {
  const a = wav2vec2.example({ batch: 2, seed: 1 });
  assert.deepEqual(a.input_values.shape, [2, 80_000]);
  assert.deepEqual(wav2vec2.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(wav2vec2.example({ batch: 2, seed: 2 }), a);
  assert.deepEqual(hubert.example({ batch: 1, seed: 1, seconds: 0.25 }).input_values.shape, [1, 4000]);
  assert.deepEqual(hubert.example({ batch: 1, seed: 1, seconds: 1e-4 }).input_values.shape, [1, 45]);
  for (const seconds of [0, 38, Number.NaN]) {
    const make = (): unknown => wav2vec2.example({ batch: 1, seed: 1, seconds });
    assert.throws(make, hasCode("invalid_input", /takes up to 37 seconds of audio, found/));
  }
});
