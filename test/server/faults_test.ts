/** What goes wrong around a server while it serves: it answers, recovers, and loses no request that it accepted. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { WASM_DEVICE } from "../../kernels/wasm/device/device.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime } from "../../mod.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import type { DeviceHost, WorkerHandle } from "../../runtime/abi/device.ts";
import { createApp, serve } from "../../runtime/server/mod.ts";
import { withFolder } from "../kit/folder.ts";
import { DIGITS, withServer } from "./served.ts";

const TEXTS = ["a one", "a two", "a photo of the number three", "four"];

/** The wasm plugin on a host whose workers the test can kill: a host does not report those that are ended by request. */
function pluginWith(kills: (() => Promise<void>)[]): typeof wasmPlugin {
  const spying = (host: DeviceHost): DeviceHost => ({
    ...host,
    spawnWorker: (entry, data) => {
      const worker = host.spawnWorker?.(entry, data) as WorkerHandle;
      let report = (_: string): void => {};
      kills.push(() => worker.terminate().then(() => report("killed")));
      return {
        ...{ ref: () => worker.ref(), unref: () => worker.unref(), terminate: () => worker.terminate() },
        postMessage: (message) => worker.postMessage(message),
        onMessage: (listener) => worker.onMessage(listener),
        onEnd: (listener) => {
          report = listener;
          worker.onEnd(listener);
        },
      };
    },
  });
  const open: typeof WASM_DEVICE.open = (host, options) => WASM_DEVICE.open(spying(host), options);
  return { ...wasmPlugin, devices: [{ ...WASM_DEVICE, open }] };
}

const ask = (url: string, input: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input }),
    ...init,
  });

async function vectorOf(response: Response): Promise<readonly number[]> {
  assert.equal(response.status, 200, await response.clone().text());
  const { data } = (await response.json()) as { readonly data: readonly { readonly embedding: number[] }[] };
  return data[0].embedding;
}

test("workers that are killed while requests run are replaced, and every request is answered right", async () => {
  const kills: (() => Promise<void>)[] = [];
  await using runtime = await createRuntime({ threads: 2, plugins: [pluginWith(kills), clipPlugin] });
  const app = createApp({ runtime, models: { digits: { source: DIGITS, load: { components: ["text"] } } } });
  await app.ready;
  const server = await serve(app, { port: 0 });
  const expected = new Map<string, readonly number[]>();
  for (const input of TEXTS) expected.set(input, await vectorOf(await ask(server.url, input)));
  let asked = 0;
  const client = async (): Promise<void> => {
    for (let i = asked++; i < 120; i = asked++) {
      const input = TEXTS[i % TEXTS.length];
      assert.deepEqual(await vectorOf(await ask(server.url, input)), expected.get(input));
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, client));
  const workers = kills.length;
  await kills[workers - 1]();
  await clients;
  assert.equal(kills.length, workers + 2);
  await server.close();
});

test("a cache folder that vanishes while the server runs costs nothing but the cache", () =>
  withFolder(async (folder) => {
    const cache = join(folder, "cache");
    await using runtime = await createRuntime({ threads: 0, cache });
    const models = { digits: { source: DIGITS, load: { components: ["text"] as const } } };
    const app = createApp({ runtime, models, seal: false });
    await app.ready;
    rmSync(cache, { recursive: true });
    writeFileSync(cache, "a file in its place");
    const server = await serve(app, { port: 0 });
    await vectorOf(await ask(server.url, "a two"));
    await app.reload("digits");
    await vectorOf(await ask(server.url, "a two"));
    await server.close();
  }));

test("weights that are cut off while they are loaded again leave the old model in place", () =>
  withFolder(async (folder) => {
    const model = join(folder, "model");
    cpSync(DIGITS, model, { recursive: true });
    const weights = join(model, "model.safetensors");
    await using runtime = await createRuntime({ threads: 0 });
    const app = createApp({ runtime, models: { digits: { source: model, load: { components: ["text"] } } } });
    await app.ready;
    const server = await serve(app, { port: 0 });
    const before = await vectorOf(await ask(server.url, "a two"));
    const { length } = readFileSync(weights);
    for (const left of [0, 7, 1000, Math.floor(length / 2), length - 1]) {
      truncateSync(weights, left);
      await assert.rejects(app.reload("digits"), /model\.safetensors/);
      assert.deepEqual(await vectorOf(await ask(server.url, "a two")), before);
    }
    await server.close();
  }));

test("clients that leave in crowds leave nothing behind, and the others are answered", () =>
  withServer({ models: { digits: { source: DIGITS, load: { components: ["text"] } } } }, async ({ url, get }) => {
    const stay: Promise<Response>[] = [];
    for (let round = 0; round < 5; round++) {
      const crowd = Array.from({ length: 40 }, (_, i) => {
        const controller = new AbortController();
        const asked = ask(url, TEXTS[i % TEXTS.length], { signal: controller.signal });
        setTimeout(() => controller.abort(), i % 10);
        return asked.then((response) => response.text()).catch(() => "left");
      });
      stay.push(ask(url, TEXTS[round % TEXTS.length]));
      await Promise.all(crowd);
    }
    for (const answer of stay) await vectorOf(await answer);
    const gauge = async (name: string): Promise<string | undefined> =>
      new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, "m").exec(await (await get("/metrics")).text())?.[1];
    for (let tries = 0; (await gauge("fovea_active_requests")) !== "0"; tries++) {
      assert.ok(tries < 200, "requests stay behind");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(await gauge("fovea_waiting_inputs"), "0");
  }));

test("connections that send their heads a byte at a time keep nobody else waiting", () =>
  withServer({ models: { digits: { source: DIGITS, load: { components: ["text"] } } } }, async ({ url }) => {
    const { hostname, port } = new URL(url);
    const slow = Array.from({ length: 100 }, () => connect(Number(port), hostname));
    const head = "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n";
    let sent = 0;
    for (const socket of slow) socket.on("error", () => {});
    const timer = setInterval(() => {
      for (const socket of slow) socket.write(head[sent % head.length]);
      sent++;
    }, 5);
    try {
      for (const input of TEXTS) await vectorOf(await ask(url, input, { signal: AbortSignal.timeout(5000) }));
      assert.ok(sent > 0);
    } finally {
      clearInterval(timer);
      for (const socket of slow) socket.destroy();
    }
  }));
