import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { createTokenizer, type Tokenizer } from "../../runtime/media/tokens.ts";

type Json = Record<string, unknown>;

/** A byte-level BPE with word ends, built like the published CLIP tokenizers from a few sentences. */
async function json(name: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(`../fixtures/tokenizers/clip_bpe/${name}`, import.meta.url), "utf8"));
}

async function bpe(change: Json = {}): Promise<Tokenizer> {
  const config = (await json("tokenizer_config.json")) as Json;
  return createTokenizer(await json("tokenizer.json"), { ...config, ...change });
}

const START = 627;
const END = 628;

test("texts get the ids that the tokenizers library of Python 0.23 gives them", async () => {
  const tokenizer = await bpe();
  for (const { text, ids } of (await json("expected.json")) as { text: string; ids: number[] }[]) {
    const batch = tokenizer.encodeBatch([text]);
    assert.deepEqual(Array.from(batch.input_ids), ids, text);
    assert.ok(batch.attention_mask.every((m) => m === 1));
    assert.deepEqual(batch.shape, [1, ids.length]);
  }
});

test("the files' limit and padding token are read in both spellings", async () => {
  const tokenizer = await bpe();
  assert.deepEqual([tokenizer.maxLength, tokenizer.padId], [77, END]);
  const other = await bpe({ model_max_length: 1e30, pad_token: { content: "<|startoftext|>" } });
  assert.deepEqual([other.maxLength, other.padId], [undefined, START]);
  const none = await bpe({ model_max_length: "77", pad_token: null });
  assert.deepEqual([none.maxLength, none.padId], [undefined, undefined]);
  const inTokenizer = { ...((await json("tokenizer.json")) as Json), padding: { pad_id: 5 } };
  assert.equal((await createTokenizer(inTokenizer, {})).padId, 5);
});

test("a batch is padded to its longest text, or to a number of tokens", async () => {
  const tokenizer = await bpe();
  const { input_ids, attention_mask, shape } = tokenizer.encodeBatch(["a cat", ""]);
  assert.deepEqual(shape, [2, 4]);
  assert.deepEqual(Array.from(input_ids), [START, 272, 363, END, START, END, END, END]);
  assert.deepEqual(Array.from(attention_mask), [1, 1, 1, 1, 1, 1, 0, 0]);
  const wide = tokenizer.encodeBatch(["a cat"], { padTo: 6, padId: 9 });
  assert.deepEqual(Array.from(wide.input_ids), [START, 272, 363, END, 9, 9]);
  assert.deepEqual(Array.from(wide.attention_mask), [1, 1, 1, 1, 0, 0]);
  const left = (await bpe({ padding_side: "left" })).encodeBatch(["a cat", ""]);
  assert.deepEqual(Array.from(left.input_ids.subarray(4)), [END, END, START, END]);
  assert.deepEqual(Array.from(left.attention_mask.subarray(4)), [0, 0, 1, 1]);
});

test("a text that is too long is cut and keeps its special tokens", async () => {
  const text = "photographs of ".repeat(30);
  const tokenizer = await bpe();
  const cut = tokenizer.encodeBatch([text], { maxLength: 16 });
  // As the Python library truncates to 16.
  const pairs = [374, 284, 374, 284, 374, 284, 374, 284, 374, 284, 374, 284, 374, 284];
  assert.deepEqual(Array.from(cut.input_ids), [START, ...pairs, END]);
  assert.deepEqual(Array.from(tokenizer.encodeBatch([text], { maxLength: 2 }).input_ids), [START, END]);
  const left = await bpe({ truncation_side: "left" });
  const tail = left.encodeBatch(["a photo of a cat"], { maxLength: 4 });
  assert.deepEqual(Array.from(tail.input_ids), [START, 272, 363, END]);
});

test("what cannot be encoded is refused with its position", async () => {
  const tokenizer = await bpe();
  assert.throws(() => tokenizer.encodeBatch([]), { code: "text.empty_batch" });
  assert.throws(() => tokenizer.encodeBatch(["a", null as unknown as string]), {
    code: "text.not_text",
    message: "Input 1 is not text but null.",
  });
  assert.throws(() => tokenizer.encodeBatch(["a photo"], { maxLength: 1 }), {
    code: "text.max_length",
    message: /maxLength is 1; expected a whole number of at least 2/,
  });
  assert.throws(() => tokenizer.encodeBatch(["a photo of a cat"], { padTo: 3 }), {
    code: "text.too_long",
    message: /Text 0 has 7 tokens and the batch is padded to 3; set maxLength to 3/,
  });
  const unpadded = await bpe({ pad_token: null });
  assert.equal(unpadded.encodeBatch(["a", "a"]).shape[1], 3);
  assert.throws(() => unpadded.encodeBatch(["a", "a cat"]), { code: "text.no_padding", message: /pass padId/ });
});

test("a part without an id is refused when there is no unknown token", async () => {
  const model = { type: "WordLevel", vocab: { a: 0, cat: 1 } };
  const tokenizer = await createTokenizer(
    {
      version: "1.0",
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: "Whitespace" },
      post_processor: null,
      decoder: null,
      model,
    },
    {},
  );
  assert.deepEqual(Array.from(tokenizer.encodeBatch(["a cat"]).input_ids), [0, 1]);
  assert.throws(() => tokenizer.encodeBatch(["a cat", "a dog"]), {
    code: "text.unknown_token",
    message: /^Text 1 has a part \(token 1\)/,
  });
});

test("a word of hundreds of thousands of parts is cut, or refused where the engine's stack does not hold them", async () => {
  const file = new URL("../fixtures/tokenizers/siglip_unigram/tokenizer.json", import.meta.url);
  const tokenizer = await createTokenizer(JSON.parse(await readFile(file, "utf8")), {});
  try {
    const { shape } = tokenizer.encodeBatch(["a", "xa".repeat(150_000)], { maxLength: 64, padTo: 64, padId: 1 });
    assert.deepEqual(shape, [2, 64]);
  } catch (error) {
    assert.ok(error instanceof FoveaError, String(error));
    assert.equal(error.code, "text.too_long");
    assert.match(error.message, /^Text 1 has 300000 characters, and a word in it has more parts than the tokenizer/);
  }
});

test("files that are no tokenizer are refused", async () => {
  const refused = { name: "FoveaError", code: "tokenizer.invalid" };
  for (const file of [undefined, null, [], "x", {}, { model: null }]) {
    await assert.rejects(createTokenizer(file, {}), { ...refused, message: /has no `model` object/ });
  }
  const good = (await json("tokenizer.json")) as Json;
  await assert.rejects(createTokenizer({ ...good, normalizer: { type: "Unheard" } }, {}), {
    ...refused,
    message: /^tokenizer\.json cannot be used: .*Unheard/,
  });
  await assert.rejects(createTokenizer(good, []), {
    ...refused,
    message: /tokenizer_config.json is not a JSON object/,
  });
  await assert.rejects(createTokenizer({ ...good, model: { type: "Quux" } }, {}), refused);
  await assert.rejects(createTokenizer({ ...good, pre_tokenizer: { type: "Quux" } }, {}), refused);
});

test("any string has ids, surrogate halves and control characters included, in little time", async () => {
  const tokenizer = await bpe();
  for (let i = 0; i < 200; i++) {
    const length = hash32(i, 0) % 60;
    const text = Array.from({ length }, (_, k) =>
      String.fromCharCode(hash32(i, k + 1) >>> (k % 2 === 0 ? 16 : 25)),
    ).join("");
    const { input_ids, shape } = tokenizer.encodeBatch([text], { maxLength: 77 });
    assert.ok(shape[1] <= 77);
    assert.deepEqual([input_ids[0], input_ids[shape[1] - 1]], [START, END]);
  }
  for (const text of ["x".repeat(20_000), "cat ".repeat(20_000)]) {
    assert.deepEqual(tokenizer.encodeBatch([text], { maxLength: 77 }).shape, [1, 77]);
  }
});
