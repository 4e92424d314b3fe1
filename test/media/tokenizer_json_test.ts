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

test("Chinese characters of two units stand alone, as those of one", async () => {
  const bert = (handle_chinese_chars: boolean): Promise<Tokenizer> =>
    words(["a", "b", "𠀀", "𪚥", "東", "a𠀀b"], {
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
    });
  assert.deepEqual(idsOf(await bert(true), "a𠀀b𪚥東A"), [1, 3, 2, 4, 5, 1]);
  assert.deepEqual(idsOf(await bert(false), "a𠀀b a"), [6, 1]);
  const plain = await words(["a", "b", "\ufeffb", "!", "¿"], { pre_tokenizer: { type: "BertPreTokenizer" } });
  assert.deepEqual(idsOf(plain, "a\u0085b \ufeffb!!¿a"), [1, 2, 3, 4, 4, 5, 1]);
});

test("signs are split as their behavior says", async () => {
  const ids = async (behavior: string, text: string): Promise<number[]> =>
    idsOf(
      await words(["a", "b", "!", "?", "!!", "a!", "!b", "b?", "!?", "!!?"], {
        pre_tokenizer: { type: "Punctuation", behavior },
      }),
      text,
    );
  assert.deepEqual(await ids("Isolated", "a!!b?"), [1, 3, 3, 2, 4]);
  assert.deepEqual(await ids("Contiguous", "a!!b?"), [1, 5, 2, 4]);
  assert.deepEqual(await ids("Contiguous", "!?a"), [9, 1]);
  assert.deepEqual(await ids("MergedWithPrevious", "a!!b?"), [6, 3, 8]);
  assert.deepEqual(await ids("MergedWithNext", "a!!b?"), [1, 3, 7, 4]);
  assert.deepEqual(await ids("Removed", "a!!b?"), [1, 2]);
});

test("a split keeps, leaves out or merges what matches, and what does not", async () => {
  const ids = async (behavior: string, invert: boolean, pattern: object = { String: "-" }): Promise<number[]> =>
    idsOf(
      await words(["a", "b", "-", "--", "a-", "-b", "-c", "b-", "c", "."], {
        pre_tokenizer: { type: "Split", pattern, behavior, invert },
      }),
      "a--b-c",
    );
  assert.deepEqual(await ids("Isolated", false), [1, 3, 3, 2, 3, 9]);
  assert.deepEqual(await ids("Isolated", true), [1, 3, 3, 2, 3, 9]);
  assert.deepEqual(await ids("Contiguous", false), [1, 4, 2, 3, 9]);
  assert.deepEqual(await ids("Contiguous", true), [1, 4, 2, 3, 9]);
  assert.deepEqual(await ids("MergedWithPrevious", false), [5, 3, 8, 9]);
  assert.deepEqual(await ids("MergedWithPrevious", true), [1, 3, 6, 7]);
  assert.deepEqual(await ids("MergedWithNext", false), [1, 3, 6, 7]);
  assert.deepEqual(await ids("MergedWithNext", true, { Regex: "-" }), [5, 3, 8, 9]);
  assert.deepEqual(await ids("Removed", false), [1, 2, 9]);
  assert.deepEqual(await ids("Removed", true), [3, 3, 3]);
  const dots = await words(["a.", "b.", "ax"], {
    pre_tokenizer: { type: "Split", pattern: { String: "." }, behavior: "MergedWithPrevious", invert: false },
  });
  assert.deepEqual(idsOf(dots, "a.b.ax"), [1, 2, 3]);
  const bars = await words(["a", "b"], { pre_tokenizer: { type: "CharDelimiterSplit", delimiter: "|" } });
  assert.deepEqual(idsOf(bars, "a||b|"), [1, 2]);
});

test("digits are numbers of all scripts", async () => {
  const digits = (individual_digits: boolean): Promise<Tokenizer> =>
    words(["a", "b", "1", "2", "12", "½", "٣", "12½٣"], { pre_tokenizer: { type: "Digits", individual_digits } });
  assert.deepEqual(idsOf(await digits(true), "a12½٣b"), [1, 3, 4, 6, 7, 2]);
  assert.deepEqual(idsOf(await digits(false), "a12½٣b"), [1, 8, 2]);
});

test("byte-level pieces go by Unicode's white space, and each piece may get a space in front", async () => {
  const vocab = ["Ġx", "x", "Ġ", "ĠĠ", "ï»¿y", "Ġï»¿y", "Âħ", "ĠÂħ", "ĠÂħx", "Ġ/", "/", "'s", "Ġx's", "ĠĠĠ"];
  const step = (add_prefix_space: boolean, use_regex: boolean): object => ({
    ...{ type: "ByteLevel", add_prefix_space, trim_offsets: true, use_regex },
  });
  const plain = await words(vocab, { pre_tokenizer: step(false, true) });
  const prefixed = await words(vocab, { pre_tokenizer: step(true, true) });
  for (const [text, own, ownPrefixed] of [
    ["x  \ufeffy", [2, 3, 0, 0], [1, 3, 0, 0]],
    [" \u0085x", [3, 7, 2], [3, 7, 2]],
    ["x's", [2, 12], [1, 12]],
    ["  x", [3, 1], [3, 1]],
    ["x   ", [2, 14], [1, 14]],
  ] as const) {
    assert.deepEqual(idsOf(plain, text), own, JSON.stringify(text));
    assert.deepEqual(idsOf(prefixed, text), ownPrefixed, JSON.stringify(text));
  }
  const pretokenizers = [{ type: "Punctuation", behavior: "Isolated" }, step(true, false)];
  const sequence = await words(vocab, { pre_tokenizer: { type: "Sequence", pretokenizers } });
  assert.deepEqual(idsOf(sequence, "x//x"), [1, 10, 10, 1]);
});

test("SentencePiece's NMT rules, and the unknown word of a plain list", async () => {
  const nmt = await words(["a b", "ab", " a "], { normalizer: { type: "Nmt" } });
  assert.deepEqual(
    ["a\u2581b", "a\u0007b", "\ta\ufeff", "a\u200bb"].map((text) => idsOf(nmt, text)),
    [[1], [2], [3], [1]],
  );
  const none = { normalizer: null, post_processor: null, decoder: null, added_tokens: [] };
  const model = { type: "WordLevel", vocab: { a: 0, "[U]": 1 }, unk_token: "[U]" };
  const list = await createTokenizer({ ...none, pre_tokenizer: { type: "WhitespaceSplit" }, model }, {});
  assert.deepEqual(idsOf(list, "a b a"), [0, 1, 0]);
});

test("what a Unigram vocabulary lacks is spelled in bytes where it has all of them", async () => {
  const bytes = ["E3", "81", "8C", "C3", "A9"].map((byte) => [`<0x${byte}>`, 0]);
  const ids = async (byte_fallback: boolean): Promise<number[][]> => {
    const model = {
      type: "Unigram",
      unk_id: 0,
      vocab: [["<unk>", 0], ["a", -1], ["b", -1.5], ...bytes],
      byte_fallback,
    };
    const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
    const tokenizer = await createTokenizer({ ...none, model }, {});
    return ["aがb", "éがa", "xb", "aがxb", "がx"].map((text) => idsOf(tokenizer, text));
  };
  assert.deepEqual(await ids(true), [[1, 3, 4, 5, 2], [6, 7, 3, 4, 5, 1], [0, 2], [1, 0, 2], [0]]);
  assert.deepEqual(await ids(false), [[1, 0, 2], [0, 1], [0, 2], [1, 0, 2], [0]]);
});
