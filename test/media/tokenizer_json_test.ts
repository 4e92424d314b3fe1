import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createTokenizer, type Tokenizer } from "../../runtime/media/tokens.ts";

/** Whole words with ids in their order; all ids below are those of the tokenizers library of Python 0.23. */
function words(vocab: readonly string[], steps: Readonly<Record<string, unknown>>): Promise<Tokenizer> {
  const model = {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(["[UNK]", ...vocab].map((word, id) => [word, id])),
  };
  const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
  return createTokenizer({ ...none, ...steps, model }, {});
}

const idsOf = (tokenizer: Tokenizer, text: string): number[] => Array.from(tokenizer.encodeBatch([text]).input_ids);

test("capitals become small letters one by one: a sigma that ends a word does as any other", async () => {
  const file = new URL("../fixtures/tokenizers/clip_bpe/tokenizer.json", import.meta.url);
  const clip = await createTokenizer(JSON.parse(await readFile(file, "utf8")), {});
  assert.deepEqual(idsOf(clip, "ΟΔΟΣ Σ"), [627, 138, 123, 138, 112, 138, 123, 139, 596, 139, 596, 628]);
  const bert = (lowercase: boolean): Promise<Tokenizer> =>
    words(["οδοσ", "οδος", "ΟΔΟΣ"], {
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
    });
  assert.deepEqual(idsOf(await bert(true), "ΟΔΟΣ οδος"), [1, 2]);
  assert.deepEqual(idsOf(await bert(false), "ΟΔΟΣ οδος"), [3, 2]);
});

test("words are of letters and digits of all scripts, and white space is what Unicode calls so", async () => {
  const vocab = [
    "naïve",
    "grüße",
    ",",
    "नमस्ते",
    "東京",
    "e\u0301t\u0301",
    "🙂",
    "a_b",
    "a\u200db",
    "!?",
    "\ufeff",
    "x",
    "½",
    "٣",
  ];
  const whole = await words(vocab, { pre_tokenizer: { type: "Whitespace" } });
  const text = "naïve, grüße नमस्ते 東京 e\u0301t\u0301🙂 a_b a\u200db!? \ufeff x\u0085x ½ ٣";
  assert.deepEqual(idsOf(whole, text), [1, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 13, 14]);
  const pretokenizers = [{ type: "WhitespaceSplit" }];
  const split = await words(vocab, { pre_tokenizer: { type: "Sequence", pretokenizers } });
  assert.deepEqual(idsOf(split, "naïve\u0085x \ufeff x"), [1, 12, 11, 12]);
});

test("what ends a text is white space as Unicode has it: a byte order mark stays", async () => {
  const strip = (left: boolean, right: boolean): Promise<Tokenizer> =>
    words(["x", " x", "x ", " x ", "\ufeffx\ufeff"], {
      normalizer: { type: "Sequence", normalizers: [{ type: "Strip", strip_left: left, strip_right: right }] },
    });
  const both = await strip(true, true);
  assert.deepEqual(idsOf(both, "\u0085 x\u00a0\n"), [1]);
  assert.deepEqual(idsOf(both, "\ufeffx\ufeff"), [5]);
  assert.deepEqual(idsOf(await strip(false, true), " x "), [2]);
  assert.deepEqual(idsOf(await strip(true, false), " x "), [3]);
  assert.deepEqual(idsOf(await strip(false, false), " x "), [4]);
});

test("an added token that has to be a word of its own is not found inside of others", async () => {
  const added = (id: number, content: string, single_word: boolean, normalized: boolean): object => ({
    ...{ id, content, single_word, normalized, lstrip: false, rstrip: false, special: false },
  });
  const tokens = (normalized: boolean): Promise<Tokenizer> =>
    words(["hotDogs", "éDog", "Dog_", "𝒳Dog", "hot", "s"], {
      pre_tokenizer: { type: "Whitespace" },
      normalizer: { type: "NFC" },
      added_tokens: [added(7, "Dog", true, normalized), added(8, "!", false, normalized)],
    });
  for (const normalized of [true, false]) {
    const tokenizer = await tokens(normalized);
    assert.deepEqual(idsOf(tokenizer, "Dog hotDogs hot Dog s!Dog!"), [7, 1, 5, 7, 6, 8, 7, 8]);
    assert.deepEqual(idsOf(tokenizer, "éDog Dog_ 𝒳Dog"), [2, 3, 4]);
  }
});
