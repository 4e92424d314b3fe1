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
    /^A frozen application has no option "allowImagesFrom"; it has models, tokens, cors/,
  );
  assert.match(
    refusal({ models: { digits: Promise.resolve(encoder) } }),
    /^The model "digits" of a frozen application is no encoder that createEncoder resolved to; await it first\.$/,
  );
  assert.match(refusal({ models: { digits: encoder }, queue: 0 }), /`queue`|queue/);
  assert.notEqual(refusal({ models: {} }), "");
});
