/** The application of frozen encoders: the shared conformance suite, and what it refuses itself. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { FoveaError } from "../../mod.ts";
import type { FrozenEncoder } from "../../runtime/edge/api.ts";
import { type Listener, listen } from "../../runtime/host/listen.ts";
import { createApp, type FrozenAppOptions } from "../../runtime/server/frozen_app.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { askerOf, CASES, MODEL, ORIGIN, TOKEN } from "./conformance.ts";
import { DIGITS } from "./served.ts";

interface Opened {
  readonly listener: Listener;
  readonly lines: object[];
  readonly encoder: FrozenEncoder;
  close(): Promise<void>;
}

/** An encoder as a folder's `createEncoder` resolves to: the same class, with a report of its loading. */
async function open(): Promise<Opened> {
  const runtime = await openRuntime({ threads: 0 });
  const loaded = await runtime.load(DIGITS);
  const encoder = Object.assign(loaded, { report: { memoryBytes: 12_345 } }) as unknown as FrozenEncoder;
  const lines: object[] = [];
  const app = createApp({
    ...{ models: { [MODEL]: encoder }, tokens: [TOKEN], cors: [ORIGIN] },
    log: (line) => lines.push(line),
  });
  const listener = await listen((request) => app.fetch(request), { port: 0, hostname: "127.0.0.1" });
  return {
    ...{ listener, lines, encoder },
    close: async () => {
      await app.drain();
      await listener.close(1000);
      await runtime.close();
    },
  };
}

let opening: Promise<Opened> | undefined;
const opened = (): Promise<Opened> => {
  opening ??= open();
  return opening;
};
after(async () => (await opening)?.close());

const urlOf = async (): Promise<string> => `http://127.0.0.1:${(await opened()).listener.port}`;

for (const { name, run } of CASES) {
  test(`a frozen server ${name}`, async () => run(askerOf(await urlOf()), await urlOf()));
}

test("what it tells of itself: the memory that was accounted, nothing compiled, a line for each request", async () => {
  const ask = askerOf(await urlOf());
  const text = await (await ask("/metrics")).text();
  assert.match(text, /^fovea_device_bytes 12345$/m);
  assert.match(text, /^fovea_compiled_artifacts 0$/m);
  const { lines } = await opened();
  assert.ok(lines.some((line) => (line as { route?: string; status?: number }).route === "/v1/embeddings"));
});

test("files that the folder was not frozen for are the request's fault", async () => {
  const ask = askerOf(await urlOf());
  const { encoder } = await opened();
  const model = encoder as unknown as { readItems(...given: readonly unknown[]): Promise<unknown> };
  const whole = model.readItems.bind(model);
  try {
    for (const code of ["no_format", "not_frozen"]) {
      model.readItems = () => Promise.reject(new FoveaError(code, "Freeze it again."));
      const body = JSON.stringify({ input: "two" });
      const init = { method: "POST", headers: { "content-type": "application/json" }, body };
      const response = await ask("/v1/embeddings", init);
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      assert.deepEqual([response.status, error.code, error.message], [400, code, "Freeze it again."]);
    }
  } finally {
    model.readItems = whole;
  }
});

test("requests have calls of their own, however many come at once", async () => {
  const ask = askerOf(await urlOf());
  const { encoder } = await opened();
  const model = encoder as unknown as { encodeItems(items: readonly unknown[], options: unknown): Promise<unknown> };
  const sizes: number[] = [];
  const whole = model.encodeItems.bind(model);
  model.encodeItems = (items, options) => {
    sizes.push(items.length);
    return whole(items, options);
  };
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"input":"two"}' };
  await Promise.all(Array.from({ length: 12 }, async () => (await ask("/v1/embeddings", init)).text()));
  assert.deepEqual(sizes, new Array(12).fill(1));
});

test("it answers in the very moment in which it was made, without a token too", async () => {
  const { encoder } = await opened();
  const app = createApp({ models: { [MODEL]: encoder } });
  const body = JSON.stringify({ input: "two" });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body };
  const first = app.fetch(new Request("http://localhost/v1/embeddings", init));
  assert.equal((await app.fetch(new Request("http://localhost/readyz"))).status, 200);
  assert.equal((await first).status, 200);
});

test("an answer that its place cannot hold is refused with what to do, and smaller forms of it are given", async () => {
  const ask = askerOf(await urlOf());
  const { encoder } = await opened();
  const model = encoder as unknown as { encodeItems(...given: readonly unknown[]): Promise<unknown> };
  const whole = model.encodeItems;
  // 1.2 MB of results.
  const tensor = { dtype: "f32", shape: [1, 300_000], data: new Float32Array(300_000) };
  model.encodeItems = () => Promise.resolve([{ text_embeds: tensor }]);
  const encode = (format: string, texts: readonly string[], more: object = {}): Promise<Response> =>
    ask("/v1/encode", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ texts, outputs: ["text_embeds"], format, ...more }),
    });
  try {
    const refused = await encode("json", ["a"]);
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    assert.deepEqual([refused.status, error.code], [413, "answer_too_large"]);
    assert.match(error.message, /more than the 12 MiB that this server has for one; send fewer inputs at once/);
    const line = await (await encode("ndjson", ["a"])).text();
    assert.match(line, /"code":"answer_too_large"/);
    assert.equal((await encode("safetensors", ["a", "b", "c"])).status, 200);
    assert.equal((await encode("safetensors", ["a", "b", "c", "d"])).status, 413);
    assert.equal((await encode("json", ["a", "b"], { encoding_format: "base64" })).status, 200);
    // Each line by itself, and as many as are asked for.
    const lines = await (await encode("ndjson", ["a", "b", "c", "d"], { encoding_format: "base64" })).text();
    assert.equal(lines.trimEnd().split("\n").length, 4);
  } finally {
    model.encodeItems = whole;
  }
});

test("lines are made while their reader has room for them", async () => {
  const ask = askerOf(await urlOf());
  const { encoder } = await opened();
  const model = encoder as unknown as { encodeItems(...given: readonly unknown[]): Promise<unknown> };
  const whole = model.encodeItems;
  const tensor = { dtype: "f32", shape: [1, 700_000], data: new Float32Array(700_000) };
  let made = 0;
  model.encodeItems = () => {
    made++;
    return Promise.resolve([{ text_embeds: tensor }]);
  };
  try {
    const texts = Array.from({ length: 64 }, () => "two");
    const body = JSON.stringify({ texts, outputs: ["text_embeds"], format: "ndjson", encoding_format: "base64" });
    const app = createApp({ models: { [MODEL]: encoder } });
    const init = { method: "POST", headers: { "content-type": "application/json" }, body };
    const response = await app.fetch(new Request("http://localhost/v1/encode", init));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(made < 16, `${made} of 64 lines of 3.7 MB`);
    await reader.cancel();
    await app.drain();
    assert.equal((await ask("/healthz")).status, 200);
  } finally {
    model.encodeItems = whole;
  }
});

test("bodies of refused requests are read all the same, so that the connection serves the next", async () => {
  const { encoder } = await opened();
  const app = createApp({ models: { [MODEL]: encoder }, tokens: [TOKEN] });
  for (const [method, path, status] of [
    ["PUT", "/v1/embeddings", 401],
    ["POST", "/v1/nothing", 401],
    ["POST", "/nothing", 404],
    ["PUT", "/healthz", 405],
  ] as const) {
    const request = new Request(`http://localhost${path}`, { method, body: '{"input":"two"}' });
    assert.equal((await app.fetch(request)).status, status, path);
    assert.ok(request.bodyUsed, path);
  }
});

test("others have their turn between the inputs of a request", async () => {
  const { encoder } = await opened();
  const model = encoder as unknown as { encodeItems(...given: readonly unknown[]): Promise<unknown> };
  const whole = model.encodeItems;
  let made = 0;
  model.encodeItems = () => {
    made++;
    const tensor = { dtype: "f32", shape: [1, 4], data: new Float32Array(4).fill(1) };
    return Promise.resolve([{ text_embeds: tensor }]);
  };
  try {
    const app = createApp({ models: { [MODEL]: encoder } });
    const body = JSON.stringify({ input: Array.from({ length: 64 }, () => "two") });
    const init = { method: "POST", headers: { "content-type": "application/json" }, body };
    const answered = app.fetch(new Request("http://localhost/v1/embeddings", init));
    const turns: number[] = [];
    const look = (): void => {
      if (made < 64) {
        turns.push(made);
        setTimeout(look, 0);
      }
    };
    look();
    assert.equal((await answered).status, 200);
    assert.ok(new Set(turns).size > 8, `${turns.join(" ")} of 64 inputs`);
  } finally {
    model.encodeItems = whole;
  }
});

test("a request that its place dropped with its timers gives its room back", async () => {
  const { encoder } = await opened();
  const model = encoder as unknown as { readItems(...given: readonly unknown[]): Promise<unknown> };
  const whole = model.readItems;
  const app = createApp({ models: { [MODEL]: encoder }, queue: 1, deadline: 1 });
  const ask = async (timeout: string): Promise<Response> => {
    const headers = { "content-type": "application/json", "x-request-timeout": timeout };
    return app.fetch(
      new Request("http://localhost/v1/embeddings", { method: "POST", headers, body: '{"input":"two"}' }),
    );
  };
  await app.fetch(new Request("http://localhost/healthz"));
  const timers = globalThis.setTimeout;
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  const begun = new Promise<void>((resolve) => {
    model.readItems = () => {
      resolve();
      return new Promise(() => {});
    };
  });
  try {
    void ask("1");
    await begun;
  } finally {
    globalThis.setTimeout = timers;
    model.readItems = whole;
  }
  assert.equal((await ask("1")).status, 429);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.notEqual((await ask("1")).status, 429);
  await app.drain();
});

test("sizes that no range was frozen for are the request's fault", async () => {
  const ask = askerOf(await urlOf());
  const { encoder } = await opened();
  const model = encoder as unknown as { encodeItems(...given: readonly unknown[]): Promise<unknown> };
  const whole = model.encodeItems;
  model.encodeItems = () => Promise.reject(new FoveaError("outside_ranges", "It was asked for tokens = 9."));
  try {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"input":"two"}' };
    const response = await ask("/v1/embeddings", init);
    assert.equal(response.status, 400);
    assert.match(await response.text(), /"code":"outside_ranges"/);
  } finally {
    model.encodeItems = whole;
  }
});

test("options that it does not have and encoders that are still opening are refused by name", async () => {
  const { encoder } = await opened();
  const refusal = (options: object): string => {
    try {
      createApp(options as FrozenAppOptions);
    } catch (error) {
      assert.ok(error instanceof FoveaError && error.code === "invalid_options");
      return error.message;
    }
    return "";
  };
  assert.match(
    refusal({ models: { digits: encoder }, allowImagesFrom: ["example.com"] }),
    /^createApp has no option "allowImagesFrom"; it takes models, tokens, cors/,
  );
  assert.match(
    refusal({ models: { digits: Promise.resolve(encoder) } }),
    /`models` of createApp is an object; expected encoders by name that createEncoder resolved to/,
  );
  assert.match(refusal(undefined as unknown as object), /^The options of createApp must be an object; found undefined/);
  assert.equal(refusal({ models: { digits: encoder }, maxBody: undefined, queue: undefined }), "");
  assert.match(refusal({ models: { digits: encoder }, queue: 0 }), /`queue`|queue/);
  assert.match(refusal({ models: {} }), /option `models` of createApp/);
  assert.match(refusal({}), /^createApp needs `models`: encoders by name/);
});
