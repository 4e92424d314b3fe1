import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { clipTokenizer } from "../../plugins/clip/tokenize.ts";
import type { ModelFiles } from "../../runtime/abi/encoder.ts";

async function filesOf(folder: string): Promise<ModelFiles> {
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(new URL(`../../${folder}/${name}`, import.meta.url), "utf8"));
  return {
    "tokenizer.json": await read("tokenizer.json"),
    "tokenizer_config.json": await read("tokenizer_config.json"),
  };
}

const DIGITS = "examples/models/digits-clip";

/** Ids as the tokenizers library of Python 0.23 gives them. */
test("the prompts of the digits model", async () => {
  const tokenize = clipTokenizer(await filesOf(DIGITS), 12);
  const { input_ids, attention_mask } = await tokenize([
    "a photo of the digit seven",
    "A Photo of the DIGIT 7!",
    "",
    "digit-nine",
    "zebra",
  ]);
  assert.deepEqual([input_ids.dtype, attention_mask.dtype], ["i32", "i32"]);
  assert.deepEqual(
    [input_ids.shape, attention_mask.shape],
    [
      [5, 9],
      [5, 9],
    ],
  );
  const rows = [
    [1, 4, 11, 10, 13, 6, 21, 2],
    [1, 4, 11, 10, 13, 6, 31, 3, 2],
    [1, 2],
    [1, 6, 3, 23, 2],
    [1, 3, 2],
  ];
  const pad = (row: readonly number[], value: number): readonly number[] => [
    ...row,
    ...Array(9 - row.length).fill(value),
  ];
  assert.deepEqual(
    Array.from(input_ids.data),
    rows.flatMap((row) => pad(row, 0)),
  );
  assert.deepEqual(
    Array.from(attention_mask.data),
    rows.flatMap((row) =>
      pad(
        row.map(() => 1),
        0,
      ),
    ),
  );
});

test("a long text is cut to the model's positions, or the tokenizer's smaller limit, and keeps its end", async () => {
  const files = await filesOf(DIGITS);
  const long = "a photo of the digit seven an image of the number one";
  const ids = async (maxTokens: number): Promise<readonly number[]> =>
    Array.from((await clipTokenizer(files, maxTokens)([long])).input_ids.data);
  assert.deepEqual(await ids(6), [1, 4, 11, 10, 13, 2]);
  // model_max_length is 12.
  assert.deepEqual(await ids(77), [1, 4, 11, 10, 13, 6, 21, 5, 8, 10, 13, 2]);
});

test("padding is the tokenizer's own token, else the model's", async () => {
  const files = await filesOf("test/fixtures/tokenizers/clip_bpe");
  const batch = ["a cat", ""];
  const own = await clipTokenizer(files, 77, 5)(batch);
  assert.deepEqual(Array.from(own.input_ids.data.subarray(4)), [627, 628, 628, 628]);
  const bare = { "tokenizer.json": files["tokenizer.json"] };
  const models = await clipTokenizer(bare, 77, 5)(batch);
  assert.deepEqual(Array.from(models.input_ids.data.subarray(4)), [627, 628, 5, 5]);
  assert.deepEqual(models.input_ids.shape, [2, 4]);
});

test("a folder without a usable tokenizer says so when texts come", async () => {
  await assert.rejects(clipTokenizer({}, 77)(["a"]), { name: "FoveaError", code: "tokenizer.invalid" });
});
