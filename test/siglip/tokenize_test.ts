import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { removePunctuation, siglipTokenizer } from "../../plugins/siglip/tokenize.ts";
import type { ModelFiles } from "../../runtime/abi/encoder.ts";
import { FIXTURES, type Json, readJson } from "../clip/model_kit.ts";

interface Expected {
  readonly text: string;
  readonly ids: readonly number[];
}

const folder = (name: string): string => join(FIXTURES, "tokenizers", name);
const expected = (name: string): readonly Expected[] =>
  readJson(join(folder(name), "expected.json")) as unknown as readonly Expected[];

function filesOf(name: string, change: Json = {}): ModelFiles {
  const config = readJson(join(folder(name), "tokenizer_config.json"));
  return {
    "tokenizer.json": readJson(join(folder(name), "tokenizer.json")),
    "tokenizer_config.json": { ...config, ...change },
  };
}

async function ids(files: ModelFiles, texts: readonly string[], length = 8, modelType = "siglip"): Promise<number[][]> {
  const { input_ids } = await siglipTokenizer(files, { modelType, maxTokens: length, padId: 7 })(texts);
  assert.deepEqual([input_ids.dtype, input_ids.shape], ["i32", [texts.length, length]]);
  return texts.map((_, i) => Array.from(input_ids.data.subarray(i * length, (i + 1) * length)));
}

for (const [name, modelType, length] of [
  ["siglip_unigram", "siglip", 16],
  ["siglip2_bpe", "siglip2", 24],
] as const) {
  test(`texts get the ids that transformers gives them: ${name}`, async () => {
    const cases = expected(name);
    const files = filesOf(name);
    assert.deepEqual(
      await ids(
        files,
        cases.map((c) => c.text),
        length,
        modelType,
      ),
      cases.map((c) => c.ids),
    );
    // Alone as in a batch.
    for (const { text, ids: wanted } of cases) assert.deepEqual(await ids(files, [text], length, modelType), [wanted]);
  });
}

test("there is no mask: the models see their padding", async () => {
  const tokenize = siglipTokenizer(filesOf("siglip_unigram"), { modelType: "siglip", maxTokens: 64, padId: 1 });
  assert.deepEqual(Object.keys(await tokenize(["a cat"])), ["input_ids"]);
});

test("the tokenizer's class decides what happens to punctuation, the files about case", async () => {
  const gemma = (change: Json) => filesOf("siglip2_bpe", change);
  const [lower] = await ids(gemma({}), ["a photo of a cat."], 24);
  assert.deepEqual(await ids(gemma({ do_lower_case: null }), ["A PHOTO of a Cat."], 24), [lower]);
  assert.notDeepEqual(await ids(gemma({ do_lower_case: false }), ["A PHOTO of a Cat."], 24), [lower]);
  const [plain] = await ids(gemma({}), ["a photo of a cat"], 24);
  assert.notDeepEqual(plain, lower);
  assert.deepEqual(await ids(gemma({ tokenizer_class: "SiglipTokenizer" }), [" a photo, of  a cat."], 24), [plain]);
  // Without a class, the model's type says whose it is.
  const silent = { tokenizer_class: null };
  assert.deepEqual(await ids(gemma(silent), ["a photo of a cat."], 24, "siglip2"), [lower]);
  assert.deepEqual(await ids(gemma(silent), ["a photo of a cat."], 24, "siglip2_text_model"), [lower]);
  assert.deepEqual(await ids(gemma(silent), ["a photo of a cat."], 24, "siglip_text_model"), [plain]);
});

test("punctuation is what ASCII has", () => {
  assert.equal(removePunctuation("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), "");
  assert.equal(removePunctuation("\u0085a\u00a0\u0085cat \ufeff"), "a cat \ufeff");
  assert.equal(removePunctuation(" it's\ta  “quoted” – 3.14\n"), "its a “quoted” – 314");
});

test("lengths and padding: the model's positions, a smaller limit of the tokenizer, the model's padding", async () => {
  assert.deepEqual(await ids(filesOf("siglip_unigram", { model_max_length: 4 }), ["a photo of a cat"], 4), [
    [5, 17, 7, 1],
  ]);
  const tokenize = siglipTokenizer(filesOf("siglip_unigram", { model_max_length: 4 }), {
    modelType: "siglip",
    maxTokens: 64,
    padId: 7,
  });
  assert.deepEqual((await tokenize(["x"])).input_ids.shape, [1, 4]);
  assert.deepEqual(await ids(filesOf("siglip_unigram", { pad_token: null }), ["x"], 5), [[3, 107, 1, 7, 7]]);
});

test("what cannot be used is refused", async () => {
  const options = { modelType: "siglip", maxTokens: 8, padId: 1 };
  await assert.rejects(siglipTokenizer({}, options)(["a"]), { name: "FoveaError", code: "tokenizer.invalid" });
  assert.throws(() => siglipTokenizer(filesOf("siglip_unigram", { do_lower_case: "yes" }), options), {
    code: "invalid_config",
    message: /tokenizer_config.json: the field `do_lower_case` holds "yes"; expected true or false/,
  });
  assert.throws(() => siglipTokenizer(filesOf("siglip_unigram", { tokenizer_class: 3 }), options), {
    code: "invalid_config",
    message: /`tokenizer_class` holds 3/,
  });
  const tokenize = siglipTokenizer(filesOf("siglip_unigram"), options);
  await assert.rejects(tokenize([]), { code: "text.empty_batch" });
  await assert.rejects(tokenize(["a", 3 as unknown as string]), { code: "text.not_text" });
});
