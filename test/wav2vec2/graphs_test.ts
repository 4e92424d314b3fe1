import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { PIECE_FRAMES } from "../../plugins/wav2vec2/graphs.ts";
import { wav2vec2Plugin } from "../../plugins/wav2vec2/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import { normal } from "../../runtime/core/random.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { type CheckpointValues, evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";
import { checkpointOf, FIXTURES, type Json, openModelOf, readJson, testTowerFixture } from "../kit/tower_fixtures.ts";
import { HUBERT_LARGE } from "./hubert_large.ts";

testTowerFixture(wav2vec2Plugin, "wav2vec2", "audio");
testTowerFixture(wav2vec2Plugin, "hubert", "audio");

const OUTPUT = "last_hidden_state";

function opened(name: string): { readonly tower: TowerSpec; readonly checkpoint: CheckpointValues } {
  const folder = join(FIXTURES, name);
  const model = openModelOf(wav2vec2Plugin, readJson(join(folder, "config.json")));
  return { tower: model.towers[0], checkpoint: checkpointOf(folder, model) };
}

/** The fixtures' frames see 45 samples, 20 apart. */
const samplesFor = (frames: number): number => 20 * frames + 25;

const wave = (samples: number, seed: number, level = 0): Tensor => ({
  dtype: "f32",
  shape: [1, samples],
  data: Float32Array.from({ length: samples }, (_, i) => normal(seed, i) + level),
});

function run(name: string, input_values: Tensor): RefTensor {
  const { tower, checkpoint } = opened(name);
  return evaluateTower(tower, { input_values } satisfies Tensors, [OUTPUT], checkpoint)[OUTPUT];
}

test("wav2vec2: samples behind the last frame matter to a norm over time alone", () => {
  const long = wave(samplesFor(3) + 19, 1);
  const short: Tensor = { ...long, shape: [1, samplesFor(3)], data: long.data.subarray(0, samplesFor(3)) };
  assert.deepEqual(run("hubert", long).shape, [1, 3, 24]);
  assert.equal(maxDifference(run("hubert", long), run("hubert", short)), 0);
  assert.ok(maxDifference(run("wav2vec2", long), run("wav2vec2", short)) > 1e-3);
});

test("wav2vec2: a norm over time takes level and loudness away", () => {
  const samples = samplesFor(PIECE_FRAMES + 2);
  const plain = run("wav2vec2", wave(samples, 2));
  const louder: Tensor = { ...wave(samples, 2), data: wave(samples, 2).data.map((v) => 50 * v) };
  assert.ok(maxDifference(plain, run("wav2vec2", wave(samples, 2, 30))) < 1e-4);
  assert.ok(maxDifference(plain, run("wav2vec2", louder)) < 1e-3);
});

test("wav2vec2: recordings of one call, or of several calls' features, give what they give alone", () => {
  for (const name of ["wav2vec2", "hubert"]) {
    for (const frames of [3, 180]) {
      const samples = samplesFor(frames);
      const all = wave(3 * samples, 4);
      const together = run(name, { ...all, shape: [3, samples] });
      assert.deepEqual(together.shape, [3, frames, 24]);
      for (let i = 0; i < 3; i++) {
        const own = all.data.subarray(i * samples, (i + 1) * samples);
        const alone = run(name, { ...all, shape: [1, samples], data: own });
        const rows = together.data.subarray(i * frames * 24, (i + 1) * frames * 24);
        assert.equal(maxDifference(alone, { ...alone, data: rows }), 0);
      }
    }
  }
});

test("wav2vec2: silence and a constant give finite numbers", () => {
  for (const name of ["wav2vec2", "hubert"]) {
    for (const level of [0, 0.5]) {
      const flat: Tensor = { dtype: "f32", shape: [1, 100], data: new Float32Array(100).fill(level) };
      assert.ok(run(name, flat).data.every((v) => Number.isFinite(v)));
    }
  }
});

test("wav2vec2: five structures whatever the depth, instances under published prefixes", () => {
  const digests = (json: Json): string[] =>
    openModelOf(wav2vec2Plugin, json).towers[0].components.map((c) =>
      digestJson(graphToData(buildGraph(c.symbols, c.build))),
    );
  const model = openModelOf(wav2vec2Plugin, HUBERT_LARGE);
  const { components } = model.towers[0];
  assert.deepEqual(
    components.map((c) => [c.tag, c.instances.length, splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag }).length]),
    [
      ["wav2vec2/audio.features", 1, 1],
      ["wav2vec2/audio.join", 1, 1],
      ["wav2vec2/audio.embed", 1, 1],
      ["wav2vec2/audio.block", 24, 2],
      ["wav2vec2/audio.final", 1, 1],
    ],
  );
  assert.equal(components[3].instances[23], "encoder.layers.23.");
  assert.deepEqual(model.prefixes, ["", "wav2vec2.", "hubert."]);
  const shallow = digests({ ...HUBERT_LARGE, num_hidden_layers: 2 });
  assert.deepEqual(digests(HUBERT_LARGE), shallow);
  assert.equal(new Set(shallow).size, 5);
  const base = openModelOf(wav2vec2Plugin, readJson(join(FIXTURES, "configs/wav2vec2-base-960h/config.json")));
  assert.equal(base.towers[0].components.length, 4);
});
