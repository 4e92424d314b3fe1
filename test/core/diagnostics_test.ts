import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError, internal, nearest, TraceBreakError } from "../../runtime/core/diagnostics.ts";

test("diagnostics: errors carry code, exit code and cause", () => {
  const plain = new FoveaError("some_code", "A sentence.");
  assert.ok(plain instanceof Error);
  assert.deepEqual(
    [plain.name, plain.code, plain.message, plain.exitCode],
    ["FoveaError", "some_code", "A sentence.", 2],
  );
  assert.equal("cause" in plain, false);
  const cause = new Error("inner");
  const other = new FoveaError("c", "m", { cause, exitCode: 1 });
  assert.equal(other.cause, cause);
  assert.equal(other.exitCode, 1);
  assert.match(String(other), /^FoveaError: m$/);
});

test("diagnostics: broken invariants are no errors for users", () => {
  assert.throws(
    () => internal("it broke"),
    (error: unknown) =>
      error instanceof Error && !(error instanceof FoveaError) && error.message === "internal: it broke",
  );
});

test("diagnostics: the nearest word within a third of the length", () => {
  const words = ["vision", "text", "audio", "image_embeds"];
  assert.equal(nearest("visoin", words), "vision", "a swap counts once");
  assert.equal(nearest("VISION", words), "vision");
  assert.equal(nearest("txt", words), "text");
  assert.equal(nearest("image_embed", words), "image_embeds");
  assert.equal(nearest("text", words), "text");
  assert.equal(nearest("video", words), undefined);
  assert.equal(nearest("zzzzzz", words), undefined);
  assert.equal(nearest("abc", []), undefined);
  assert.equal(nearest("ab", ["ax", "ay"]), "ax", "the first of equals");
});

test("errors of another copy of the module are FoveaErrors as well, and of no subclass", () => {
  const foreign = Object.assign(new Error("from elsewhere"), { isFoveaError: true, code: "some_code" });
  assert.ok(foreign instanceof FoveaError);
  assert.ok(!(foreign instanceof TraceBreakError));
  for (const other of [new Error("plain"), null, undefined, 1, "text", { isFoveaError: "yes" }])
    assert.ok(!((other as unknown) instanceof FoveaError));
});
