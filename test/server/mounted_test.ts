/** The application within another one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Hono } from "hono";
import { createApp, type LogLine } from "../../runtime/server/mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { DIGITS } from "./served.ts";

test("a mounted application names its routes and refuses other methods as one that is by itself", async () => {
  await using runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS, { components: ["text"] });
  for (const place of ["/encoders", "/:tenant/encoders", ""]) {
    const log: LogLine[] = [];
    const app = createApp({ runtime, models: { digits: { encoder } }, log: (line) => log.push(line) });
    await app.ready;
    const own = place === "" ? app : new Hono().route(place, app);
    const at = place.replace(":tenant", "acme");
    const headers = { "content-type": "application/json" };
    const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
      Promise.resolve(own.request(`${at}${path}`, { headers, ...init }));
    assert.equal((await ask("/v1/embeddings", { method: "POST", body: '{"input":"two"}' })).status, 200);
    assert.equal((await ask("/v1/embeddings", { method: "POST", body: "{" })).status, 400);
    const other = await ask("/v1/embeddings", { method: "PUT", body: "{}" });
    assert.deepEqual([other.status, other.headers.get("allow")], [405, "POST"]);
    assert.match(await other.text(), /"\/v1\/embeddings takes POST, not PUT\."/);
    assert.equal((await ask("/v1/embeddings", { method: "HEAD" })).status, 405);
    assert.equal((await ask("/healthz", { method: "HEAD" })).status, 200);
    assert.equal((await ask("/v1/nothing")).status, 404);
    assert.deepEqual(
      log.map(({ route, status }) => `${route} ${status}`),
      [
        ...["/v1/embeddings 200", "/v1/embeddings 400", "/v1/embeddings 405", "/v1/embeddings 405"],
        ...["/healthz 200", "unknown 404"],
      ],
      place,
    );
    assert.match(
      await (await ask("/metrics")).text(),
      /fovea_requests_total\{route="\/v1\/embeddings",status="200"\} 1/,
    );
  }
});
