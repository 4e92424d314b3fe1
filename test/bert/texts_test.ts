import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import { decoderPlugin } from "../../plugins/decoder/plugin.ts";
import { modernBertPlugin } from "../../plugins/modernbert/plugin.ts";
import type { ModelFiles } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { casesOf, FIXTURES, filesOf, openText, readJson } from "./text_kit.ts";

interface Expected {
  readonly text: string;
  readonly ids: readonly number[];
}

const MODELS: readonly (readonly [string, Plugin])[] = [
  ["sentence-minilm", bertPlugin],
  ["sentence-unigram", bertPlugin],
  ["sentence-xlm-roberta", bertPlugin],
  ["sentence-mpnet", bertPlugin],
  ["sentence-dense", bertPlugin],
  ["sentence-modernbert", modernBertPlugin],
  ["sentence-gemma", decoderPlugin],
  ["sentence-qwen3", decoderPlugin],
];

function textsOf(
  plugin: Plugin,
  name: string,
  change: ModelFiles = {},
): (texts: readonly string[]) => Promise<Record<string, { data: ArrayLike<number>; shape: readonly number[] }>> {
  const folder = join(FIXTURES, name);
  const files = { ...filesOf(plugin, folder), ...change };
  const { texts } = openText(plugin, readJson(join(folder, "config.json")), files).processors(files);
  if (texts === undefined) throw new Error(`${name} has no tokenizer`);
  return texts;
}

for (const [name, plugin] of MODELS) {
  test(`texts get the tokens that sentence-transformers gives them: ${name}`, async () => {
    const texts = textsOf(plugin, name);
    const expected = readJson(join(FIXTURES, name, "texts.json")) as unknown as readonly Expected[];
    for (const { text, ids } of expected)
      assert.deepEqual([...Array.from((await texts([text])).input_ids.data)], ids, text);
    const batch = await texts(expected.map((e) => e.text));
    const [{ inputs }] = casesOf(name);
    for (const key of ["input_ids", "attention_mask"]) {
      assert.deepEqual(batch[key].shape, inputs[key].shape);
      assert.deepEqual([...Array.from(batch[key].data)], [...inputs[key].data], key);
    }
  });
}

test("texts are cut where the folder says, and never beyond the positions", async () => {
  const long = ["words ".repeat(100)];
  const tokens = async (change: ModelFiles): Promise<number> =>
    (await textsOf(bertPlugin, "sentence-minilm", change)(long)).input_ids.shape[1];
  const sentence = (max_seq_length: number): ModelFiles => ({ "sentence_bert_config.json": { max_seq_length } });
  const limit = (model_max_length: number): ModelFiles => ({
    "tokenizer_config.json": { model_max_length, pad_token: "[PAD]" },
  });
  assert.equal(await tokens({}), 32);
  assert.equal(await tokens(sentence(9)), 9);
  assert.equal(await tokens(sentence(1000)), 40);
  // The sentence's limit replaces the tokenizer's.
  assert.equal(await tokens({ ...sentence(20), ...limit(10) }), 20);
  assert.equal(await tokens({ "sentence_bert_config.json": {}, ...limit(10) }), 10);
  assert.equal(await tokens({ "sentence_bert_config.json": {}, ...limit(1e30) }), 40);
});

test("limits and padding that a tokenizer.json was saved with do not count", async () => {
  const folder = join(FIXTURES, "sentence-minilm");
  const saved = {
    ...readJson(join(folder, "tokenizer.json")),
    truncation: { max_length: 4, strategy: "LongestFirst", stride: 0, direction: "Right" },
    padding: { strategy: { Fixed: 30 }, direction: "Right", pad_id: 0, pad_type_id: 0, pad_token: "[PAD]" },
  };
  const texts = ["a photo of a cat that sleeps", "two"];
  const found = await textsOf(bertPlugin, "sentence-minilm", { "tokenizer.json": saved })(texts);
  const plain = await textsOf(bertPlugin, "sentence-minilm")(texts);
  assert.deepEqual(found.input_ids, plain.input_ids);
  assert.deepEqual(found.attention_mask, plain.attention_mask);
});

test("texts are turned to lower case only where the folder says so", async () => {
  const ids = async (do_lower_case: boolean, text: string): Promise<readonly number[]> => {
    const files = { "sentence_bert_config.json": { do_lower_case } };
    return Array.from((await textsOf(bertPlugin, "sentence-unigram", files)([text])).input_ids.data);
  };
  assert.deepEqual(await ids(true, "DOGS"), await ids(false, "dogs"));
  assert.notDeepEqual(await ids(false, "DOGS"), await ids(false, "dogs"));
});

test("a folder without a tokenizer takes no texts", () => {
  const model = openText(bertPlugin, { model_type: "bert" });
  assert.deepEqual(model.processors({}), {});
});
