/** Loading, full queues, late and leaving clients, reloading and shutting down. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import type { Runtime } from "../../mod.ts";
import { createApp, type LogLine, serve } from "../../runtime/server/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { withFolder } from "../kit/folder.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { DIGITS, withServer } from "./served.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (await holds()) return;
    await sleep(5);
  }
  assert.fail(`it took too long until ${what}`);
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A request whose body is on the way until `end` is called. */
function begin(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): { readonly request: ClientRequest; readonly answer: Promise<Answer> } {
  const request = httpRequest(`${url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    agent: false,
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      let body = "";
      response.on("data", (part) => {
        body += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on("error", reject);
    });
  });
  answer.catch(() => {});
  request.write('{"input": ');
  return { request, answer };
}

const codeOf = ({ body }: Pick<Answer, "body">): string => (JSON.parse(body) as { error: { code: string } }).error.code;

/** Gauge of the metrics. */
async function gauge(get: (path: string) => Promise<Response>, name: string): Promise<number> {
  const text = await (await get("/metrics")).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

const JSON_BODY = { "content-type": "application/json" };

/** The tower of texts alone, which loads in no time. */
const DIGIT_TEXTS = { digits: { source: DIGITS, load: { components: ["text"] as const } } };

/** Work for a while in a small body. */
const MUCH = Array.from({ length: 1500 }, () => "a");

test("more requests than the queue holds are refused with the time to come back", () =>
  withServer({ models: DIGIT_TEXTS, queue: 2 }, async ({ url, get, post }) => {
    const held = [begin(url), begin(url)];
    await until(async () => (await gauge(get, "fovea_active_requests")) === 2, "both are worked on");
    const refused = await post("/v1/embeddings", { input: "two" });
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get("retry-after")) >= 1);
    const body = await refused.text();
    assert.equal(codeOf({ body }), "queue_full");
    assert.match(body, /works on 2 requests and takes no more at once/);
    for (const { request } of held) request.end('"two"}');
    for (const { answer } of held) assert.equal((await answer).status, 200);
    assert.equal((await post("/v1/embeddings", { input: "two" })).status, 200);
  }));

test("a body that does not arrive in time is given up, and so is work that takes too long", () =>
  withServer({ models: DIGIT_TEXTS, deadline: 2000 }, async ({ url, get, post }) => {
    const slow = begin(url, { "x-request-timeout": "60" });
    const late = await slow.answer;
    slow.request.destroy();
    assert.deepEqual([late.status, codeOf(late)], [408, "body_timeout"]);
    assert.match(late.body, /The body did not arrive within 60 ms/);
    const much = await post("/v1/embeddings", { input: MUCH }, { headers: { "x-request-timeout": "12" } });
    const body = await much.text();
    // Where the body itself took the time there is nothing to see of the work.
    if (codeOf({ body }) !== "body_timeout") {
      assert.deepEqual([much.status, codeOf({ body })], [504, "deadline_exceeded"]);
      assert.match(body, /not done within 12 ms; send fewer inputs/);
    }
    await until(async () => (await gauge(get, "fovea_active_requests")) === 0, "nothing is worked on");
    await until(async () => (await gauge(get, "fovea_waiting_inputs")) === 0, "nothing waits");
  }));

test("what waits for a client that leaves is dropped", async () => {
  const log: LogLine[] = [];
  const runtime = await openRuntime({ threads: 0 });
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const encoder = await runtime.load(DIGITS, { components: ["text"] });
  const { encodeItems } = encoder;
  // A call that lasts until the gate is opened.
  encoder.encodeItems = (...args) => gate.then(() => encodeItems.apply(encoder, args));
  try {
    await withServer({ models: { digits: { encoder } }, log: (line) => log.push(line) }, async ({ get, post }) => {
      const runs = post("/v1/embeddings", { input: "a" });
      await until(async () => (await gauge(get, "fovea_active_requests")) === 1, "one is worked on");
      const controller = new AbortController();
      const left = post("/v1/embeddings", { input: "b" }, { signal: controller.signal });
      left.catch(() => {});
      await until(async () => (await gauge(get, "fovea_waiting_inputs")) > 0, "inputs wait");
      controller.abort();
      await assert.rejects(left);
      await until(() => log.some(({ code }) => code === "client_left"), "the log has it");
      assert.equal(log.find(({ code }) => code === "client_left")?.status, 499);
      await until(async () => (await gauge(get, "fovea_waiting_inputs")) === 0, "nothing waits");
      open();
      assert.equal((await runs).status, 200);
    });
  } finally {
    open();
    await runtime.close();
  }
});

test("until the models are loaded the server says that it is not ready", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = {
      load: (...args: Parameters<Runtime["load"]>) => gate.then(() => runtime.load(...args)),
      seal: () => runtime.seal(),
      stats: () => runtime.stats(),
      get sealed() {
        return runtime.sealed;
      },
    };
    const app = createApp({ runtime: slow as unknown as Runtime, models: DIGIT_TEXTS });
    const server = await serve(app, { port: 0 });
    const early = await fetch(`${server.url}/v1/embeddings`, {
      method: "POST",
      body: '{"input":"two"}',
      headers: JSON_BODY,
    });
    assert.equal(early.status, 503);
    assert.equal(early.headers.get("retry-after"), "1");
    const body = await early.text();
    assert.equal(codeOf({ body }), "not_ready");
    assert.match(body, /The models are still being loaded/);
    assert.equal((await fetch(`${server.url}/readyz`)).status, 503);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    assert.equal(runtime.sealed, false);
    open();
    await app.ready;
    assert.equal(runtime.sealed, true);
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
    await server.close();
  } finally {
    await runtime.close();
  }
});

test("a model that cannot be loaded is told to whoever waits, and the server stays unready", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const log: LogLine[] = [];
  try {
    const app = createApp({ runtime, models: { gone: { source: "no/such/model" } }, log: (line) => log.push(line) });
    await assert.rejects(app.ready, hasCode("file.not_found", /no\/such\/model/));
    assert.equal((await app.request("/readyz")).status, 503);
    assert.equal(log[0].event, "load_failed");
  } finally {
    await runtime.close();
  }
});

test("a server whose first load failed is ready once loading again went well", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    await withFolder(async (folder) => {
      const source = join(folder, "model");
      const app = createApp({ runtime, models: { digits: { source } } });
      await assert.rejects(app.ready, hasCode("file.not_found", /model/));
      await assert.rejects(app.reload(), hasCode("file.not_found", /model/));
      assert.equal((await app.request("/readyz")).status, 503);
      cpSync(DIGITS, source, { recursive: true });
      await app.reload();
      assert.deepEqual(await (await app.request("/readyz")).json(), {
        ...{ status: "ready", models: ["digits"], sealed: true },
      });
      await app.close();
    });
  } finally {
    await runtime.close();
  }
});

test("shutting down answers what was accepted and takes no more", () =>
  withServer({ models: DIGIT_TEXTS }, async ({ app, server, url, post }) => {
    const held = begin(url);
    const running = Array.from({ length: 4 }, () => post("/v1/embeddings", { input: MUCH.slice(0, 400) }));
    // A fast machine may have answered some of them by then; the held one is open in any case.
    await until(async () => {
      const metrics = await (await app.request("/metrics")).text();
      const answered = /fovea_requests_total\{route="\/v1\/embeddings",status="200"\} (\d+)/.exec(metrics)?.[1] ?? "0";
      const active = /fovea_active_requests (\d+)/.exec(metrics)?.[1] ?? "0";
      return Number(answered) + Number(active) >= 5;
    }, "all are accepted");
    const closed = server.close();
    const late = await app.request("/v1/embeddings", { method: "POST", body: '{"input":"two"}', headers: JSON_BODY });
    assert.equal(late.status, 503);
    const body = await late.text();
    assert.equal(codeOf({ body }), "shutting_down");
    assert.match(body, /is being shut down and takes no more requests/);
    assert.match(await (await app.request("/readyz")).text(), /shutting down and will not be ready again/);
    held.request.end('"two"}');
    for (const response of await Promise.all(running)) {
      assert.equal(response.status, 200);
      assert.equal(((await response.json()) as { data: unknown[] }).data.length, 400);
    }
    assert.equal((await held.answer).status, 200);
    await closed;
    await assert.rejects(fetch(`${url}/healthz`));
  }));

test("a model is loaded again while requests run, and none is dropped", () =>
  withServer({ models: DIGIT_TEXTS }, async ({ app, runtime, post }) => {
    const before = runtime.stats();
    let open = true;
    let answered = 0;
    const clients = Array.from({ length: 4 }, async () => {
      while (open) {
        const response = await post("/v1/embeddings", { input: ["two", "a seven"] });
        assert.equal(response.status, 200, await response.text());
        answered++;
      }
    });
    await until(() => answered > 4, "requests run");
    await app.reload();
    await app.reload("digits");
    const seen = answered;
    await until(() => answered > seen + 8, "requests run on");
    open = false;
    await Promise.all(clients);
    const after = runtime.stats();
    // The old ones are closed, and the sealed runtime compiled nothing for the new.
    assert.equal(after.counters.compiled, before.counters.compiled);
    assert.ok(after.device.bytesInUse < 2 * before.device.bytesInUse, `${after.device.bytesInUse} bytes`);
    await assert.rejects(app.reload("digit"), hasCode("model_not_found", /No model is called "digit" here/));
  }));

test("when loading again fails the old model stays", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const encoder = await runtime.load(DIGITS, { components: ["text"] });
    let broken = false;
    const lines: LogLine[] = [];
    const flaky = { load: () => (broken ? Promise.reject(new Error("disk on fire")) : Promise.resolve(encoder)) };
    const app = createApp({
      runtime: Object.assign(Object.create(runtime), flaky),
      models: { digits: { source: DIGITS } },
      seal: false,
      log: (line) => lines.push(line),
    });
    await app.ready;
    assert.equal(runtime.sealed, false);
    broken = true;
    await assert.rejects(app.reload("digits"), /disk on fire/);
    const told = lines.find(({ event }) => event === "reload_failed");
    assert.deepEqual([told?.level, told?.model, told?.message], ["error", "digits", "disk on fire"]);
    const answer = await app.request("/v1/embeddings", { method: "POST", body: '{"input":"two"}', headers: JSON_BODY });
    assert.equal(answer.status, 200);
  } finally {
    await runtime.close();
  }
});

test("an error of the server's own gives nothing away, and the log has it", async () => {
  const log: LogLine[] = [];
  const runtime = await openRuntime({ threads: 0 });
  try {
    const encoder = await runtime.load(DIGITS, { components: ["text"] });
    const app = createApp({ runtime, models: { digits: { encoder } }, log: (line) => log.push(line) });
    await app.ready;
    Object.defineProperty(encoder, "encodeItems", { value: () => Promise.reject(new Error("wires crossed")) });
    const answer = await app.request("/v1/embeddings", { method: "POST", body: '{"input":"two"}', headers: JSON_BODY });
    assert.equal(answer.status, 500);
    const body = await answer.text();
    assert.match(body, /an error of its own; its log has it under this request's id/);
    assert.doesNotMatch(body, /wires/);
    const line = log.find(({ status }) => status === 500);
    assert.deepEqual([line?.level, line?.message], ["error", "wires crossed"]);
  } finally {
    await runtime.close();
  }
});
