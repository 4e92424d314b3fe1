/** Connections that end early, stay idle or carry much: what the servers of the runtimes make of them is the same. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { type LogLine, serve } from "../../runtime/server/mod.ts";
import { DIGITS, type Served, withServer } from "./served.ts";

const MODELS = { digits: { source: DIGITS, load: { components: ["text"] as const } } };

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return;
    await sleep(5);
  }
  assert.fail(`it took too long until ${what}`);
}

/** A connection that has sent `text`. */
async function sent({ server }: Pick<Served, "server">, text: string): Promise<Socket> {
  const socket = connect(server.port, server.hostname);
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  if (text !== "") await new Promise<void>((resolve) => socket.write(text, () => resolve()));
  return socket;
}

const head = (...more: readonly string[]): string =>
  ["POST /v1/embeddings HTTP/1.1", "host: x", "content-type: application/json", ...more, "", ""].join("\r\n");

test("a client that leaves within its body is no error of the server", async () => {
  const log: LogLine[] = [];
  await withServer({ models: MODELS, log: (line) => log.push(line) }, async (served) => {
    for (const text of [
      `${head("content-length: 500")}{"input":`,
      `${head("transfer-encoding: chunked")}9\r\n{"input":\r\n`,
    ]) {
      const seen = log.length;
      const socket = await sent(served, text);
      await sleep(50);
      socket.destroy();
      await until(() => log.length > seen, "the log has it");
      assert.deepEqual([log[seen].status, log[seen].code, log[seen].level], [499, "client_left", "warn"]);
    }
    const metrics = await (await served.get("/metrics")).text();
    assert.match(metrics, /fovea_requests_total\{route="\/v1\/embeddings",status="499"\} 2/);
    assert.doesNotMatch(metrics, /status="500"/);
  });
});

test("what a connection that ended within a body is told, where anyone hears it", () =>
  withServer({ models: MODELS }, async ({ app }) => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error("connection reset")) });
    const headers = { "content-type": "application/json", "content-length": "500" };
    const init = { method: "POST", headers, body, duplex: "half" } as RequestInit;
    const answer = await app.request("/v1/embeddings", init);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    assert.deepEqual([answer.status, error.code], [499, "client_left"]);
    assert.equal(error.message, "The client left before its body was there.");
  }));

test("connections without a request do not hold up the end of the server", () =>
  withServer({ models: MODELS }, async (served) => {
    const idle = await sent(served, "");
    const partial = await sent(served, "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\n");
    // One of many requests, kept open after its answer.
    const kept = await sent(served, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    await new Promise<void>((resolve) => kept.once("data", () => resolve()));
    let closed = false;
    void served.server.close().then(() => {
      closed = true;
    });
    try {
      await until(() => closed, "the server is closed");
    } finally {
      for (const socket of [idle, partial, kept]) socket.destroy();
    }
  }));

test("a body may be as large as the server's own limit allows", () =>
  withServer({ models: MODELS, maxBody: 2 ** 30 }, async (served) => {
    const socket = await sent(served, `${head("content-length: 300000000", "x-request-timeout: 300")}{"input":`);
    const answer = await new Promise<string>((resolve) => socket.once("data", (part) => resolve(String(part))));
    socket.destroy();
    // Taken, and given up because the rest does not come.
    assert.match(answer, /^HTTP\/1\.1 408 /);
  }));

/** The answer is more than the buffers of the system hold. */
function largeRequest(): string {
  const body = JSON.stringify({ texts: Array.from({ length: 2000 }, () => "a two three four five six seven eight") });
  return head("connection: close", `content-length: ${body.length}`).replace("embeddings", "encode") + body;
}

test("a client that never reads its answer holds up the end of the server for so long and no longer", async () => {
  const log: LogLine[] = [];
  await withServer({ models: MODELS, log: (line) => log.push(line) }, async ({ app }) => {
    const server = await serve(app, { port: 0, graceMs: 100 });
    const socket = await sent({ server }, largeRequest());
    socket.pause();
    await until(() => log.length > 0, "it is answered");
    let closed = false;
    void server.close().then(() => {
      closed = true;
    });
    await sleep(30);
    assert.equal(closed, false);
    await until(() => closed, "the server is closed");
    socket.destroy();
  });
});

test("an answer that its client reads slowly is sent whole when the server is closed meanwhile", async () => {
  const log: LogLine[] = [];
  await withServer({ models: MODELS, log: (line) => log.push(line) }, async (served) => {
    const socket = await sent(served, largeRequest());
    await until(() => log.length > 0, "it is answered");
    assert.equal(log[0].status, 200);
    const closed = served.server.close();
    await sleep(100);
    let [start, length] = ["", 0];
    socket.on("data", (part: Buffer) => {
      if (start.length < 500) start += part.toString("latin1", 0, 500);
      length += part.length;
    });
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    await closed;
    const stated = Number(/content-length: (\d+)/i.exec(start)?.[1]);
    assert.ok(stated > 15e6, `the answer has ${stated} bytes`);
    assert.equal(length, start.indexOf("\r\n\r\n") + 4 + stated);
  });
});
