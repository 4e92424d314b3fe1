/** SentencePiece's tables of characters. Results are those of the tokenizers library of Python 0.23. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCharsmap } from "../../runtime/media/charsmap.ts";
import { createTokenizer } from "../../runtime/media/tokens.ts";

/**
 * Made by SentencePiece 0.2 of the rules: circled 1 -> 1, a with dot below -> one letter, the ligature fi -> two letters, zero
 * width space and tab -> space, AB -> x, e with acute -> one letter, a smiling face -> ":)", A -> a, soft hyphen -> nothing.
 */
const TABLE = [
  "AAQAAAAgAAAJDQAAAQAAgAgAAIANAACAzIACAKMFAAASAACAzAACAIENAAAPAACArR0AAAAAAICAIAIAizEAAKB9AAADAACArAgCAIEFAAAK",
  "AACAn2gCAIAJAACYDAIABQAAgBkAAAAYAAAAGwAAABoAAACRzAIAHAAAAB8AAAAeAAAAIQAAACAAAAAjAAAAIgAAACUAAAAkAAAAJwAAACYA",
  "AAApAAAAKAAAACsAAAAqAAAALQAAACwAAAAvAAAALgAAADEAAAAwAAAAMwAAADIAAAA1AAAANAAAADcAAAA2AAAAOQAAADgAAAA7AAAAOgAA",
  "AD0AAAA8AAAAPwAAAD4AAABBAAAAQhUBAEMAAABCAAAARQAAAEQAAABHAAAARgAAAEkAAABBKQEASwAAAEoAAABNAAAATAAAAE8AAABOAAAA",
  "UQAAAFAAAABTAAAAUgAAAFUAAABUAAAAVwAAAFYAAABZAAAAWAAAAFsAAABaAAAAXQAAAFwAAABfAAAAXgAAAGEAAABgAAAAYwAAAGIAAABl",
  "AAAAZAAAAGcAAABmAAAAaQAAAGGAAgBrAAAAagAAAG0AAABlpAIAbwAAAG4AAABxAAAAcAAAAHMAAAByAAAAdQAAAHQAAAB3AAAAdgAAAHkA",
  "AAB4AAAAewAAAHoAAAB9AAAAfAAAAH8AAAB+AAAAgQAAAIAAAACDAAAAggAAAIUAAACEAAAAhwAAAIYAAACJAAAAiAAAAIsAAACKAAAAjQAA",
  "AIwAAACPAAAAjgAAAJEAAACQAAAAkwAAAJIAAACVAAAAlAAAAJcAAACWAAAAmQAAAJgAAACbAAAAmgAAAJ0AAACcAAAAnwAAAJ4AAAChAAAA",
  "oAAAAKMAAACiAAAApQAAAKQAAACnAAAApgAAAKkAAACoAAAAqwAAAKoAAACtAAAArAAAAK8AAACuAAAAsQAAALAAAACzAAAAsgAAALUAAAC0",
  "AAAAtwAAALYAAAC5AAAAuAAAALsAAAC6AAAAvQAAALwAAAC/AAAAvgAAAMEAAADAAAAAwwAAAMIAAADFAAAAxAAAAMcAAADGAAAAyQAAAMgA",
  "AADCsAEAygAAAM0AAADMAAAAzwAAAM4AAADRAAAA0AAAANMAAADSAAAA1QAAANQAAADXAAAA1gAAANkAAADYAAAA2wAAANoAAADdAAAA3AAA",
  "AN8AAADeAAAA4QAAAOAAAADjAAAA4gAAAOUAAADkAAAA5wAAAO9oAQDpAAAA6AAAAOKcAQDqAAAA7QAAAOwAAADvAAAA7gAAAPEAAADwAAAA",
  "8wAAAPIAAAD1AAAA9AAAAPcAAAD2AAAA8MwBAPgAAAD7AAAA+gAAAP0AAAD8AAAA/wAAAP4AAAAAIAAxADopAGEAZmkAeADDqQDhuqEA",
].join("");

test("a table of characters: small graphemes by their shortest beginning, others character by character", () => {
  const normalize = createCharsmap(TABLE);
  for (const [text, expected] of [
    ["", ""],
    ["\u2460\ufb01n", "1fin"],
    ["a\u0323\u0307x", "\u1ea1x"],
    ["e\u0301e\u0323\u0301", "\u00e9e\u0323\u0301"],
    ["AB A B", "aB a B"],
    ["a\u200bb\tc", "a b c"],
    ["\u{1f600}!", ":)!"],
    ["A\u0301", "a"],
    ["x\u00ady", "xy"],
    ["\r\n\t", "\r\n "],
    ["\u00e9 \u732b", "\u00e9 \u732b"],
    ["\u{1f469}\u200d\u{1f467}A", "\u{1f469}\u200d\u{1f467}a"],
  ]) {
    assert.equal(normalize(text), expected, JSON.stringify(text));
    assert.equal(normalize(text), expected, "again, as it is remembered");
  }
});

const tokenizerOf = (precompiled_charsmap: string): ReturnType<typeof createTokenizer> =>
  createTokenizer(
    {
      normalizer: {
        type: "Sequence",
        normalizers: [{ type: "Precompiled", precompiled_charsmap }, { type: "Lowercase" }],
      },
      pre_tokenizer: { type: "WhitespaceSplit" },
      post_processor: null,
      decoder: null,
      added_tokens: [],
      model: {
        type: "WordLevel",
        unk_token: "[U]",
        vocab: { "[U]": 0, "1fi": 1, ":)": 2, "\u{1f469}\u200d\u{1f467}": 3 },
      },
    },
    {},
  );

test("a tokenizer goes by its own table of characters", async () => {
  const tokenizer = await tokenizerOf(TABLE);
  const text = "\u2460\ufb01 \u{1f600}\t\u{1f469}\u200d\u{1f467}\u200bx";
  assert.deepEqual(Array.from(tokenizer.encodeBatch([text]).input_ids), [1, 2, 3, 0]);
});

test("damaged tables are refused, or look like empty ones", async () => {
  await assert.rejects(tokenizerOf("%%"), { code: "tokenizer.invalid", message: /charsmap` that is not base64/ });
  await assert.rejects(tokenizerOf(btoa("ab")), {
    code: "tokenizer.invalid",
    message: /`precompiled_charsmap` that cannot be read: it has no size/,
  });
  await assert.rejects(tokenizerOf(btoa("\xff\xff\x00\x00rest")), {
    code: "tokenizer.invalid",
    message: /its trie takes 65535 of 4 bytes/,
  });
  assert.equal(createCharsmap(btoa("\0\0\0\0"))("aé"), "aé");
  const cut = atob(TABLE).slice(0, 4 + 1024);
  assert.equal(createCharsmap(btoa(cut))("x\u2460y"), "xy", "its results are gone");
});
