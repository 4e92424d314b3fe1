/** Tokens, limits by address, and pages of other origins. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogLine } from "../../runtime/server/mod.ts";
import { type Asked, DIGITS, type Served, withServer } from "./served.ts";

const withTexts = (options: Asked, work: (served: Served) => Promise<void>): Promise<void> =>
  withServer({ models: { digits: { source: DIGITS, load: { components: ["text"] } } }, ...options }, work);

interface Answer {
  readonly error: { readonly code: string; readonly type: string; readonly message: string };
}

const bodyOf = async (response: Response): Promise<Answer> => (await response.json()) as Answer;

test("a token opens the routes, and health checks need none", () =>
  withTexts({ tokens: ["sesame-1", "sesame-2"] }, async ({ get, post }) => {
    const ask = (authorization?: string): Promise<Response> =>
      post("/v1/embeddings", { input: "two" }, { headers: authorization === undefined ? {} : { authorization } });
    for (const token of ["sesame-1", "sesame-2"]) {
      const response = await ask(`Bearer ${token}`);
      assert.equal(response.status, 200);
      await response.text();
    }
    const refused: readonly (readonly [string | undefined, number, string, RegExp])[] = [
      [undefined, 401, "token_missing", /A token is needed: send it in the header Authorization/],
      ["Bearer sesame-3", 401, "token_wrong", /The token is wrong/],
      ["Bearer sesame-", 401, "token_wrong", /wrong/],
      ["Bearer sesame-11", 401, "token_wrong", /wrong/],
      ["Basic c2VzYW1l", 400, "token_malformed", /Authorization is not `Bearer <token>`/],
    ];
    for (const [header, status, code, says] of refused) {
      const response = await ask(header);
      assert.equal(response.status, status);
      const { error } = await bodyOf(response);
      assert.deepEqual([error.code, error.type], [code, "authentication_error"]);
      assert.match(error.message, says);
      assert.match(response.headers.get("www-authenticate") ?? "", /^Bearer /);
    }
    for (const path of ["/v1/models", "/metrics"]) {
      assert.equal((await get(path)).status, 401, path);
      assert.equal((await get(path, { headers: { authorization: "Bearer sesame-2" } })).status, 200, path);
    }
    for (const path of ["/healthz", "/readyz", "/openapi.json"]) assert.equal((await get(path)).status, 200, path);
    const api = (await (await get("/openapi.json")).json()) as { components: { securitySchemes: object } };
    assert.deepEqual(api.components.securitySchemes, { bearer: { type: "http", scheme: "bearer" } });
  }));

test("an address may ask so often in a window, and is told when to ask again", () =>
  withTexts({ rateLimit: { requests: 3, windowMs: 60_000 } }, async ({ get, post }) => {
    for (let i = 0; i < 3; i++) assert.equal((await post("/v1/embeddings", { input: "two" })).status, 200);
    const refused = await post("/v1/embeddings", { input: "two" });
    assert.equal(refused.status, 429);
    const { error } = await bodyOf(refused);
    assert.deepEqual([error.code, error.type], ["rate_limit", "rate_limit_error"]);
    assert.match(error.message, /More than 3 requests within 60 s came from this address/);
    const wait = Number(refused.headers.get("retry-after"));
    assert.ok(wait >= 1 && wait <= 60, String(wait));
    assert.equal((await get("/healthz")).status, 200);
  }));

test("pages of listed origins may ask, refusals included, and others may not", () =>
  withTexts({ cors: ["https://app.test"], tokens: ["t"] }, async ({ get, post }) => {
    const preflight = await get("/v1/embeddings", {
      method: "OPTIONS",
      headers: {
        origin: "https://app.test",
        "access-control-request-method": "POST",
        // As OpenAI's client has them.
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
      },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "https://app.test");
    const allowed = preflight.headers.get("access-control-allow-headers") ?? "";
    for (const header of ["authorization", "content-type", "x-stainless-lang"]) assert.ok(allowed.includes(header));
    const refused = await post("/v1/embeddings", { input: "two" }, { headers: { origin: "https://app.test" } });
    assert.equal(refused.status, 401);
    assert.equal(refused.headers.get("access-control-allow-origin"), "https://app.test");
    const other = await get("/v1/models", { headers: { origin: "https://evil.test", authorization: "Bearer t" } });
    assert.equal(other.headers.get("access-control-allow-origin"), null);
    for (const response of [refused, other]) await response.text();
  }));

test("without a list of origins no page may ask", () =>
  withTexts({}, async ({ get }) => {
    const response = await get("/v1/models", { headers: { origin: "https://app.test" } });
    await response.text();
    assert.equal(response.headers.get("access-control-allow-origin"), null);
  }));

test("the log has the codes of refusals by token and by limit", async () => {
  const log: LogLine[] = [];
  const options: Asked = { tokens: ["t"], rateLimit: { requests: 1, windowMs: 60_000 }, log: (line) => log.push(line) };
  await withTexts(options, async ({ get }) => {
    for (const authorization of ["", "Basic x", "Bearer u", "Bearer t", "Bearer t"]) {
      await (await get("/v1/models", authorization === "" ? {} : { headers: { authorization } })).text();
    }
  });
  assert.deepEqual(
    log.map(({ status, code }) => [status, code]),
    [
      [401, "token_missing"],
      [400, "token_malformed"],
      [401, "token_wrong"],
      [200, undefined],
      [429, "rate_limit"],
    ],
  );
});

test("clients of Bun.serve, Deno.serve and hono's adapter are told apart by their addresses as well", async () => {
  const bun = { address: { address: "::", family: "IPv6", port: 80 } };
  const connections: readonly ((address: string) => object)[] = [
    (address) => ({ ...bun, requestIP: (request: Request) => (request instanceof Request ? { address } : null) }),
    (hostname) => ({ remoteAddr: { hostname, port: 5, transport: "tcp" } }),
    (remoteAddress) => ({ incoming: { socket: { remoteAddress } }, outgoing: {} }),
    (address) => ({ address }),
  ];
  await withTexts({ rateLimit: { requests: connections.length, windowMs: 60_000 } }, async ({ app }) => {
    const ask = async (env: object): Promise<number> => (await app.request("/v1/models", {}, env)).status;
    for (const from of connections) assert.equal(await ask(from("192.0.2.1")), 200);
    for (const from of connections) {
      assert.equal(await ask(from("192.0.2.1")), 429);
      assert.equal(await ask(from("192.0.2.2")), 200);
    }
  });
});
