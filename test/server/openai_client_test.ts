/** OpenAI's own client against the server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { dataUri, TWO, withServer } from "./served.ts";

const unitLength = (vector: readonly number[]): number => Math.hypot(...vector);

test("the client of OpenAI gets embeddings in both encodings, shortened ones, models and refusals", () =>
  withServer({ tokens: ["sk-test"] }, async ({ url }) => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-test", maxRetries: 0 });
    const model = "digits";
    const input = ["a photo of the digit two", "seven"];
    // It asks for base64 unless told otherwise, and decodes it.
    const decoded = await client.embeddings.create({ model, input });
    const floats = await client.embeddings.create({ model, input, encoding_format: "float" });
    assert.deepEqual(
      decoded.data.map(({ embedding }) => [...embedding]),
      floats.data.map(({ embedding }) => embedding),
    );
    assert.equal(decoded.data[0].embedding.length, 64);
    assert.ok(Math.abs(unitLength(decoded.data[1].embedding) - 1) < 1e-6);
    assert.ok(decoded.usage.prompt_tokens > 2);
    const short = await client.embeddings.create({ model, input: "seven", dimensions: 8 });
    assert.equal(short.data[0].embedding.length, 8);
    assert.ok(Math.abs(unitLength(short.data[0].embedding) - 1) < 1e-6);
    const picture = await client.embeddings.create({ model, input: dataUri(TWO) });
    assert.equal(picture.data[0].embedding.length, 64);
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map(({ id }) => id),
      ["digits"],
    );
    assert.deepEqual(await client.models.retrieve("digits"), models.data[0]);
    await assert.rejects(client.models.retrieve("digit"), (error) => error instanceof OpenAI.NotFoundError);
    await assert.rejects(client.embeddings.create({ model: "digit", input }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.deepEqual([error.status, error.code, error.param], [404, "model_not_found", "model"]);
      assert.match(error.message, /Did you mean "digits"/);
      return true;
    });
    const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-wrong", maxRetries: 0 });
    await assert.rejects(stranger.models.list(), (error) => error instanceof OpenAI.AuthenticationError);
    const tooMany = client.embeddings.create({ model, input: Array.from({ length: 2049 }, () => "x") });
    await assert.rejects(
      tooMany,
      (error) => error instanceof OpenAI.BadRequestError && /at most 2048/.test(error.message),
    );
  }));
