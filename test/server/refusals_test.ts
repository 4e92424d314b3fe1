/** Every refusal: its status, its code, and a sentence that says what to do. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Runtime } from "../../mod.ts";
import { Call } from "../../runtime/server/call.ts";
import { createApp, type RunningServer, serve } from "../../runtime/server/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";
import { CASES, EMBED } from "./refusal_cases.ts";
import { DIGITS } from "./served.ts";

interface Opened {
  readonly runtime: Runtime;
  readonly server: RunningServer;
}

async function open(): Promise<Opened> {
  const runtime = await openRuntime({ threads: 0 });
  const models = {
    digits: { source: DIGITS },
    qwen: { source: `${FIXTURES}/qwen2_5_vl`, load: { components: ["vision"] as const } },
    vision: { source: DIGITS, load: { components: ["vision"] as const } },
  };
  const app = createApp({ runtime, models, maxBody: 20_000, allowImagesFrom: ["img.test"] });
  await app.ready;
  return { runtime, server: await serve(app, { port: 0 }) };
}

let opened: Promise<Opened> | undefined;
const shared = (): Promise<Opened> => {
  opened ??= open();
  return opened;
};
after(async () => {
  const all = await opened;
  await all?.server.close();
  await all?.runtime.close();
});

test("every refusal has its status, code, field and sentence", async () => {
  const { server } = await shared();
  for (const { path = EMBED, method = "POST", body, headers, status, code, says, param } of CASES) {
    const isForm = body instanceof FormData;
    const response = await fetch(server.url + path, {
      method,
      headers: { ...(isForm ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: isForm || typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.equal(response.status, status, `${path}: ${text}`);
    const { error } = JSON.parse(text) as {
      error: { message: string; type: string; code: string; param: string | null };
    };
    assert.equal(error.code, code, text);
    assert.match(error.message, says);
    assert.match(error.message, /[.?]$/);
    assert.equal(error.type, status >= 500 ? "server_error" : "invalid_request_error");
    if (param !== undefined) assert.equal(error.param, param, text);
    assert.ok(response.headers.has("x-request-id"));
  }
});

test("results of several rows are no embedding, and ended calls give their work the reason", async () => {
  const { runtime } = await shared();
  const encoder = Object.create(await runtime.load(DIGITS, { components: ["text"] }));
  Object.defineProperties(encoder, {
    encodeItems: {
      value: async (items: readonly unknown[]) =>
        items.map(() => ({ text_embeds: { dtype: "f32", shape: [2, 3], data: new Float32Array(6) } })),
    },
    modalities: { value: ["text"] },
    modelType: { value: "clip" },
    readItems: { value: async () => [{ modality: "text", form: "f", rows: 1, tokens: 1, bytes: 8 }] },
    tower: { value: () => ({ spec: { outputs: ["text_embeds"], inputs: ["input_ids"] } }) },
  });
  const app = createApp({ runtime, models: { odd: { encoder } } });
  await app.ready;
  const headers = { "content-type": "application/json" };
  const answer = await app.request("/v1/embeddings", { method: "POST", headers, body: '{"input":"x"}' });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /of this model is \[2, 3\] for one input, no single vector; ask \/v1\/encode/);
  const client = new AbortController();
  const options = { requestId: "a", deadline: 1000, onEnd: () => {} };
  const over = new Call({ ...options, client: client.signal });
  over.end();
  assert.throws(() => over.signal.throwIfAborted(), hasCode("call_over", /This call is over already/));
  client.abort();
  const left = new Call({ ...options, client: client.signal });
  assert.throws(() => left.signal.throwIfAborted(), hasCode("client_left", /The client left before its answer/));
  left.end();
});

test("a method that a route does not take is told which it takes", async () => {
  const { server } = await shared();
  const response = await fetch(`${server.url}/v1/encode`);
  await response.text();
  assert.equal(response.headers.get("allow"), "POST");
});

test("a body without a stated length is stopped at the limit", async () => {
  const { server } = await shared();
  let left = 400;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (left-- === 0) controller.close();
      else controller.enqueue(new Uint8Array(1000).fill(0x20));
    },
  });
  const init = { method: "POST", body, duplex: "half", headers: { "content-type": "application/json" } } as RequestInit;
  const answer = await fetch(server.url + EMBED, init).catch(() => undefined);
  // A client that is still sending may not read the answer; the server is there for others either way.
  if (answer !== undefined) {
    assert.equal(answer.status, 413);
    await answer.body?.cancel();
  }
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
});

test("a port that is taken is named", async () => {
  const { server, runtime } = await shared();
  const app = createApp({ runtime, models: { digits: { source: DIGITS } } });
  await app.ready;
  await assert.rejects(
    serve(app, { port: server.port }),
    hasCode("listen_failed", new RegExp(`Port ${server.port} of 127\\.0\\.0\\.1 cannot be opened: another program`)),
  );
  await assert.rejects(
    serve(app, { port: 0, hostname: "nope.invalid" }),
    hasCode(
      "listen_failed",
      /Port 0 of nope\.invalid cannot be opened: no interface of this machine is called so\. Give/,
    ),
  );
  app.close();
});
