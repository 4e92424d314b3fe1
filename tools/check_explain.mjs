// The page of `fovea explain --html` in Debian's Chromium without a window: drawn, readable, and answering to a pointer. One
// check of `npm test`; `node tools/check_explain.mjs [model] [folder]` runs it alone and leaves the page and its pictures, light
// and dark, in the folder.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { capture, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, isMain, say } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

const MODEL = at("examples/models/digits-clip");
const FOLDER = at(".build/explain");

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const WIDTHS = [1280, 700, 390];
/** Groups of each panel that the pointer visits. */
const HOVERED = 2;
/** Colours of a page with graphs, of which a blank one has a handful, and the part of a graph that is no background. */
const MOST_BLANK_COLOURS = 50;
const LEAST_DRAWN = 0.05;

/** In the page: every panel with its graph's boxes, measured while it is shown. */
function panelsInPage() {
  const inside = (a, b) =>
    a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  return [...document.querySelectorAll(".panel")]
    .filter((panel) => !panel.hidden && panel.dataset.first !== undefined)
    .map((panel) => {
      const canvas = panel.querySelector("figure svg").getBoundingClientRect();
      const boxes = [...panel.querySelectorAll("figure .box")].map((box) =>
        box.querySelector("rect").getBoundingClientRect(),
      );
      return {
        id: panel.id,
        groups: panel.querySelectorAll("figure .box.group").length,
        rows: panel.querySelectorAll("tr.group").length,
        templates: panel.querySelectorAll("template[data-group]").length,
        lit: panel.querySelectorAll("figure .box.lit").length,
        black: [...panel.querySelectorAll("figure .box.group rect")].filter(
          (r) => getComputedStyle(r).fill === "rgb(0, 0, 0)",
        ).length,
        empty: boxes.filter(({ width, height }) => width < 20 || height < 10).length,
        outside: boxes.filter((box) => !inside(box, canvas)).length,
        arrows: panel.querySelectorAll("figure .arrows path").length,
        inspected: panel.querySelector(".inspector").textContent.length,
      };
    });
}

function panelProblems(found) {
  const problems = [];
  for (const { id, groups, rows, templates, lit, black, empty, outside, arrows, inspected } of found) {
    if (groups === 0 || groups !== rows || groups !== templates)
      problems.push(`panel ${id} draws ${groups} groups, its table has ${rows} and its inspector ${templates}.`);
    if (lit !== 1) problems.push(`panel ${id} marks ${lit} groups, expected the dearest.`);
    if (black > 0) problems.push(`panel ${id} draws ${black} groups in black, without their kernels' colours.`);
    if (empty > 0) problems.push(`panel ${id} draws ${empty} boxes without an extent.`);
    if (outside > 0) problems.push(`panel ${id} draws ${outside} boxes outside of its canvas.`);
    if (arrows === 0) problems.push(`panel ${id} draws no arrows.`);
    if (inspected < 50) problems.push(`the inspector of panel ${id} is empty.`);
  }
  return problems;
}

/** Each tab of each component shows its own range and hides the others; arrow keys move between them. */
async function checkTabs(page) {
  const problems = [];
  for (const section of await page.$$(".component:not(#programs)")) {
    const id = await section.getAttribute("id");
    const shown = () =>
      section.$$eval(".panel", (panels) =>
        panels
          .filter((p) => !p.hidden)
          .map((p) => p.id)
          .join(),
      );
    const tabs = await section.$$("[role=tab]");
    if (tabs.length === 0) problems.push(`component ${id} has no tab.`);
    for (const tab of tabs) {
      await tab.click();
      const panel = await tab.getAttribute("data-panel");
      if ((await shown()) !== panel) problems.push(`the tab of ${panel} shows ${(await shown()) || "nothing"}.`);
      problems.push(...panelProblems((await page.evaluate(panelsInPage)).filter((found) => found.id === panel)));
    }
    if (tabs.length > 1) {
      await tabs[0].click();
      await page.keyboard.press("ArrowRight");
      if ((await shown()) !== (await tabs[1].getAttribute("data-panel")))
        problems.push(`an arrow key on the first tab of ${id} shows ${await shown()}.`);
    }
  }
  return problems;
}

/** A group under the pointer is inspected, with the author's lines and its generated code; a click keeps it. */
async function checkPointer(page) {
  const problems = [];
  const panels = await page.$$(".panel:not([hidden])[data-first]");
  let sources = 0;
  for (const panel of panels) {
    const id = await panel.getAttribute("id");
    const inspector = await panel.$(".inspector");
    for (const box of (await panel.$$("figure .box.group")).slice(0, HOVERED)) {
      await box.hover();
      const title = await box.$eval(".title", (text) => text.textContent);
      const heading = await inspector.$eval("h4", (h) => h.textContent);
      if (heading !== title) problems.push(`over the group ${title} of panel ${id} the inspector shows ${heading}.`);
      if (!(await box.evaluate((g) => g.classList.contains("lit"))))
        problems.push(`${title} of panel ${id} is not lit.`);
      const lines = await inspector.$$eval(".source", (found) => found.map((e) => e.textContent));
      sources += lines.filter((line) => /\w\.[cm]?[jt]s:\d+/.test(line)).length;
    }
  }
  if (sources === 0) problems.push("no group under the pointer shows a line of its author's source.");

  const [panel] = panels;
  const boxes = await panel.$$("figure .box.group");
  const heading = () => panel.$eval(".inspector h4", (h) => h.textContent);
  await boxes[0].click();
  const kept = await heading();
  await boxes[boxes.length - 1].hover();
  if ((await heading()) !== kept) problems.push("a group that was clicked is not kept.");
  await panel.$eval(".inspector details.blob", (blob) => {
    blob.open = true;
  });
  const code = await panel.$eval(".inspector details.blob", (blob) => blob.innerText);
  if (code.split("\n").length < 10) problems.push(`the generated code of ${kept} is ${JSON.stringify(code)}.`);
  return problems;
}

/** A picture's pixels as numbers. */
async function pixelsOf(bytes) {
  const { decode } = await import("fast-png");
  const { width, height, channels, data } = decode(bytes);
  return Array.from({ length: width * height }, (_, i) => {
    const from = i * channels;
    return (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
  });
}

/** How light a page is, 0 to 255: its upper left corner. */
const lightness = ([first]) => ((first >> 16) + ((first >> 8) & 255) + (first & 255)) / 3;

async function checkPictures(page, folder) {
  const problems = [];
  const light = {};
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const path = join(folder, `${colorScheme}.png`);
    const pixels = await pixelsOf(await page.screenshot({ path }));
    const colours = new Set(pixels).size;
    if (colours <= MOST_BLANK_COLOURS) problems.push(`${path} has ${colours} colours; the page is (nearly) blank.`);
    light[colorScheme] = lightness(pixels);
    const figure = await page.$(".panel:not([hidden]) figure");
    const graph = await pixelsOf(await figure.screenshot());
    const background = graph[0];
    const drawn = graph.filter((pixel) => pixel !== background).length / graph.length;
    if (drawn < LEAST_DRAWN) problems.push(`of the first graph ${(100 * drawn).toFixed(1)} % are drawn (${path}).`);
  }
  if (!(light.light > 200 && light.dark < 60))
    problems.push(
      `the page is ${light.light} light and, where dark is preferred, ${light.dark}; 0 is black, 255 white.`,
    );
  return problems;
}

/** Problems of the page at `path`; pictures of it go to `folder`. */
export async function checkPage(browser, path, folder) {
  const problems = [];
  const page = await browser.newPage({ viewport: { width: WIDTHS[0], height: 1000 } });
  page.on("pageerror", (error) => problems.push(`an error in the page: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`the page's console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!/^(file|data):/.test(url)) problems.push(`the page asks for ${url}; it is to be self-contained.`);
  });
  await page.goto(pathToFileURL(path).href);
  const components = await page.$$eval(".component:not(#programs)", (all) => all.length);
  const shown = await page.evaluate(panelsInPage);
  if (components === 0 || shown.length !== components)
    problems.push(`${shown.length} graphs are shown of ${components} components.`);
  problems.push(...panelProblems(shown), ...(await checkTabs(page)), ...(await checkPointer(page)));
  await page.goto(pathToFileURL(path).href);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 1000 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) problems.push(`at ${width} pixels the page is ${over} pixels too wide.`);
  }
  await page.setViewportSize({ width: WIDTHS[0], height: 2600 });
  return [...problems, ...(await checkPictures(page, folder))];
}

async function run(model = MODEL, folder = FOLDER) {
  const executablePath = CHROMIUM.find((path) => existsSync(path));
  if (executablePath === undefined) {
    return [
      `Chromium is missing, in which the page is drawn (looked for ${CHROMIUM.join(", ")}); install Debian's package chromium (apt-get install chromium).`,
    ];
  }
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "page.html");
  const made = await capture([...toolCommand("bun"), at("runtime/cli/main.ts"), "explain", model, "--html", path], {
    env: plainEnvironment({ FOVEA_CACHE_DIR: join(folder, "cache") }),
  });
  if (made.code !== 0) return [`fovea explain ${model} --html ended with code ${made.code}:\n${made.output.trimEnd()}`];
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    return await checkPage(browser, path, folder);
  } finally {
    await browser.close();
  }
}

export function explainCheck() {
  return { name: "the page of fovea explain --html in Chromium", run: () => run() };
}

if (isMain(import.meta.url)) {
  await setupOrExit();
  const [model, folder = FOLDER] = process.argv.slice(2);
  const problems = await run(model, folder);
  for (const problem of problems) say(`problem: ${problem}`);
  if (existsSync(join(folder, "page.html"))) say(`${join(folder, "page.html")}, light.png and dark.png beside it`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
