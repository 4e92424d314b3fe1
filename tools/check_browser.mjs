// The page of examples/browser in Debian's Chromium without a window, on WebGPU and on WebAssembly with and without threads: it
// loads the bundled model through the published bundle and must find what Node finds. One check of `npm test`;
// `node tools/check_browser.mjs` runs it alone. Screenshots go to .build/browser.
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { buildDist } from "./build.mjs";
import { startServer, toolCommand } from "./lib/process.mjs";
import { at, isMain, say } from "./lib/project.mjs";
import { barsDrawn, decodePicture, distinctColours } from "./lib/screenshot.mjs";
import { setupOrExit } from "./setup.mjs";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** SwiftShader, which comes with Chromium, is the adapter where there is no card. */
const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

const MODEL = "examples/models/digits-clip";
const PICTURES = ["006-1", "000-2", "008-8", "017-0", "009-5"].map((name) => `${MODEL}/images/${name}.png`);
/** Formats whose codecs are WebAssembly: their pixels are those of every other runtime. */
const ENCODED = ["baseline.jpg", "lossy.webp"].map((name) => `test/fixtures/preprocess/decode/${name}`);
const WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEMPLATE = "a photo of the digit {}";
/** Of the device with other orders of summation, in cosines; and of probabilities that the page shows, in percent. */
const COSINE = 0.99999;
const PERCENT = 0.1;
/** Most bytes, compressed, of code that a page loads to classify with CLIP on WebAssembly. */
const CODE_LIMIT = 280e3;
const LOAD_MS = 90_000;
/** An address that answers with the bundle, as a network for content would. */
const ELSEWHERE = "https://cdn.example/fovea/";

const notes = [];

/** `{ url, stop }` of the example's server on a runtime. */
function serve(runtime, ...args) {
  const permissions = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  const program = at("examples/browser/serve.mjs");
  return startServer([...toolCommand(runtime), ...permissions, program, "--port", "0", ...args]);
}

/** What Node finds: rows of image vectors, and for each picture its labels with probabilities. */
async function expected() {
  const { classifyImages, createRuntime } = await import(pathToFileURL(at("dist/mod.js")));
  const runtime = await createRuntime({ target: "wasm-simd128" });
  try {
    const encoder = await runtime.load(at(MODEL));
    const images = [...PICTURES, ...ENCODED].map((path) => at(path));
    const { image_embeds } = await encoder.encode({ images }, { outputs: ["image_embeds"] });
    const found = await classifyImages(encoder, images.slice(0, PICTURES.length), WORDS, { template: TEMPLATE });
    return { rows: rowsOf([...image_embeds.data], image_embeds.shape), found };
  } finally {
    await runtime.close();
  }
}

const rowsOf = (data, [rows, width]) => Array.from({ length: rows }, (_, i) => data.slice(i * width, (i + 1) * width));

function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** In the page: image vectors of pictures (base64 of files) on the runtime that it shows, or on a new one. */
async function embedInPage({ files, bundle, options, model }) {
  const images = files.map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
  const embed = async (encoder) => {
    const { image_embeds } = await encoder.encode({ images }, { outputs: ["image_embeds"] });
    return { data: [...image_embeds.data], shape: image_embeds.shape };
  };
  if (options === undefined) return embed(globalThis.fovea.encoder);
  const { createRuntime } = await import(bundle);
  const runtime = await createRuntime(options);
  try {
    return { ...(await embed(await runtime.load(model))), threads: runtime.threads };
  } finally {
    await runtime.close();
  }
}

const base64 = (path) => readFileSync(at(path)).toString("base64");

/** A page that keeps what happened in it: what it said while it loaded, its errors, the code that it fetched. */
async function openPage(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, colorScheme: "light" });
  const page = await context.newPage();
  const errors = [];
  const code = new Set();
  page.on("pageerror", (error) => errors.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    // Files that models need not have are asked for, and the browser reports each that is absent.
    if (message.type() === "error" && !/status of 404/.test(message.text())) errors.push(message.text());
  });
  context.on("request", (request) => {
    if (request.url().includes("/fovea/")) code.add(request.url().split("/").at(-1));
  });
  await page.addInitScript(() => {
    globalThis.said = [];
    document.addEventListener("DOMContentLoaded", () => {
      const bar = document.getElementById("progress");
      new MutationObserver(() =>
        globalThis.said.push([document.getElementById("status").textContent, bar.value]),
      ).observe(document.getElementById("status"), { childList: true, characterData: true, subtree: true });
    });
  });
  await page.goto(url);
  await page.waitForFunction(() => ["ready", "failed"].includes(document.body.dataset.state), undefined, {
    timeout: LOAD_MS,
  });
  return { page, context, errors, code };
}

const ready = (page) =>
  page.waitForFunction(() => document.body.dataset.state === "ready", undefined, { timeout: LOAD_MS });

/** The page's list, once it shows another one than before. */
async function rankingAfter(page, act) {
  await page.evaluate(() => document.getElementById("ranking").replaceChildren());
  await act();
  await page.waitForFunction(() => document.querySelectorAll("#ranking li").length > 0);
  return page.$$eval("#ranking li", (lines) => lines.map((l) => [...l.children].map((c) => c.textContent)));
}

async function status(page) {
  return (await page.textContent("#status")).trim();
}

/** Classifies the samples that the page offers; problems where it finds something else than Node. */
async function checkSamples({ page }, { found }, count = PICTURES.length) {
  const problems = [];
  for (const [i, path] of PICTURES.slice(0, count).entries()) {
    const name = path.split("/").at(-1);
    const ranking = await rankingAfter(page, () => page.click(`#samples button:has(img[src$="${name}"])`));
    const { label, probabilities } = found[i];
    if (ranking[0][0] !== label) problems.push(`${name} is shown as ${ranking[0][0]}, on Node it is ${label}.`);
    for (const [word, text] of ranking) {
      const own = 100 * probabilities[WORDS.indexOf(word)];
      if (Math.abs(Number.parseFloat(text) - own) <= PERCENT) continue;
      problems.push(`${name} shows ${word} with ${text}, on Node it is ${own.toFixed(3)} %.`);
    }
  }
  return problems;
}

/** What a person would see: pictures, and bars as long as their shares. */
async function checkScreenshot({ page }, name) {
  const folder = at(".build/browser");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.png`);
  const picture = await decodePicture(await page.screenshot({ path }));
  const problems = [];
  const setOpen = (open) =>
    page.$eval("details", (details, value) => Object.assign(details, { open: value }).open, open);
  await setOpen(true);
  const size = page.viewportSize();
  for (const width of [1100, 390]) {
    await page.setViewportSize({ ...size, width });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) problems.push(`at ${width} pixels the page is ${over} pixels too wide.`);
  }
  await page.setViewportSize(size);
  await setOpen(false);
  const colours = distinctColours(picture);
  if (colours < 50) problems.push(`${path} has ${colours} colours; the page is (nearly) blank.`);
  const boxes = await page.$$eval("#ranking li", (lines) =>
    lines.map((line) => {
      const { x, y, width, height } = line.getBoundingClientRect();
      return { x, y, width, height, share: Number.parseFloat(line.lastChild.textContent) / 100 };
    }),
  );
  if (boxes.length !== WORDS.length) problems.push(`${path} shows ${boxes.length} labels, expected ${WORDS.length}.`);
  return [...problems, ...barsDrawn(picture, boxes).map((problem) => `${path}: ${problem}`)];
}

async function saidWhile({ page }, patterns) {
  const said = await page.evaluate(() => globalThis.said);
  const missing = patterns.filter((pattern) => !said.some(([text]) => pattern.test(text)));
  const values = said.map(([, value]) => value);
  const problems = missing.map((pattern) => `while it loaded the page never said ${pattern}: ${said.at(-1)}`);
  return { problems, moves: values.filter((v, i) => i > 0 && v > values[i - 1]).length };
}

async function onWebGpu(browser, url, truth) {
  const opened = await openPage(browser, `${url}?device=webgpu`);
  const { page, errors, context } = opened;
  const adapter = await page.evaluate(async () => {
    const { info } = (await navigator.gpu?.requestAdapter()) ?? {};
    return info === undefined
      ? undefined
      : [info.vendor, info.architecture, info.description].filter(Boolean).join(" ");
  });
  notes.push(`Chromium ${browser.version()}, adapter ${adapter ?? "none"}: ${await status(page)}`);
  if (adapter === undefined) return [`Chromium has no WebGPU adapter: ${await page.textContent("#devices")}`];
  const problems = /^Ready on webgpu /.test(await status(page)) ? [] : [`WebGPU: ${await status(page)}`];
  if (problems.length > 0) return problems;
  const { data, shape } = await page.evaluate(embedInPage, { files: PICTURES.slice(0, 1).map(base64) });
  const [row] = rowsOf(data, shape);
  const near = cosine(row, truth.rows[0]);
  if (!(near >= COSINE)) problems.push(`WebGPU's vector has a cosine of ${near} to Node's, below ${COSINE}.`);
  // A call takes a second on a processor.
  problems.push(...(await checkSamples(opened, truth, 3)), ...(await checkScreenshot(opened, "webgpu")));
  problems.push(...(await saidWhile(opened, [/^Opening WebGPU/, /^Compiling /])).problems, ...errors);
  await context.close();
  return problems;
}

/** The model's own pictures and those of WASM codecs, bit by bit. */
async function checkBits(page, truth, where, request) {
  const { data, shape, threads } = await page.evaluate(embedInPage, {
    files: [...PICTURES, ...ENCODED].map(base64),
    model: "models/digits-clip/",
    ...request,
  });
  const rows = rowsOf(data, shape);
  const wrong = truth.rows.findIndex((row, i) => row.some((v, j) => v !== rows[i]?.[j]));
  const problems = wrong < 0 ? [] : [`${where}: vector ${wrong} differs from Node's bits.`];
  if (threads !== request.options.threads)
    problems.push(`${where}: ${threads} threads instead of ${request.options.threads}.`);
  return problems;
}

async function onThreads(browser, url, truth) {
  const opened = await openPage(browser, `${url}?device=threads`);
  const { page, errors, code, context } = opened;
  const problems = [];
  if (!(await page.evaluate(() => crossOriginIsolated))) problems.push("the page is not cross-origin isolated.");
  notes.push(`threads: ${await status(page)}`);
  if (!/^Ready on wasm /.test(await status(page))) return [...problems, `threads: ${await status(page)}`, ...errors];
  const running = await page.evaluate(() => globalThis.fovea.runtime.threads);
  if (running !== cpus().length) problems.push(`${running} workers run, expected ${cpus().length}.`);
  notes.push(...codeOf(code, problems));
  const { problems: silent, moves } = await saidWhile(opened, [
    /^Compiling vision \d+ of \d+/,
    /^Loading weights of text/,
  ]);
  if (moves < 10) problems.push(`the progress bar moved ${moves} times, expected at least 10.`);
  problems.push(...silent, ...(await checkSamples(opened, truth)));
  // No digit at all, so that two labels have a share.
  await rankingAfter(page, () => page.setInputFiles("#file", at("test/fixtures/preprocess/decode/grey.jpg")));
  problems.push(...(await checkScreenshot(opened, "threads")));

  const box = await (await page.$("#drawing")).boundingBox();
  await page.click("#clear");
  const drawn = await rankingAfter(page, async () => {
    await page.mouse.move(box.x + box.width / 2, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 - 12, box.y + box.height - 40, { steps: 8 });
    await page.mouse.up();
  });
  if (drawn[0][0] !== "one") problems.push(`a stroke from top to bottom is taken for ${drawn[0][0]}, expected one.`);

  const options = { target: "wasm-simd128", threads: 2, compile: { base: { lazy: true } } };
  problems.push(...(await checkBits(page, truth, "two threads", { bundle: "./fovea/fovea.js", options })));
  await context.route(`${ELSEWHERE}**`, (route) =>
    route.fulfill({
      path: at(`dist/browser/${route.request().url().slice(ELSEWHERE.length)}`),
      headers: { "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin" },
    }),
  );
  problems.push(...(await checkBits(page, truth, "another origin", { bundle: `${ELSEWHERE}fovea.js`, options })));
  await context.close();
  return [...problems, ...errors];
}

/** How much code the page has fetched. */
function codeOf(files, problems) {
  const scripts = [...files].filter((file) => file.endsWith(".js"));
  const bytes = scripts.map((file) => gzipSync(readFileSync(at(`dist/browser/${file}`)), { level: 9 }).length);
  const total = bytes.reduce((a, b) => a + b, 0);
  if (total > CODE_LIMIT) problems.push(`the page fetches ${total} bytes of code (gzip), over ${CODE_LIMIT}.`);
  const whole = readdirSync(at("dist/browser")).length;
  return [`${(total / 1e3).toFixed(0)} KB of code (gzip) in ${scripts.length} of ${whole} files to classify with CLIP`];
}

async function onOneThread(browser, url, truth) {
  const opened = await openPage(browser, `${url}?device=thread`);
  const { page, errors, context } = opened;
  const problems = [];
  if (await page.evaluate(() => crossOriginIsolated)) problems.push("the page is cross-origin isolated, expected not.");
  const absent = await page.textContent('label:has(input[value="threads"])');
  if (!/Not available: .*Cross-Origin-Embedder-Policy/.test(absent)) problems.push(`threads: ${absent}`);
  notes.push(`one thread: ${await status(page)}`);
  const running = await page.evaluate(() => [globalThis.fovea.runtime.device, globalThis.fovea.runtime.threads]);
  if (running.join() !== "wasm,0") problems.push(`${running} runs, expected wasm,0.`);
  problems.push(...(await checkSamples(opened, truth)), ...(await checkScreenshot(opened, "one_thread")));

  await page.click("summary");
  await page.setInputFiles('input[name="folder"]', at(MODEL));
  await page.click('#model button[type="submit"]');
  await ready(page);
  if (!/artifacts from the cache/.test(await status(page))) {
    problems.push(`a model of the folder's files, which is compiled already: ${await status(page)}`);
  }
  const chosen = await rankingAfter(page, () => page.setInputFiles("#file", at(PICTURES[0])));
  if (chosen[0][0] !== "one") problems.push(`a chosen file is taken for ${chosen[0][0]}, expected one.`);
  await context.close();
  return [...problems, ...errors];
}

async function run() {
  const executablePath = CHROMIUM.find((path) => existsSync(path));
  if (executablePath === undefined) {
    return [
      "Chromium is missing, in which the page is tried; install Debian's package chromium (apt-get install chromium).",
    ];
  }
  await buildDist();
  const { chromium } = await import("playwright-core");
  const [truth, isolated, plain, deno] = await Promise.all([
    expected(),
    serve("bun"),
    serve("node", "--without-isolation"),
    serve("deno"),
  ]);
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const wasm = async () => [
      ...(await onThreads(browser, isolated.url, truth)),
      ...(await onOneThread(browser, plain.url, truth)),
    ];
    return (await Promise.all([wasm(), onWebGpu(browser, deno.url, truth)])).flat();
  } finally {
    await browser.close();
    for (const { stop } of [isolated, plain, deno]) stop();
  }
}

export function browserCheck() {
  return { name: "the example's page in Chromium", run, notes: () => notes.splice(0) };
}

if (isMain(import.meta.url)) {
  await setupOrExit();
  const begin = performance.now();
  const problems = await run();
  for (const line of [...problems, ...notes]) say(line);
  say(`${problems.length} problems, ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
