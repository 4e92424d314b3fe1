import assert from "node:assert/strict";
import { test } from "node:test";
import { modernBertPlugin } from "../../plugins/modernbert/plugin.ts";
import type { TowerSpec } from "../../runtime/abi/encoder.ts";
import { digestJson } from "../../runtime/core/digest.ts";
import { cos, pow, sin } from "../../runtime/core/math.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { graphToData } from "../../runtime/ir/graph.ts";
import { rotaryTable } from "../../runtime/nn/mod.ts";
import {
  casesOf,
  checkpointOf,
  i32,
  openFixture,
  openText,
  padded,
  randomBatch,
  randomCheckpoint,
  wrongOutputs,
} from "../bert/text_kit.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";

for (const name of ["modernbert-long", "sentence-modernbert"]) {
  test(`modernbert: the graphs of ${name} give its outputs`, () => {
    const model = openFixture(modernBertPlugin, name);
    const checkpoint = checkpointOf(name, model);
    for (const one of casesOf(name)) assert.deepEqual(wrongOutputs(model.towers[0], checkpoint, one), []);
  });
}

const SMALL = {
  model_type: "modernbert",
  hidden_size: 16,
  num_attention_heads: 2,
  num_hidden_layers: 4,
  intermediate_size: 24,
  vocab_size: 50,
  max_position_embeddings: 40,
  local_attention: 6,
  global_attn_every_n_layers: 3,
  pad_token_id: 7,
};

const MEAN = { "1_Pooling/config.json": { pooling_mode: "mean" } };

const tower = (change: object = {}, files: object = MEAN): TowerSpec =>
  openText(modernBertPlugin, { ...SMALL, ...change }, files as Record<string, unknown>).towers[0];

test("modernbert: padding changes nothing that is seen, and a batch is its texts one by one", () => {
  const small = tower();
  for (let seed = 0; seed < 8; seed++) {
    const checkpoint = randomCheckpoint(seed);
    const { ids, tokens } = randomBatch(seed, 50, 20);
    const batch = evaluateTower(small, padded(ids, tokens, 7), small.outputs, checkpoint);
    const wider = evaluateTower(small, padded(ids, tokens + 9, seed % 50), small.outputs, checkpoint);
    assert.ok(maxDifference(batch.sentence_embedding, wider.sentence_embedding) < 1e-12);
    ids.forEach((own, row) => {
      const alone = evaluateTower(small, { input_ids: i32([1, own.length], own) }, small.outputs, checkpoint);
      for (const name of small.outputs) {
        const from = batch[name].data.subarray((row * batch[name].data.length) / ids.length);
        const difference = [...alone[name].data].reduce((most, v, i) => Math.max(most, Math.abs(v - from[i])), 0);
        assert.ok(difference < 1e-12, `seed ${seed}, text ${row}, ${name}: ${difference}`);
      }
    });
  }
});

test("modernbert: positions are relative: padding on the left gives nearly the same vectors", () => {
  const small = tower();
  const { ids, tokens } = randomBatch(5, 50, 20);
  const checkpoint = randomCheckpoint(5);
  const [right, left] = [false, true].map(
    (side) =>
      evaluateTower(small, padded(ids, tokens + 3, 7, side), ["sentence_embedding"], checkpoint).sentence_embedding,
  );
  assert.ok(maxDifference(right, left) < 1e-5);
});

test("modernbert: a token reaches as far as the windows of its sliding layers, and everywhere through a full one", () => {
  const tokens = 30;
  const ids = Array.from({ length: tokens }, (_, i) => i);
  /** Tokens whose last state changes with the first token, under `layers` sliding layers. */
  const reached = (layers: number): number => {
    const types = Array.from({ length: layers }, () => "sliding_attention");
    const one = tower({ num_hidden_layers: layers, layer_types: types }, {});
    const run = (first: number): Float64Array => {
      const inputs = { input_ids: i32([1, tokens], [first, ...ids.slice(1)]) };
      return Float64Array.from(
        evaluateTower(one, inputs, ["last_hidden_state"], randomCheckpoint(2)).last_hidden_state.data,
      );
    };
    const [a, b] = [run(0), run(40)];
    const rows = ids.filter((row) => a.subarray(row * 16, (row + 1) * 16).some((v, i) => v !== b[row * 16 + i]));
    assert.deepEqual(rows, ids.slice(0, rows.length));
    return rows.length;
  };
  // local_attention 6 is three tokens on each side.
  assert.deepEqual([1, 2, 3].map(reached), [4, 7, 10]);
  const full = tower({ num_hidden_layers: 1 }, {});
  const inputs = (first: number): { input_ids: ReturnType<typeof i32> } => ({
    input_ids: i32([1, tokens], [first, ...ids.slice(1)]),
  });
  const [a, b] = [0, 40].map((first) => evaluateTower(full, inputs(first), ["last_hidden_state"], randomCheckpoint(2)));
  const last = (x: typeof a): readonly number[] => [...x.last_hidden_state.data.subarray(29 * 16)];
  assert.notDeepEqual(last(a), last(b));
});

test("modernbert: rotary tables follow their formula, and shorter texts read the first rows of longer ones", () => {
  const small = tower();
  const table = (tokens: number, name: string): readonly number[] => {
    const shapes = { input_ids: [1, tokens], key_mask: [1, tokens] };
    const { data, shape } = small.plan(shapes, ["last_hidden_state"]).constants[name];
    assert.deepEqual(shape, [tokens, 4]);
    return [...data];
  };
  const long = table(40, "sliding_attention.sin");
  assert.deepEqual(table(7, "sliding_attention.sin"), long.slice(0, 28));
  for (const [type, theta] of [
    ["full_attention", 160_000],
    ["sliding_attention", 10_000],
  ] as const) {
    const [c, s] = [table(40, `${type}.cos`), table(40, `${type}.sin`)];
    for (let at = 0; at < c.length; at++) {
      const angle = Math.floor(at / 4) * pow(theta, -(at % 4) / 4);
      assert.ok(Math.abs(c[at] - cos(angle)) < 1e-5 && Math.abs(s[at] - sin(angle)) < 1e-5, `${type} ${at}`);
    }
  }
  const far = rotaryTable(8192, 32, 10_000);
  assert.deepEqual([far.cos[0], far.sin[0]], [1, 0]);
  assert.ok(Math.abs(far.sin[8191 * 32] - sin(8191)) < 1e-7);
});

test("modernbert: three structures serve all layers, and the plan calls each layer's own", () => {
  const large = openText(modernBertPlugin, { model_type: "modernbert" }, MEAN).towers[0];
  assert.deepEqual(large.outputs, ["sentence_embedding", "last_hidden_state"]);
  assert.deepEqual(
    large.components.map((c) => [c.tag, c.instances.length]),
    [
      ["modernbert/text.embed", 1],
      ["modernbert/text.first_block", 1],
      ["modernbert/text.sliding_block", 14],
      ["modernbert/text.full_block", 7],
      ["modernbert/text.final", 1],
      ["modernbert/text.sentence", 1],
    ],
  );
  for (const c of large.components) {
    assert.deepEqual(c.symbols, { batch: { min: 1, max: 64 }, tokens: { min: 1, max: 8192 } });
    assert.equal(splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag }).length, c.tag.endsWith("block") ? 3 : 1);
  }
  const digests = large.components.map((c) => digestJson(graphToData(buildGraph(c.symbols, c.build))));
  assert.equal(new Set(digests).size, digests.length);
  const shapes = { input_ids: [2, 100], key_mask: [2, 100] };
  const { calls } = large.plan(shapes, ["last_hidden_state"]);
  assert.deepEqual(calls.map((c) => c.tag.replace("modernbert/text.", "")).slice(0, 8), [
    "embed",
    "first_block",
    "sliding_block",
    "sliding_block",
    "full_block",
    "sliding_block",
    "sliding_block",
    "full_block",
  ]);
  assert.deepEqual(
    [calls[4].instance, calls[4].inputs.cos, calls[5].inputs.cos],
    ["layers.3.", "full_attention.cos", "sliding_attention.cos"],
  );
  assert.equal(calls.length, 24);
  assert.throws(() => large.plan(shapes, ["pooler_output"]), {
    code: "invalid_input",
    message: /gives sentence_embedding, last_/,
  });
  assert.deepEqual(large.example({ batch: 1, seed: 1 }).input_ids.shape, [1, 512]);
  const sliding = tower({ layer_types: Array.from({ length: 4 }, () => "sliding_attention") }, {});
  const constants = Object.keys(sliding.plan({ input_ids: [1, 5], key_mask: [1, 5] }, ["last_hidden_state"]).constants);
  assert.deepEqual(constants, ["sliding_attention.cos", "sliding_attention.sin"]);
});
