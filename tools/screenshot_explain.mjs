// Draws the page of `fovea explain --html` in a headless Chromium, light and dark, and checks what a look would show first:
// the script ran, one range of each component is open, nothing scrolls sideways. Not part of `npm test`: a browser is needed.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { capture, toolCommand } from "./lib/process.mjs";
import { at, say } from "./lib/project.mjs";

const [model = at("examples/models/digits-clip"), folder = mkdtempSync(join(tmpdir(), "fovea_page_"))] =
  process.argv.slice(2);

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"];
const DARK = "--blink-settings=preferredColorScheme=0";

/** What the page looks like from inside, written into its title. */
const PROBE = `<script>
  const panels = [...document.querySelectorAll(".panel")];
  const open = panels.filter((p) => !p.hidden);
  document.title = "probe " + JSON.stringify({
    wide: document.documentElement.scrollWidth - innerWidth,
    components: document.querySelectorAll(".component:not(#programs)").length,
    open: open.length,
    empty: panels.filter((p) => p.querySelector(".inspector")?.childElementCount === 0).length,
    unlit: panels.filter((p) => p.querySelector(".inspector") && !p.querySelector(".box.lit")).length,
  });
</script></body>`;

async function findBrowser() {
  for (const name of BROWSERS) {
    const { code } = await capture([name, "--version"]).catch(() => ({ code: 1 }));
    if (code === 0) return name;
  }
  throw new Error(`no Chromium is installed (looked for ${BROWSERS.join(", ")}); apt-get install chromium brings one.`);
}

async function run(command) {
  const { code, stdout, output } = await capture(command);
  if (code !== 0) throw new Error(`${command[0]} ended with code ${code}:\n${output.trimEnd()}`);
  return stdout;
}

const browser = await findBrowser();
mkdirSync(folder, { recursive: true });
const page = join(folder, "page.html");
await run([...toolCommand("bun"), at("runtime/cli/main.ts"), "explain", model, "--html", page]);

const probed = join(folder, "probed.html");
writeFileSync(
  probed,
  readFileSync(page, "utf8").replace("</body>", () => PROBE),
);
const problems = [];
for (const width of [1280, 700]) {
  const dom = await run([browser, ...FLAGS, `--window-size=${width},900`, "--dump-dom", pathToFileURL(probed).href]);
  const found = JSON.parse(/<title>probe (.*?)<\/title>/.exec(dom)?.[1].replaceAll("&quot;", '"') ?? "{}");
  if (found.wide !== 0) problems.push(`at ${width} pixels the page is ${found.wide} pixels too wide.`);
  if (found.open !== found.components)
    problems.push(`${found.open} panels are open of ${found.components} components.`);
  if (found.empty !== 0 || found.unlit !== 0)
    problems.push(`${found.empty} inspectors are empty, ${found.unlit} unlit.`);
}
for (const [name, more] of [
  ["light.png", []],
  ["dark.png", [DARK]],
]) {
  const picture = `--screenshot=${join(folder, name)}`;
  await run([browser, ...FLAGS, ...more, "--window-size=1280,2600", picture, pathToFileURL(page).href]);
}
say(`${page}, light.png and dark.png beside it`);
for (const problem of problems) say(`problem: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
