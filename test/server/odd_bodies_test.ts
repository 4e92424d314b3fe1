/** Bodies that are nearly right: nothing of them is lost or changed without a word. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { FIXTURES } from "../kit/tower_fixtures.ts";
import { DIGITS, type Served, withServer } from "./served.ts";

const withTexts = (work: (served: Served) => Promise<void>): Promise<void> =>
  withServer({ models: { digits: { source: DIGITS, load: { components: ["text"] } } } }, work);

interface Refusal {
  readonly message: string;
  readonly code: string;
  readonly param: string | null;
}

async function refusalOf(response: Response, status = 400): Promise<Refusal> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return (JSON.parse(text) as { error: Refusal }).error;
}

test("token ids that are beyond 32 bits are refused, and never become others", () =>
  withTexts(async ({ post }) => {
    for (const id of [2 ** 31, 2 ** 32 + 5, 1e300]) {
      const { message, code, param } = await refusalOf(await post("/v1/embeddings", { input: [[1], [1, id]] }));
      assert.deepEqual([code, param], ["invalid_input", "input"]);
      assert.match(message, /^The token id \S+ at position 1 is outside of every vocabulary; give ids of the model's/);
    }
  }));

test("a field of null counts as left out", () =>
  withTexts(async ({ post }) => {
    const plain = await (await post("/v1/embeddings", { input: "two" })).json();
    const nulls = { model: null, messages: null, encoding_format: null, dimensions: null, normalize: null, user: null };
    const answer = await post("/v1/embeddings", { input: "two", ...nulls });
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), plain);
    const other = await refusalOf(await post("/v1/embeddings", { input: "two", dimension: null }));
    assert.equal(other.code, "unknown_field");
    const encoded = await post("/v1/encode", { texts: ["two"], images: null, outputs: null, format: null });
    assert.equal(encoded.status, 200);
    await encoded.text();
  }));

test("bytes that are no UTF-8 are refused, and do not become other characters", () =>
  withTexts(async ({ get }) => {
    const body = Uint8Array.from(Buffer.from('{"input":"caf\xe9"}', "latin1"));
    const headers = { "content-type": "application/json" };
    const { message, code } = await refusalOf(await get("/v1/embeddings", { method: "POST", headers, body }));
    assert.equal(code, "invalid_body");
    assert.equal(message, "The body is no text in UTF-8; check it and its content-type.");
  }));

test("bodies of other types, and compressed ones, are told what is taken", () =>
  withTexts(async ({ get, post }) => {
    const body = gzipSync('{"input":"two"}');
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const compressed = await refusalOf(await get("/v1/embeddings", { method: "POST", headers, body }), 415);
    assert.equal(compressed.code, "unsupported_encoding");
    assert.match(
      compressed.message,
      /content-encoding is gzip, and compressed bodies are not read here; send it as it/,
    );
    const plain = { headers: { "content-encoding": "identity" } };
    const answer = await post("/v1/embeddings", { input: "two" }, plain);
    assert.equal(answer.status, 200, await answer.text());
    const picture = { method: "POST", headers: { "content-type": "image/png" }, body: "x" };
    for (const [path, types] of [
      ["/v1/embeddings", "application/json"],
      ["/v1/encode", "application/json or multipart/form-data"],
      ["/v1/classify", "application/json or multipart/form-data"],
    ]) {
      const { message } = await refusalOf(await get(path, picture), 415);
      assert.equal(message, `The body's type is image/png; expected ${types}.`);
    }
  }));

test("marks without end do not stop the server", () =>
  withServer({ models: { minilm: { source: `${FIXTURES}/sentence-minilm` } } }, async ({ post }) => {
    const { message, code } = await refusalOf(
      await post("/v1/embeddings", { input: ["two", `a${"\u0301\u0327".repeat(40_000)}`] }),
    );
    assert.equal(code, "text.too_many_marks");
    assert.match(message, /has 80000 combining marks in a row at character 1; at most 1000 are taken\. Remove them\.$/);
    const answer = await post("/v1/embeddings", { input: `a${"\u0301\u0327".repeat(500)}` });
    assert.equal(answer.status, 200, await answer.text());
  }));

test("a file in the place of a text is refused, and not passed over", () =>
  withTexts(async ({ get }) => {
    const ask = (path: string, field: string): Promise<Response> => {
      const body = new FormData();
      body.append("text", "two");
      body.append(field, new Blob(["x"]), "x.txt");
      if (path === "/v1/classify") body.delete("text");
      return get(path, { method: "POST", body });
    };
    const fields = ["text", "outputs", "format"].map((field) => ["/v1/encode", field] as const);
    for (const [path, field] of [...fields, ["/v1/classify", "template"], ["/v1/classify", "labels"]] as const) {
      const { message, code, param } = await refusalOf(await ask(path, field));
      assert.deepEqual([code, param], ["invalid_field", field]);
      assert.match(
        message,
        new RegExp(`^The field \`${field}\` is a file; expected a text \\(of curl -F '${field}=<file'`),
      );
    }
  }));

test("a form holds as many inputs as JSON does", () =>
  withTexts(async ({ get }) => {
    for (const field of ["image", "audio", "text"]) {
      const body = new FormData();
      for (let i = 0; i < 2049; i++) body.append(field, "x");
      const { message, code } = await refusalOf(await get("/v1/encode", { method: "POST", body }));
      assert.equal(code, "invalid_field");
      assert.equal(message, `The field \`${field}\` has 2049 elements; expected at most 2048.`);
    }
  }));

test("refusals do not give back what is long", () =>
  withTexts(async ({ post }) => {
    const long = "m".repeat(100_000);
    const model = await refusalOf(await post("/v1/embeddings", { model: long, input: "x" }), 404);
    assert.equal(model.message, `No model is called "${"m".repeat(57)}…" here; served are digits.`);
    const output = await refusalOf(await post("/v1/encode", { texts: ["x"], outputs: [long] }));
    assert.match(output.message, /^There is no output "m{57}…"; these inputs give text_embeds/);
  }));
