// fovea itself, compiler and all, within the limits of places that run functions, by real requests: as on Deno Deploy, as on
// Vercel's Edge runtime (web globals alone, no code from text, no workers, no files), and as functions on Node (files are read
// and not written). The runtimes hold the limits, by permissions and flags, and each answer says which it met.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startServer, toolCommand } from "./process.mjs";
import { at } from "./project.mjs";

/** Functions of 1 MB, compressed, are the smallest that edges take. */
const BUNDLE_LIMIT = 1e6;

/** Taken from Deno where a place has web globals alone, before anything else is evaluated. */
const NO_WEB_GLOBALS = ["Deno", "process", "Buffer", "global", "Worker", "setImmediate", "clearImmediate"];

const SERVE = `export const { args, serve } = Deno;`;
const SERVE_BARE = `${SERVE}\nfor (const name of ${JSON.stringify(NO_WEB_GLOBALS)}) delete globalThis[name];`;

/** Each program has what it was refused, by the error's code or name, and one encoder for all requests. */
const SHARED = `
const tried = (attempt) => {
  try {
    attempt();
    return "allowed";
  } catch (error) {
    return typeof error.code === "string" ? error.code : error.name;
  }
};
let opening;
const encoderOf = async (model, options) => {
  opening ??= createRuntime({ target: "wasm-simd128", threads: 0, ...options }).then((r) => r.load(model, { components: ["vision"] }));
  return opening;
};
`;

const ON_DENO = `
const open = { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log("http://127.0.0.1:" + port + "/") };
serve(open, async (request) => {
  const encoder = await encoderOf(args[0], { cache: false });
  const { image_embeds } = await encoder.encode({ images: [await request.bytes()] });
  const limits = [tried(() => (0, eval)("1")), "Worker" in globalThis, tried(() => Deno.readFileSync("."))];
  return Response.json({ embedding: [...image_embeds.data], limits });
});
`;

const ON_NODE = `
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
const [, , model, cache] = process.argv;
const problems = [];
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const encoder = await encoderOf(model, { cache, onProblem: (text) => problems.push(text) });
  const { image_embeds } = await encoder.encode({ images: [Buffer.concat(chunks)] });
  const limits = [tried(() => writeFileSync(cache, "")), problems.some((text) => text.includes("goes on without it"))];
  response.end(JSON.stringify({ embedding: [...image_embeds.data], limits }));
});
server.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port + "/"));
`;

const DENO = ["run", "--no-prompt", "--no-check", "--allow-net=127.0.0.1", "--location", "http://edge.invalid/"];

/** Each place: the program's parts, how it starts, and what must have been refused. */
const places = () => [
  {
    ...{ name: "Deno Deploy", module: "dist/mod.js", serve: SERVE, program: ON_DENO },
    command: [...toolCommand("deno"), ...DENO],
    limits: ["allowed", true, "NotCapable"],
  },
  {
    ...{ name: "Vercel's Edge runtime", module: "dist/browser/fovea.js", serve: SERVE_BARE, program: ON_DENO },
    command: [...toolCommand("deno"), ...DENO, "--v8-flags=--disallow-code-generation-from-strings"],
    limits: ["EvalError", false, "ReferenceError"],
  },
  {
    ...{ name: "a function on Node", module: "dist/mod.js", program: ON_NODE, readsFiles: true },
    command: [process.execPath, "--experimental-permission", `--allow-fs-read=${at(".")}/`, "--no-warnings"],
    limits: ["ERR_ACCESS_DENIED", true],
  },
];

/** A folder's files by http, as an edge reads a model. */
function serveFolder(folder) {
  const server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(folder, new URL(request.url, "http://x").pathname)));
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () =>
      resolve({ url: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() }),
    );
  });
}

/** What a place answers to a picture. @param url the model's address */
async function askPlace(place, { folder, model, picture, url }) {
  const files = join(folder, place.name.replaceAll(/\W+/g, "_").toLowerCase());
  mkdirSync(files, { recursive: true });
  const imported = place.serve === undefined ? "" : `import { args, serve } from "./serve.mjs";\n`;
  if (place.serve !== undefined) writeFileSync(join(files, "serve.mjs"), place.serve);
  const runtime = `import { createRuntime } from ${JSON.stringify(at(place.module))};\n`;
  writeFileSync(join(files, "main.mjs"), imported + runtime + SHARED + place.program);
  const source = place.readsFiles ? at(model) : url;
  const server = await startServer([...place.command, join(files, "main.mjs"), source, join(files, "cache")]);
  try {
    const response = await fetch(server.url, { method: "POST", body: readFileSync(picture) });
    const text = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}: ${text}`);
    return JSON.parse(text);
  } finally {
    server.stop();
  }
}

/**
 * Asks each place for a picture's vector. @param model a folder of the repository, @param expected the vector
 * Returns `{ problems, notes }`.
 */
export async function checkUnfrozen({ folder, model, picture, expected }) {
  const problems = [];
  const { url, stop } = await serveFolder(at(model));
  try {
    for (const place of places()) {
      const where = `unfrozen, as on ${place.name},`;
      try {
        const { embedding, limits } = await askPlace(place, { folder, model, picture, url });
        if (JSON.stringify(embedding) !== JSON.stringify(expected)) problems.push(`${where} it computes other bits.`);
        if (JSON.stringify(limits) !== JSON.stringify(place.limits))
          problems.push(`${where} the limits are ${JSON.stringify(limits)} and not ${JSON.stringify(place.limits)}.`);
      } catch (error) {
        problems.push(`${where} ${error.message}`);
      }
    }
  } finally {
    stop();
  }
  const names = readdirSync(at("dist/browser")).filter((name) => name.endsWith(".js"));
  const bytes = names.reduce((sum, name) => sum + gzipSync(readFileSync(at(`dist/browser/${name}`))).length, 0);
  if (bytes > BUNDLE_LIMIT)
    problems.push(`the bundle is ${bytes} bytes, compressed; at most ${BUNDLE_LIMIT} are allowed.`);
  return { problems, notes: [`unfrozen, all of the bundle: ${(bytes / 1e3).toFixed(0)} KB (gzip)`] };
}
