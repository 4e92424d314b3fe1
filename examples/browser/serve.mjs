// Serves the page, fovea's browser bundle and the bundled model, on Bun, Deno and Node:
//   node serve.mjs [--port 8080] [--without-isolation]
// Two headers make the page cross-origin isolated, without which browsers give it no shared memory and fovea one thread.
import { open } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Hono } from "hono";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { port: { type: "string", default: "8080" }, "without-isolation": { type: "boolean", default: false } },
});

/** Folders by the beginning of their addresses. */
const FOLDERS = {
  "/fovea/": new URL("../../dist/browser/", import.meta.url),
  "/models/": new URL("../models/", import.meta.url),
  "/": new URL("./", import.meta.url),
};

const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  wasm: "application/wasm",
};

/** The file of an address; nothing for one that leaves its folder. */
function fileOf(pathname) {
  const [prefix, folder] = Object.entries(FOLDERS).find(([start]) => pathname.startsWith(start));
  const url = new URL(`./${pathname.slice(prefix.length) || "index.html"}`, folder);
  return url.href.startsWith(folder.href) && !url.pathname.endsWith("/") ? url : undefined;
}

/** Bytes of a file, all or from `begin` to `end` inclusive. */
async function readPart(file, begin, end) {
  const bytes = new Uint8Array(end - begin + 1);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, begin + done);
    if (bytesRead === 0) throw new Error("the file became shorter while it was read");
    done += bytesRead;
  }
  return bytes;
}

/** Weights are read in ranges, so that a page fetches only what its towers need. */
async function answer(c) {
  const url = fileOf(new URL(c.req.url).pathname);
  const file = url === undefined ? undefined : await open(fileURLToPath(url)).catch(() => undefined);
  const found = await file?.stat();
  try {
    if (file === undefined || !found.isFile()) return c.text("There is no such file.", 404);
    const headers = {
      "content-type": TYPES[url.pathname.split(".").at(-1)] ?? "application/octet-stream",
      "accept-ranges": "bytes",
      "cache-control": "no-cache",
    };
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(c.req.header("range") ?? "") ?? [];
    if (from === undefined) return c.body(await readPart(file, 0, found.size - 1), 200, headers);
    const begin = Number(from);
    const end = Math.min(to === "" ? Number.POSITIVE_INFINITY : Number(to), found.size - 1);
    const total = { "content-range": `bytes ${begin > end ? "*" : `${begin}-${end}`}/${found.size}` };
    if (begin > end) return c.body(null, 416, { ...headers, ...total });
    return c.body(await readPart(file, begin, end), 206, { ...headers, ...total });
  } finally {
    await file?.close();
  }
}

const app = new Hono();

app.use(async (c, next) => {
  await next();
  if (values["without-isolation"]) return;
  c.header("Cross-Origin-Opener-Policy", "same-origin");
  c.header("Cross-Origin-Embedder-Policy", "require-corp");
});
app.get("*", answer);

/** Listens with the runtime's own server; resolves to the port. */
async function listen(port) {
  const options = { hostname: "127.0.0.1", port };
  if ("Bun" in globalThis) return Bun.serve({ ...options, fetch: app.fetch }).port;
  if ("Deno" in globalThis) return Deno.serve({ ...options, onListen: () => {} }, (r) => app.fetch(r)).addr.port;
  const { serve } = await import("@hono/node-server");
  return new Promise((resolve, reject) => {
    serve({ ...options, fetch: app.fetch }, (address) => resolve(address.port)).on("error", reject);
  });
}

const port = await listen(Number(values.port)).catch((error) => {
  const isTaken = error.code === "EADDRINUSE" || error.name === "AddrInUse";
  const why = isTaken ? "another program listens there" : error.message;
  console.error(
    `Port ${values.port} cannot be opened: ${why}. Choose another one: npm run example:browser -- --port 8081.`,
  );
  process.exit(1);
});
console.log(`http://127.0.0.1:${port}/`);
