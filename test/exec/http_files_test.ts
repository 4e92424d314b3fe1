import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { httpFiles, openCheckpoint } from "../../runtime/exec/weights/checkpoint.ts";
import { checkAll, INDEX, json, ONE, PART_1, PART_2, TWO } from "./small_checkpoint.ts";

interface Served {
  readonly ranges?: boolean;
  readonly denied?: boolean;
}

/** Serves files below /m/, and tells how many bytes of bodies were sent. */
async function withServer(
  files: Record<string, Uint8Array>,
  { ranges = true, denied = false }: Served,
  run: (base: URL, sent: () => number) => Promise<void>,
): Promise<void> {
  let sent = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://localhost");
    const bytes = url.searchParams.get("key") === "1" ? files[url.pathname.slice("/m/".length)] : undefined;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const send = (status: number, body: Uint8Array, headers: Record<string, string> = {}): void => {
      sent += body.length;
      response.writeHead(status, { "content-length": String(body.length), ...headers }).end(body);
    };
    if (denied) return send(403, new Uint8Array(0));
    if (bytes === undefined) return send(404, new TextEncoder().encode("no"));
    if (range === null || !ranges) return send(200, bytes);
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
    if (from >= bytes.length) return send(416, new Uint8Array(0));
    send(206, bytes.subarray(from, to + 1), { "content-range": `bytes ${from}-${to}/${bytes.length}` });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/m/?key=1`), () => sent);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const SERVED = {
  "config.json": json({}),
  "empty.json": new Uint8Array(0),
  "model.safetensors.index.json": INDEX,
  [ONE]: PART_1,
  [TWO]: PART_2,
};

test("http: shards of an index are read in ranges", async () => {
  await withServer(SERVED, {}, async (base, sent) => {
    const files = httpFiles(base, (url, init) => fetch(url, init));
    assert.deepEqual(await files.list(), ["config.json", ONE, TWO, "model.safetensors.index.json"]);
    await checkAll(files);
    const before = sent();
    const source = await files.open(ONE);
    assert.equal(source.size, PART_1.length);
    assert.equal(await source.read(new Uint8Array(100), PART_1.length - 4), 4);
    assert.equal(await source.read(new Uint8Array(100), PART_1.length), 0);
    assert.equal(sent() - before, PART_1.length, "a small file is fetched once, with the first read");
    assert.equal((await files.open("empty.json")).size, 0);
    await assert.rejects(files.open("absent.json"), {
      code: "file.not_found",
      message: /absent\.json\?key=1 does not exist: .* status 404/,
    });
  });
});

test("http: whole files where the server ignores ranges", async () => {
  await withServer(SERVED, { ranges: false }, async (base) => {
    await checkAll(httpFiles(base, (url, init) => fetch(url, init)));
  });
});

test("http: a start page in the place of an absent file is no file", async () => {
  const files = httpFiles(new URL("http://app.example/clip/"), async (url) =>
    url.endsWith("/clip/config.json")
      ? new Response("{}", { headers: { "content-type": "application/json" } })
      : new Response("<!doctype html>", { headers: { "content-type": "text/html; charset=utf-8" } }),
  );
  assert.deepEqual(await files.list(), ["config.json"]);
  await assert.rejects(files.open("vocab.json"), { code: "file.not_found" });
});

test("http: refusals and dead servers are sentences", async () => {
  await withServer({}, { denied: true }, async (base) => {
    const files = httpFiles(base, (url, init) => fetch(url, init));
    await assert.rejects(files.list(), { code: "fetch_failed", message: /denies access to its files \(status 403\)/ });
  });
  let dead = new URL("http://127.0.0.1/");
  await withServer({}, {}, async (base) => {
    dead = base;
    const files = httpFiles(base, (url, init) => fetch(url, init));
    assert.deepEqual(await files.list(), []);
    await assert.rejects(openCheckpoint(files), { code: "no_checkpoint" });
  });
  await assert.rejects(httpFiles(dead, (url, init) => fetch(url, init)).list(), {
    code: "fetch_failed",
    message: /\/m\/config\.json\?key=1 cannot be reached/,
  });
  const asks = httpFiles(dead, () => Promise.reject(new Error("Is the computer able to access the url?")));
  await assert.rejects(asks.list(), { message: /access the url\. Check the address and the connection\.$/ });
  const down = httpFiles(dead, async () => new Response(null, { status: 503 }));
  await assert.rejects(down.open("config.json"), { code: "fetch_failed", message: /answered with status 503/ });
});
