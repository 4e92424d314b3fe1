/** One request's inputs: in turn with those of others, and none that would hold all up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeAll, type WorkContext } from "../../runtime/server/work.ts";
import { createRoom } from "../../runtime/session/inputs/room.ts";
import { dataUri, TWO, withServer } from "./served.ts";

test("inputs of a request are read in turn with those of others", async () => {
  const room = createRoom({ waiting: () => 0, most: 1 });
  const order: string[] = [];
  const context = (name: string): WorkContext => {
    const encoder = {
      readItems: async ({ texts: [text] }: { texts: string[] }) => {
        order.push(`${name}${text}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
        return [{ modality: "text", tokens: 1 }];
      },
    };
    return {
      ...{
        room,
        yields: false,
        atOnce: 64,
        answerBytes: Number.POSITIVE_INFINITY,
        maxText: 10,
        requestId: name,
        signal: new AbortController().signal,
        outputs: () => [],
      },
      lease: { name, generation: 1, encoder } as unknown as WorkContext["lease"],
      batcher: { submit: async () => ({}) } as unknown as WorkContext["batcher"],
    };
  };
  const texts = (count: number): readonly { text: string }[] =>
    Array.from({ length: count }, (_, i) => ({ text: String(i) }));
  await Promise.all([encodeAll(texts(4), context("many"), () => {}), encodeAll(texts(2), context("few"), () => {})]);
  assert.deepEqual(order, ["many0", "few0", "many1", "few1", "many2", "many3"]);
});

test("a text that is longer than the server takes is refused before anything is read", () =>
  withServer({ maxText: 20 }, async ({ post }) => {
    const long = "x".repeat(21);
    const cases: readonly (readonly [string, object, string])[] = [
      ["/v1/embeddings", { input: ["two", long] }, "The input at position 1"],
      ["/v1/encode", { texts: [long] }, "The input at position 0"],
      ["/v1/classify", { images: [dataUri(TWO)], labels: ["a", long], template: "{}" }, "The label at position 1"],
    ];
    for (const [path, body, name] of cases) {
      const answer = await post(path, body);
      const { error } = (await answer.json()) as { error: { code: string; message: string } };
      assert.deepEqual([answer.status, error.code], [413, "text.too_long"], error.message);
      assert.ok(error.message.startsWith(`${name} has 21 characters, more than the 20 that this server takes;`));
    }
    const answer = await post("/v1/embeddings", { input: "x".repeat(20) });
    assert.equal(answer.status, 200, await answer.text());
  }));
