// The bundled model, frozen, in workerd through miniflare (real requests), in Deno, Bun and Node: all 100 digits, the same bits
// everywhere, kernels of files and an encoder of someone else included; the server's routes; sizes, what the code may not use, and fovea itself within the limits of
// such places. One check of `npm test`; `node tools/check_edge.mjs` runs it alone.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildDist } from "./build.mjs";
import { checkOwnEncoder } from "./lib/edge_own_encoder.mjs";
import { checkFrozenServer } from "./lib/edge_server.mjs";
import { checkUnfrozen } from "./lib/edge_unfrozen.mjs";
import { capture, toolCommand } from "./lib/process.mjs";
import { at, isMain, say } from "./lib/project.mjs";
import { dryRun, installWorkerd, startWorkerd } from "./lib/workerd.mjs";
import { setupOrExit } from "./setup.mjs";

const MODEL = "examples/models/digits-clip";
const FOLDER = ".build/edge";
const WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEXTS = WORDS.map((word) => `a photo of the digit ${word}`);
const PICTURES = readdirSync(at(`${MODEL}/images`)).filter((name) => name.endsWith(".png"));
/** Formats whose codecs are WebAssembly. */
const ENCODED = ["baseline.jpg", "lossy.webp"].map((name) => at(`test/fixtures/preprocess/decode/${name}`));

/** Most bytes, compressed: code without weights and codecs, and with JPEG, PNG and WebP. */
const CODE_LIMIT = 100e3;
const CODECS_LIMIT = 300e3;
/** Most milliseconds that a worker's modules may take before the first request; of several starts the quickest counts. */
const EVALUATION_MS = 50;

/** What places without code generation refuse, or do not have. */
const FORBIDDEN =
  /WebAssembly\.(compile|instantiate|validate)|new WebAssembly\.Module|new Function|\beval\(|new Worker|SharedArrayBuffer|from ?"node:|import\("node:/;

const notes = [];

/** Milliseconds that modules took to evaluate, for each start. */
const evaluations = [];

const gzipped = (paths) => paths.reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0);

async function freeze(name, options, model = at(MODEL)) {
  const out = at(`${FOLDER}/${name}`);
  rmSync(out, { recursive: true, force: true });
  const command = [process.execPath, at("dist/cli/main.js"), "freeze", model, "--target", "edge", "--out", out];
  const { code, output } = await capture([...command, "--no-cache", "--json", ...options], { cwd: at(FOLDER) });
  if (code !== 0) throw new Error(`fovea freeze ended with code ${code}:\n${output.trimEnd()}`);
  return out;
}

/** Compressed bytes of a folder's code: by itself, with the codecs of its formats, and what its application adds. */
function codeSizes(folder) {
  const { encoder, app, formats } = JSON.parse(readFileSync(at("dist/edge/files.json"), "utf8"));
  const library = readdirSync(join(folder, "lib")).filter((name) => name.endsWith(".js"));
  const shared = new Set(encoder);
  const ofFormats = new Set(["png", "jpeg", "webp"].flatMap((name) => formats[name].files));
  const isCodec = (name) => !shared.has(name) && ofFormats.has(name);
  const isApp = (name) => library.includes("app.js") && !shared.has(name) && !isCodec(name) && app.includes(name);
  const wasm = readdirSync(join(folder, "wasm"));
  const bytes = (below, names) => gzipped(names.map((name) => join(folder, below, name)));
  const code =
    bytes("", ["encoder.js", "hosts/workerd.js"]) +
    bytes(
      "lib",
      library.filter((name) => !isCodec(name) && !isApp(name)),
    ) +
    bytes(
      "wasm",
      wasm.filter((name) => !name.endsWith("_dec.wasm")),
    );
  const codecs =
    bytes("lib", library.filter(isCodec)) +
    bytes(
      "wasm",
      wasm.filter((name) => name.endsWith("_dec.wasm")),
    );
  return { code, codecs, app: bytes("lib", library.filter(isApp)) };
}

const kilobytes = (bytes) => `${(bytes / 1e3).toFixed(1)} KB`;

function checkSizes(name, folder) {
  const { code, codecs, app } = codeSizes(folder);
  const more = [
    ...(codecs === 0 ? [] : [`, with codecs ${kilobytes(code + codecs)}`]),
    ...(app === 0 ? [] : [`, the application ${kilobytes(app)} more`]),
  ];
  notes.push(`${name}: code ${kilobytes(code)}${more.join("")} (gzip)`);
  const problems = [];
  if (code > CODE_LIMIT)
    problems.push(`${name}: the code is ${code} bytes, compressed; at most ${CODE_LIMIT} are allowed.`);
  if (code + codecs > CODECS_LIMIT) {
    problems.push(`${name}: with codecs it is ${code + codecs} bytes; at most ${CODECS_LIMIT} are allowed.`);
  }
  return problems;
}

/** What a folder's code may not use. */
function checkCode(name, folder) {
  const { modules } = JSON.parse(readFileSync(at("dist/edge/files.json"), "utf8"));
  const problems = checkSizes(name, folder);
  const library = readdirSync(join(folder, "lib")).filter((file) => file.endsWith(".js"));
  for (const file of library) {
    // Glue of the codecs could make code, and is given their modules instead.
    if (modules[file].some((path) => path.includes("@jsquash/"))) continue;
    const found = FORBIDDEN.exec(readFileSync(join(folder, "lib", file), "utf8"));
    if (found !== null) problems.push(`${name}: lib/${file} has "${found[0]}".`);
  }
  const inside = library.flatMap((file) => modules[file]);
  const compiler = inside.filter((path) => /^(runtime\/(compile|ir)|kernels\/wasm\/(asm|emit|claims))\//.test(path));
  if (inside.length < 50) problems.push(`${name}: the bundle lists ${inside.length} modules, which cannot be all.`);
  if (compiler.length > 0) problems.push(`${name}: the compiler is in the bundle: ${compiler.join(", ")}.`);
  return problems;
}

/** The family with the most code, int8, which has the most kernels. */
const SIGLIP = {
  model_type: "siglip_vision_model",
  ...{ hidden_size: 64, intermediate_size: 144, num_hidden_layers: 2, num_attention_heads: 2 },
  ...{ image_size: 64, patch_size: 16 },
};

async function checkLargest() {
  const model = at(`${FOLDER}/siglip_model`);
  mkdirSync(model, { recursive: true });
  writeFileSync(join(model, "config.json"), JSON.stringify(SIGLIP));
  const siglip = await freeze("siglip", ["--load-format", "dummy", "--dtype", "int8"], model);
  const digits = await freeze("digits_int8", ["--dtype", "int8"]);
  return [...checkSizes("siglip, int8", siglip), ...checkSizes("digits-clip, int8", digits)];
}

/** The routes of the server on workerd, as the other runtimes have them. */
async function checkServer() {
  const folder = await freeze("server", ["--app", "--name", "digits"]);
  const { problems, cases, rssBytes } = await checkFrozenServer(folder);
  notes.push(
    `${cases} cases of the server's conformance suite on workerd, resident ${(rssBytes / 2 ** 20).toFixed(0)} MiB`,
  );
  return [...checkCode("server", folder), ...problems];
}

const unit = (data) => {
  const length = Math.hypot(...data);
  return data.map((v) => v / length);
};

/** Digits that are recognised, from vectors of pictures and of their words. */
function recognised(pictures, words) {
  const labels = words.map(unit);
  return PICTURES.filter((name, i) => {
    const vector = unit(pictures[i]);
    const scores = labels.map((label) => label.reduce((sum, v, at) => sum + v * vector[at], 0));
    return scores.indexOf(Math.max(...scores)) === Number(name.slice(name.indexOf("-") + 1, -4));
  }).length;
}

async function ask(url, path, body, type) {
  const response = await fetch(
    new URL(path, url),
    body === undefined ? {} : { method: "POST", body, headers: { "content-type": type } },
  );
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path} answered with status ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Vectors of all pictures, of the encoded ones and of all words, by requests. */
async function askAll(url) {
  const embed = async (body, type) => (await ask(url, "/embed", body, type)).embedding;
  const pictures = [];
  for (const name of PICTURES) pictures.push(await embed(readFileSync(at(`${MODEL}/images/${name}`)), "image/png"));
  const encoded = [];
  for (const path of ENCODED) encoded.push(await embed(readFileSync(path), "application/octet-stream"));
  const words = [];
  for (const text of TEXTS) words.push(await embed(text, "text/plain"));
  return { pictures, encoded, words };
}

/** The same by a program on a runtime, which prints them with what loading and importing took. */
const PROGRAM = `
import { readFileSync } from "node:fs";
const [, , module, request] = process.argv;
const { pictures, encoded, texts } = JSON.parse(readFileSync(request, "utf8"));
const { createEncoder } = await import(module);
const encoder = await createEncoder();
const vectors = async (paths) => {
  const found = [];
  for (const path of paths) found.push([...(await encoder.encode({ images: [readFileSync(path)] })).image_embeds.data]);
  return found;
};
const words = [];
for (const text of texts) words.push([...(await encoder.encode({ texts: [text] })).text_embeds.data]);
const refused = await encoder
  .encode({ pixel_values: { dtype: "f32", shape: [1, 3, 32, 32], data: new Float32Array(3072) } })
  .catch((error) => error.code);
const answer = { report: encoder.report, pictures: await vectors(pictures), encoded: await vectors(encoded), words, refused };
encoder.close();
console.log(JSON.stringify(answer));
`;

async function runProgram(runtime, folder) {
  const file = join(at(FOLDER), "program.mjs");
  const request = join(at(FOLDER), "request.json");
  writeFileSync(file, PROGRAM);
  writeFileSync(
    request,
    JSON.stringify({ pictures: PICTURES.map((n) => at(`${MODEL}/images/${n}`)), encoded: ENCODED, texts: TEXTS }),
  );
  const options = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  const command = [...toolCommand(runtime), ...options, file, join(folder, `hosts/${runtime}.js`), request];
  const { code, stdout, output } = await capture(command, { cwd: at(FOLDER) });
  if (code !== 0) throw new Error(`the frozen folder on ${runtime} ended with code ${code}:\n${output.trimEnd()}`);
  return JSON.parse(stdout);
}

/** The bits of a list of vectors of f32. */
const bits = ({ pictures, encoded, words }) =>
  Buffer.from(Float32Array.from([...pictures, ...encoded, ...words].flat()).buffer).toString("base64");

/** What the runtime itself finds for the same target. */
async function unfrozen() {
  const { createRuntime } = await import(at("dist/mod.js"));
  const runtime = await createRuntime({ target: "wasm-simd128" });
  try {
    const encoder = await runtime.load(at(MODEL));
    const vectors = async (paths) => {
      const found = [];
      for (const path of paths) found.push([...(await encoder.encode({ images: [path] })).image_embeds.data]);
      return found;
    };
    const words = [];
    for (const text of TEXTS) words.push([...(await encoder.encode({ texts: [text] })).text_embeds.data]);
    return {
      pictures: await vectors(PICTURES.map((n) => at(`${MODEL}/images/${n}`))),
      encoded: await vectors(ENCODED),
      words,
    };
  } finally {
    await runtime.close();
  }
}

function judge(where, found, truth) {
  const problems = [];
  const right = recognised(found.pictures, found.words);
  if (right !== PICTURES.length) problems.push(`${where} recognises ${right} of ${PICTURES.length} digits.`);
  if (truth !== undefined && bits(found) !== truth) problems.push(`${where} computes other bits than fovea on Node.`);
  const { proofs } = found.report;
  if (!(proofs.artifacts >= 10 && proofs.compared >= proofs.artifacts)) {
    problems.push(`${where} proved ${JSON.stringify(proofs)} while it loaded.`);
  }
  return problems;
}

async function onWorkerd(name, folder, truth) {
  const out = at(`${FOLDER}/${name}_out`);
  rmSync(out, { recursive: true, force: true });
  const upload = /gzip: ([\d.]+ \w+)/.exec(await dryRun(folder, out))?.[1];
  const fetched = /"binding": "ASSETS"/.test(readFileSync(join(folder, "wrangler.jsonc"), "utf8"));
  const server = await startWorkerd(out, fetched ? join(folder, "assets") : undefined);
  try {
    const started = server.use();
    const timed = async (path) => {
      const begin = performance.now();
      await ask(server.url, path);
      return performance.now() - begin;
    };
    await timed("/nothing");
    const request = await timed("/nothing");
    evaluations.push((await timed("/evaluation")) - request);
    const report = await ask(server.url, "/healthz");
    const found = { ...(await askAll(server.url)), report };
    const used = server.use();
    const problems = judge(`${name} on workerd`, found, truth);
    const statusOf = (path, init) => fetch(new URL(path, server.url), init).then((response) => response.status);
    const hidden = await statusOf("/plan.json");
    if (hidden !== 404) problems.push(`${name} on workerd gives its plan to anyone: status ${hidden}.`);
    const broken = await statusOf("/embed", { method: "POST", body: new Uint8Array(100) });
    if (broken !== 400) problems.push(`${name} on workerd answers a broken picture with status ${broken}.`);
    for (const body of ["{", "null", '{"text": "two"}', '{"pixel_values": {"shape": [1], "data": "0"}}']) {
      const init = { method: "POST", headers: { "content-type": "application/json" }, body };
      const refused = await fetch(new URL("/embed", server.url), init);
      const { error } = await refused.json();
      if (refused.status !== 400 || !error.startsWith("JSON holds a tower's own tensors, such as"))
        problems.push(`${name} on workerd answers the JSON ${body} with status ${refused.status}: ${error}`);
    }
    const resident = [started, used].map((use) => (use === undefined ? "?" : (use.rssBytes / 2 ** 20).toFixed(0)));
    notes.push(
      `${name} on workerd: upload ${upload} (gzip), modules ${evaluations.at(-1).toFixed(0)} ms, load ${report.loadMs.toFixed(0)} ms with proofs of ` +
        `${report.proofs.ms.toFixed(0)}, resident ${resident[0]} MiB at first and ${resident[1]} MiB after ${PICTURES.length} pictures`,
    );
    return problems;
  } finally {
    await server.stop();
  }
}

/** The example's kernel with claims that cost nothing: in its own memory the cover has better ones for small models. */
const CHEAP = `
import { loadPlugin } from ${JSON.stringify(at("dist/mod.js"))};
const plugin = await loadPlugin(${JSON.stringify(at("examples/kernel-c"))});
const free = (offer) => ("cost" in offer ? { ...offer, cost: { flops: 0, bytes: 0, launches: 0 } } : offer);
const kernels = plugin.kernels.map((kernel) => ({ ...kernel, claim: (...given) => kernel.claim(...given).map(free) }));
export const cheap = { ...plugin, kernels };
`;

export async function checkEdge() {
  await buildDist();
  mkdirSync(at(FOLDER), { recursive: true });
  await installWorkerd();
  const truth = await unfrozen();
  const digits = await freeze("digits", ["--formats", "png,jpeg,webp"]);
  const problems = checkCode("digits-clip", digits);
  const plain = bits(truth);
  for (const runtime of ["node", "deno", "bun"]) {
    const found = await runProgram(runtime, digits);
    problems.push(...judge(`the frozen folder on ${runtime}`, found, plain));
    if (found.refused !== "not_frozen") problems.push(`${runtime} answers what was left out with ${found.refused}.`);
  }
  problems.push(...(await onWorkerd("digits", digits, plain)));
  // A kernel of a file, rewritten for its sandbox, and weights inside of the worker.
  writeFileSync(at(`${FOLDER}/cheap.mjs`), CHEAP);
  const options = ["--formats", "png,jpeg,webp", "--weights", "bundled", "--plugin", at(`${FOLDER}/cheap.mjs`)];
  const foreign = await freeze("foreign", options);
  const plan = JSON.parse(readFileSync(join(foreign, "assets/plan.json"), "utf8"));
  if (Object.keys(plan.sandboxes).length === 0) problems.push("no kernel of a file was frozen.");
  problems.push(...(await onWorkerd("foreign", foreign)));
  const evaluation = Math.min(...evaluations);
  if (!(evaluation <= EVALUATION_MS)) {
    problems.push(`a worker's modules take ${evaluation} ms to evaluate; at most ${EVALUATION_MS} are allowed.`);
  }
  problems.push(...(await checkLargest()), ...(await checkServer()));
  problems.push(...(await checkOwnEncoder(at(`${FOLDER}/own`))));
  const picture = at(`${MODEL}/images/${PICTURES[0]}`);
  const whole = await checkUnfrozen({ folder: at(FOLDER), model: MODEL, picture, expected: truth.pictures[0] });
  notes.push(...whole.notes);
  return [...problems, ...whole.problems];
}

export function edgeCheck() {
  return { name: "a frozen model on workerd, Deno, Bun and Node", run: checkEdge, notes: () => notes.splice(0) };
}

if (isMain(import.meta.url)) {
  await setupOrExit();
  const problems = await checkEdge();
  for (const line of [...problems, ...notes]) say(line);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
