/** Parsers of option values, checks of paths and cells of tables, in this process. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { byteSize, labelList, nameList, nonEmpty, oneOf, wholeNumber } from "../../runtime/cli/options.ts";
import { checkPictures } from "../../runtime/cli/pictures.ts";
import { oneLine, table } from "../../runtime/cli/table.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";

test("whole numbers are digits within the interval", () => {
  assert.equal(wholeNumber(0)("12"), 12);
  for (const text of ["", " ", "-1", "1.5", "0x2", "1e3", "two", "9".repeat(30)]) {
    assert.throws(() => wholeNumber(0)(text), /whole number >= 0/, text);
  }
  assert.throws(() => wholeNumber(1)("0"), />= 1/);
  assert.throws(() => wholeNumber(0, 512)("513"), /from 0 to 512/);
});

test("sizes of memory have units", () => {
  assert.equal(byteSize("1.5k"), 1536);
  assert.equal(byteSize("2 GiB"), 2 ** 31);
  for (const text of ["", "lots", "-1m", "0", "0.1"]) assert.throws(() => byteSize(text), /[Ee]xpected/, text);
});

test("lists of names leave out blanks and are never empty", () => {
  assert.deepEqual(nameList(" a , b c,,"), ["a", "b c"]);
  assert.throws(() => nameList(" , "), /Expected names, separated by commas\./);
  assert.throws(() => nonEmpty("a folder")(" "), /Expected a folder/);
  assert.throws(() => oneOf(["vision", "text"])("visoin"), /one of vision, text/);
});

test("labels are separated by commas, and none of them is empty", () => {
  assert.deepEqual(labelList(" a cat , dog"), ["a cat", "dog"]);
  // The option given again.
  assert.deepEqual(labelList("dog,bird", ["a cat"]), ["a cat", "dog", "bird"]);
  for (const text of ["cat,", ",cat", "cat,,dog", "", " "]) {
    assert.throws(
      () => labelList(text),
      /Expected labels separated by commas, with quotes around the list: "a cat,a dog"\./,
    );
  }
});

test("cells of tables are one line of limited width", () => {
  assert.equal(oneLine("a\n\tb \u001b[31m", 20), "a b [31m");
  assert.equal(oneLine("abcdefghij", 8), "abcde...");
  assert.equal(
    table(
      ["n", "x"],
      [
        ["1", "a"],
        ["10", "bc"],
      ],
    ),
    " n  x\n 1  a\n10  bc",
  );
});

test("paths of pictures are checked before anything is loaded", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fovea-pictures-"));
  try {
    await assert.rejects(checkPictures([folder]), hasCode("bad_usage", /is a folder; name the pictures in it/));
    await assert.rejects(
      checkPictures([repositoryPath("examples/models/digits-clip")]),
      hasCode("bad_usage", /digits-clip is a model's folder; name the model before the pictures\.$/),
    );
    await assert.rejects(
      checkPictures([""]),
      hasCode("bad_usage", /A picture's name is empty; give paths or addresses\./),
    );
    await assert.rejects(checkPictures([join(folder, "no.png")]), hasCode("file.not_found", /no\.png/));
    await assert.rejects(checkPictures(["b,"]), hasCode("bad_usage", /"b,".*put quotes around/));
    await checkPictures(["https://example.org/no.png"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
