/** The shared HTTP conformance suite against the server of a runtime; tools/check_edge.mjs runs it against workerd. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { RunningServer } from "../../runtime/server/mod.ts";
import { createApp, serve } from "../../runtime/server/mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { askerOf, CASES, MAX_BODY, MODEL, ORIGIN, TOKEN } from "./conformance.ts";
import { DIGITS } from "./served.ts";

interface Opened {
  readonly server: RunningServer;
  close(): Promise<void>;
}

async function open(): Promise<Opened> {
  const runtime = await openRuntime({ threads: 0 });
  const models = { [MODEL]: { source: DIGITS } };
  const app = createApp({ runtime, models, tokens: [TOKEN], cors: [ORIGIN], maxBody: MAX_BODY });
  await app.ready;
  const server = await serve(app, { port: 0 });
  return {
    server,
    close: async () => {
      await server.close();
      await runtime.close();
    },
  };
}

let opening: Promise<Opened> | undefined;
after(async () => (await opening)?.close());

for (const { name, run } of CASES) {
  test(`a server ${name}`, async () => {
    opening ??= open();
    const { server } = await opening;
    await run(askerOf(server.url), server.url);
  });
}

test("the suite notices a server that answers wrongly", async () => {
  const empty = (): Promise<Response> => Promise.resolve(Response.json({ data: [] }));
  for (const { name, run } of CASES) await assert.rejects(run(empty, "http://127.0.0.1:1"), name);
});
