/** Answers that come line by line: what goes wrong after they began is told to the client and to the log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogLine } from "../../runtime/server/mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { DIGITS, withServer } from "./served.ts";

test("an error of the server's own within a stream is in its log", async () => {
  const log: LogLine[] = [];
  await using runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS, { components: ["text"] });
  await withServer({ models: { digits: { encoder } }, log: (line) => log.push(line) }, async ({ post }) => {
    const ask = async (): Promise<string> => {
      const body = { texts: ["two"], format: "ndjson", outputs: ["text_embeds"] };
      return (await post("/v1/encode", body, { headers: { "x-request-id": "stream-1" } })).text();
    };
    assert.match(await ask(), /^\{"index":0/);
    assert.deepEqual(
      log.map(({ event }) => event),
      ["request"],
    );
    Object.defineProperty(encoder, "encodeItems", { value: () => Promise.reject(new Error("wires crossed")) });
    const failed = await ask();
    assert.match(failed, /an error of its own; its log has it under this request's id/);
    assert.doesNotMatch(failed, /wires/);
    assert.deepEqual(
      { ...log.find(({ event }) => event === "stream_failed"), time: "" },
      {
        ...{ time: "", event: "stream_failed", request: "stream-1", route: "/v1/encode" },
        ...{ level: "error", code: "internal_error", message: "wires crossed" },
      },
    );
  });
});
