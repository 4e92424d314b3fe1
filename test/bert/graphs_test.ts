import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import type { EncoderModel, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference } from "../kit/run_graph.ts";
import {
  casesOf,
  checkpointOf,
  FIXTURES,
  filesOf,
  i32,
  openFixture,
  openText,
  padded,
  randomBatch,
  randomCheckpoint,
  readJson,
  seenRows,
  wrongOutputs,
} from "./text_kit.ts";

const textTower = (model: EncoderModel): TowerSpec => model.towers[0];

for (const name of [
  "bert",
  "bert-legacy",
  "roberta",
  "distilbert",
  "mpnet",
  "nomic_bert",
  "sentence-minilm",
  "sentence-unigram",
  "sentence-xlm-roberta",
  "sentence-mpnet",
  "sentence-dense",
]) {
  test(`bert: the graphs of ${name} give its outputs`, () => {
    const model = openFixture(bertPlugin, name);
    const checkpoint = checkpointOf(name, model);
    for (const one of casesOf(name)) assert.deepEqual(wrongOutputs(textTower(model), checkpoint, one), []);
  });
}

const SMALL = {
  model_type: "bert",
  hidden_size: 16,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  intermediate_size: 24,
  vocab_size: 50,
  max_position_embeddings: 20,
  pad_token_id: 7,
};

const POOLING = { "1_Pooling/config.json": { pooling_mode: ["mean", "max", "cls", "mean_sqrt_len_tokens"] } };

test("bert: padding changes nothing that is seen, and a batch is its texts one by one", () => {
  const tower = textTower(openText(bertPlugin, SMALL, POOLING));
  for (let seed = 0; seed < 12; seed++) {
    const checkpoint = randomCheckpoint(seed);
    const { ids, tokens } = randomBatch(seed, 50, 12);
    const batch = evaluateTower(tower, padded(ids, tokens, 7), tower.outputs, checkpoint);
    const wider = padded(ids, tokens + 5, seed % 50);
    const other = evaluateTower(tower, wider, tower.outputs, checkpoint);
    for (const name of ["sentence_embedding", "pooler_output"])
      assert.ok(maxDifference(batch[name], other[name]) < 1e-12);
    ids.forEach((own, row) => {
      const alone = evaluateTower(tower, { input_ids: i32([1, own.length], own) }, tower.outputs, checkpoint);
      for (const name of tower.outputs) {
        const from = batch[name].data.subarray((row * batch[name].data.length) / ids.length);
        const difference = [...alone[name].data].reduce((most, v, i) => Math.max(most, Math.abs(v - from[i])), 0);
        assert.ok(difference < 1e-12, `seed ${seed}, text ${row}, ${name}: ${difference}`);
      }
    });
  }
});

test("bert: a hidden token, a token type and a position are each noticed", () => {
  const tower = textTower(openText(bertPlugin, SMALL));
  const checkpoint = randomCheckpoint(3);
  const shape = [1, 4];
  const run = (inputs: Record<string, ReturnType<typeof i32>>): Float64Array =>
    Float64Array.from(evaluateTower(tower, inputs, ["pooler_output"], checkpoint).pooler_output.data);
  const plain = run({ input_ids: i32(shape, [1, 2, 3, 4]) });
  const differs = (other: Float64Array): boolean => other.some((v, i) => Math.abs(v - plain[i]) > 1e-4);
  const ids = i32(shape, [1, 2, 3, 4]);
  assert.deepEqual(run({ input_ids: ids, attention_mask: i32(shape, [1, 1, 1, 1]) }), plain);
  assert.deepEqual(run({ input_ids: ids, token_type_ids: i32(shape, [0, 0, 0, 0]) }), plain);
  assert.ok(differs(run({ input_ids: ids, attention_mask: i32(shape, [1, 1, 0, 1]) })));
  assert.ok(differs(run({ input_ids: ids, token_type_ids: i32(shape, [0, 0, 1, 1]) })));
  assert.ok(differs(run({ input_ids: i32(shape, [1, 3, 2, 4]) })));
});

test("bert: pooling equals a plain restatement, padded on either side", () => {
  const width = 16;
  for (const normalize of [false, true]) {
    const modules = ["Transformer", "Pooling", ...(normalize ? ["Normalize"] : [])];
    const files = {
      ...POOLING,
      "modules.json": modules.map((type, i) => ({ type: `any.package.${type}`, path: i === 1 ? "1_Pooling" : "" })),
    };
    const tower = textTower(openText(bertPlugin, SMALL, files));
    for (let seed = 0; seed < 6; seed++) {
      const { ids, tokens } = randomBatch(seed, 50, 9);
      const inputs = padded(ids, tokens + 1, 7, seed % 2 === 1);
      const outputs = ["sentence_embedding", "last_hidden_state"];
      const found = evaluateTower(tower, inputs, outputs, randomCheckpoint(seed));
      ids.forEach((own, row) => {
        const mask = Float64Array.from(
          inputs.attention_mask.data.subarray(row * (tokens + 1), (row + 1) * (tokens + 1)),
        );
        const hidden = found.last_hidden_state.data.subarray(
          row * (tokens + 1) * width,
          (row + 1) * (tokens + 1) * width,
        );
        const whole = { dtype: "f32", shape: [1, tokens + 1, width], data: Float64Array.from(hidden) } as const;
        const rows = seenRows(whole, { dtype: "f32", shape: [tokens + 1], data: mask }).data;
        const column = (c: number): number[] => own.map((_, i) => rows[i * width + c]);
        const sum = (values: readonly number[]): number => values.reduce((a, v) => a + v, 0);
        const columns = Array.from({ length: width }, (_, c) => column(c));
        const expected = [
          ...columns.map((values) => sum(values) / own.length),
          ...columns.map((values) => Math.max(...values)),
          ...columns.map((values) => values[0]),
          ...columns.map((values) => sum(values) / Math.sqrt(own.length)),
        ];
        const length = normalize ? Math.sqrt(sum(expected.map((v) => v * v))) : 1;
        expected.forEach((v, i) => {
          const got = found.sentence_embedding.data[row * expected.length + i];
          assert.ok(
            Math.abs(got - v / length) < 1e-6,
            `seed ${seed}, text ${row}, element ${i}: ${got}, ${v / length}`,
          );
        });
      });
    }
  }
});

test("bert: a text of padding alone gives finite vectors", () => {
  const files = {
    ...POOLING,
    "modules.json": ["Transformer", "Pooling", "Normalize"].map((type) => ({ type, path: "1_Pooling" })),
  };
  const tower = textTower(openText(bertPlugin, SMALL, files));
  const inputs = { input_ids: i32([2, 3], [1, 2, 3, 4, 5, 6]), attention_mask: i32([2, 3], [1, 1, 1, 0, 0, 0]) };
  for (const t of Object.values(evaluateTower(tower, inputs, tower.outputs, randomCheckpoint(1))))
    assert.ok(t.data.every(Number.isFinite));
});

test("bert: the plan calls what the outputs need, and layers share a component", () => {
  const config = readJson(join(FIXTURES, "configs/all-minilm-l6-v2/config.json"));
  const tower = textTower(openText(bertPlugin, config, POOLING));
  assert.deepEqual(tower.outputs, ["sentence_embedding", "pooler_output", "last_hidden_state"]);
  assert.deepEqual(
    tower.components.map((c) => [c.tag, c.instances.length]),
    [
      ["bert/text.embed", 1],
      ["bert/text.block", 6],
      ["bert/text.pool", 1],
      ["bert/text.sentence", 1],
    ],
  );
  for (const c of tower.components) {
    assert.deepEqual(c.symbols, { batch: { min: 1, max: 64 }, tokens: { min: 1, max: 512 } });
    assert.equal(splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag }).length, c.tag.endsWith("block") ? 3 : 1);
  }
  const shapes = { input_ids: [4, 200], key_mask: [4, 200], token_type_ids: [4, 200], first_token: [4] };
  const tags = (plan: Plan): string[] => plan.calls.map((call) => call.tag.replace("bert/text.", ""));
  const blocks = Array.from({ length: 6 }, () => "block");
  assert.deepEqual(tags(tower.plan(shapes, ["last_hidden_state"])), ["embed", ...blocks]);
  assert.deepEqual(tags(tower.plan(shapes, ["sentence_embedding"])), ["embed", ...blocks, "sentence"]);
  assert.deepEqual(tags(tower.plan(shapes, ["pooler_output"])), ["embed", ...blocks, "pool"]);
  assert.notEqual(tower.plan(shapes, ["pooler_output"]).key, tower.plan(shapes, ["sentence_embedding"]).key);
  for (const wanted of [[], ["text_embeds"]]) {
    assert.throws(() => tower.plan(shapes, wanted), { code: "invalid_input", message: /this tower gives/ });
  }
  const plain = textTower(openText(bertPlugin, config));
  assert.deepEqual(plain.outputs, ["pooler_output", "last_hidden_state"]);
  assert.deepEqual(Object.keys(filesOf(bertPlugin, join(FIXTURES, "bert"))), []);
  const example = plain.example({ batch: 3, seed: 5 });
  assert.deepEqual(example.input_ids.shape, [3, 128]);
  assert.deepEqual(Object.keys(plain.prepare(example)).sort(), ["input_ids", "key_mask", "token_type_ids"]);
});
