import assert from "node:assert/strict";
import { test } from "node:test";
import { decoderPlugin } from "../../plugins/decoder/plugin.ts";
import type { TowerSpec } from "../../runtime/abi/encoder.ts";
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
import { maxDifference } from "../kit/run_graph.ts";

for (const name of ["sentence-gemma", "sentence-qwen3"]) {
  test(`decoder: the graphs of ${name} give its outputs`, () => {
    const model = openFixture(decoderPlugin, name);
    const checkpoint = checkpointOf(name, model);
    for (const one of casesOf(name)) assert.deepEqual(wrongOutputs(model.towers[0], checkpoint, one), []);
  });
}

const SMALL = {
  hidden_size: 12,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  num_hidden_layers: 2,
  intermediate_size: 20,
  vocab_size: 50,
  max_position_embeddings: 60,
};
const LAST = { "1_Pooling/config.json": { pooling_mode_lasttoken: true, pooling_mode_mean_tokens: false } };
const WINDOW = { sliding_window: 7, layer_types: ["sliding_attention", "sliding_attention"] };

const tower = (config: object, files: object = LAST): TowerSpec =>
  openText(decoderPlugin, { ...SMALL, ...config } as Record<string, unknown>, files as Record<string, unknown>)
    .towers[0];

const KINDS: readonly (readonly [string, object])[] = [
  ["Qwen3", { model_type: "qwen3" }],
  ["Gemma 3", { model_type: "gemma3_text", ...WINDOW }],
  ["EmbeddingGemma", { model_type: "gemma3_text", ...WINDOW, use_bidirectional_attention: true }],
];

for (const [name, config] of KINDS) {
  test(`decoder: padding on either side changes nothing that is seen, and a batch is its texts one by one: ${name}`, () => {
    const small = tower(config);
    for (let seed = 0; seed < 6; seed++) {
      const checkpoint = randomCheckpoint(seed);
      const { ids, tokens } = randomBatch(seed, 50, 20);
      const run = (inputs: ReturnType<typeof padded>) =>
        evaluateTower(small, inputs, ["sentence_embedding"], checkpoint).sentence_embedding;
      const batch = run(padded(ids, tokens, 7));
      assert.ok(maxDifference(batch, run(padded(ids, tokens + 9, seed % 50))) < 1e-12);
      // Positions count from the first place of a row, and are relative but for the rounding of their tables.
      assert.ok(maxDifference(batch, run(padded(ids, tokens + 3, 7, true))) < 1e-5);
      ids.forEach((own, row) => {
        const alone = evaluateTower(
          small,
          { input_ids: i32([1, own.length], own) },
          ["sentence_embedding"],
          checkpoint,
        );
        const from = batch.data.subarray((row * batch.data.length) / ids.length);
        const apart = [...alone.sentence_embedding.data].map((v, i) => Math.abs(v - from[i]));
        assert.ok(Math.max(...apart) < 1e-12, `seed ${seed}, text ${row}`);
      });
    }
  });
}

/** The tokens whose hidden states change with the one at `place` of 30. */
function reached(config: object, place: number): readonly number[] {
  const small = tower(config);
  const checkpoint = randomCheckpoint(3);
  const ids = Array.from({ length: 30 }, (_, i) => (7 * i) % 50);
  const hidden = (own: readonly number[]): ArrayLike<number> =>
    evaluateTower(small, { input_ids: i32([1, 30], own) }, ["last_hidden_state"], checkpoint).last_hidden_state.data;
  const changed = ids.map((id, i) => (i === place ? (id + 1) % 50 : id));
  const [before, after] = [hidden(ids), hidden(changed)];
  return ids
    .map((_, i) => i)
    .filter((i) => Array.from({ length: 12 }).some((_, c) => before[12 * i + c] !== after[12 * i + c]));
}

const between = (first: number, last: number): readonly number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

test("decoder: a token is seen by those behind it, by those near it, or by both", () => {
  const [qwen, gemma, embedder] = KINDS.map(([, config]) => config);
  assert.deepEqual(reached(qwen, 11), between(11, 29));
  // Two layers of 7 tokens, the token itself among them.
  assert.deepEqual(reached(gemma, 11), between(11, 23));
  // Two layers of three on each side.
  assert.deepEqual(reached(embedder, 11), between(5, 17));
  assert.deepEqual(reached({ ...embedder, layer_types: ["full_attention", "sliding_attention"] }, 11), between(0, 29));
});

test("decoder: kinds of layers are structures, and the plan calls each layer's own", () => {
  const config = { model_type: "gemma3_text", num_hidden_layers: 7 };
  const large = tower(config);
  assert.deepEqual(
    large.components.map(({ tag, instances }) => [tag.replace("decoder/text.", ""), instances.length]),
    [
      ["embed", 1],
      ["sliding_block", 6],
      ["full_block", 1],
      ["final", 1],
      ["sentence", 1],
    ],
  );
  const { calls } = large.plan({ input_ids: [1, 9] }, ["sentence_embedding"]);
  assert.deepEqual(
    calls.map((call) => call.instance),
    ["", ...between(0, 6).map((layer) => `layers.${layer}.`), "", ""],
  );
  assert.equal(calls[6].tag, "decoder/text.full_block");
  assert.equal(large.plan({ input_ids: [1, 9] }, ["last_hidden_state"]).calls.length, 9);
});
