// The page: opens a runtime on the chosen device, loads the model with progress, and shows what it takes pictures for.
import { findChoices } from "./devices.js";
import { createDrawing } from "./drawing.js";
import { classifyImages, createRuntime } from "./fovea/fovea.js";

const find = (id) => document.getElementById(id);
const [devices, progress, status, ranking, timing, form] = [
  "devices",
  "progress",
  "status",
  "ranking",
  "timing",
  "model",
].map(find);

const SAMPLES = ["017-0", "006-1", "000-2", "036-3", "023-4", "009-5", "003-6", "005-7", "008-8", "007-9"];

/** What runs now: `{ runtime, encoder }`; each choice takes the place of the one before. */
let loaded;
let latest;

function say(text, failed = false) {
  status.textContent = text;
  status.classList.toggle("failed", failed);
}

/** A load has phases for each tower, told one after the other; the bar runs through each. */
function showProgress({ phase, modality, done, total, item }) {
  progress.max = total;
  progress.value = done;
  const what = { compile: "Compiling", weights: "Loading weights of", download: "Fetching" }[phase];
  say(`${what} ${modality} ${done} of ${total}: ${item}`);
}

function source() {
  const { address, folder } = form.elements;
  return folder.files.length > 0 ? { files: folder.files } : address.value;
}

/** Opens a runtime and loads the model, once what was there is closed. */
async function openModel(options, before) {
  await (await before?.catch(() => undefined))?.runtime.close();
  const log = { topics: ["recompiles"], write: ({ tag }) => say(`Compiling ${tag} …`) };
  const runtime = await createRuntime({ ...options, cache: "fovea", onProgress: showProgress, log });
  try {
    return { runtime, encoder: await runtime.load(source()) };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

async function load({ name, options }) {
  const begin = performance.now();
  const own = openModel(options, loaded);
  loaded = own;
  document.body.dataset.state = "loading";
  progress.removeAttribute("value");
  say(`Opening ${name} …`);
  try {
    const { runtime } = await own;
    // The first picture, at the latest a sample, compiles what was left for it.
    if (latest === undefined) await drawing.show(await fetchSample(SAMPLES[0]));
    else await classify(latest);
    if (own !== loaded) return;
    const { compiled, cacheHits } = runtime.stats().counters;
    progress.max = 1;
    progress.value = 1;
    const origin = compiled === 0 ? `${cacheHits} artifacts from the cache` : `${compiled} artifacts compiled`;
    say(`Ready on ${runtime.device} (${runtime.target}), ${seconds(begin)}, ${origin}.`);
    // For the console.
    globalThis.fovea = await own;
    document.body.dataset.state = "ready";
  } catch (error) {
    if (own !== loaded) return;
    progress.value = 0;
    say(error.message, true);
    document.body.dataset.state = "failed";
  }
}

const seconds = (begin) => `${((performance.now() - begin) / 1000).toFixed(2)} s`;

async function classify(picture) {
  latest = picture;
  const { runtime, encoder } = (await loaded?.catch(() => undefined)) ?? {};
  if (encoder === undefined) return;
  const { labels, template } = form.elements;
  const words = labels.value.split(",").map((word) => word.trim());
  try {
    const begin = performance.now();
    const [{ probabilities }] = await classifyImages(encoder, [picture], words, { template: template.value });
    const elapsed = performance.now() - begin;
    // Another picture, or another device, may have come meanwhile.
    if (picture !== latest) return;
    const ranked = words.map((label, i) => ({ label, share: probabilities[i] })).sort((a, b) => b.share - a.share);
    ranking.replaceChildren(...ranked.slice(0, 10).map(rankingLine));
    const threads = runtime.threads > 0 ? ` with ${runtime.threads} threads` : "";
    timing.textContent = `${elapsed.toFixed(1)} ms on ${runtime.device}${threads} for the picture and ${words.length} texts.`;
  } catch (error) {
    ranking.replaceChildren();
    timing.textContent = error.message;
  }
}

function rankingLine({ label, share }) {
  const line = document.createElement("li");
  const percent = `${(100 * share).toFixed(1)} %`;
  line.style.setProperty("--share", percent.replace(" ", ""));
  line.append(...[label, percent].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
  return line;
}

function deviceLine({ id, name, absent }, checked, choose) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "device", value: id, checked });
  input.disabled = absent !== undefined;
  input.addEventListener("change", choose);
  label.append(input, name);
  if (absent !== undefined) {
    label.append(Object.assign(document.createElement("small"), { textContent: `Not available: ${absent}.` }));
  }
  return label;
}

const sampleAddress = (name) => `models/digits-clip/images/${name}.png`;
const fetchSample = async (name) => (await fetch(sampleAddress(name))).blob();

function addSamples(drawing) {
  for (const name of SAMPLES) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(
      Object.assign(document.createElement("img"), { src: sampleAddress(name), alt: `Scan of a ${name.slice(-1)}` }),
    );
    button.addEventListener("click", async () => drawing.show(await fetchSample(name)));
    find("samples").append(button);
  }
}

function acceptDrops(canvas, drawing) {
  canvas.addEventListener("dragover", (event) => {
    event.preventDefault();
    canvas.classList.add("over");
  });
  canvas.addEventListener("dragleave", () => canvas.classList.remove("over"));
  canvas.addEventListener("drop", (event) => {
    event.preventDefault();
    canvas.classList.remove("over");
    if (event.dataTransfer.files.length > 0) open(drawing, event.dataTransfer.files[0]);
  });
}

async function open(drawing, file) {
  try {
    await drawing.show(file);
  } catch {
    timing.textContent = `${file.name} is no picture that this browser can show.`;
  }
}

const canvas = find("drawing");
const drawing = createDrawing(canvas, classify);
addSamples(drawing);
acceptDrops(canvas, drawing);
find("clear").addEventListener("click", () => {
  latest = undefined;
  drawing.clear();
  ranking.replaceChildren();
  timing.textContent = "";
});
find("file").addEventListener("change", ({ target }) => target.files.length > 0 && open(drawing, target.files[0]));

const choices = await findChoices();
const available = choices.filter(({ absent }) => absent === undefined);
const asked = new URLSearchParams(location.search).get("device");
let chosen = available.find(({ id }) => id === asked) ?? available[0];
for (const choice of choices) {
  devices.append(
    deviceLine(choice, choice === chosen, () => {
      chosen = choice;
      load(choice);
    }),
  );
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (chosen !== undefined) load(chosen);
});
if (chosen === undefined) say(choices.map(({ name, absent }) => `${name}: ${absent}.`).join(" "), true);
else await load(chosen);
