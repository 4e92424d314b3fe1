/** `npm start`: the bundled trained CLIP classifies the bundled handwritten digits, with both towers compiled. */
import { type Classification, classifyImages, createRuntime, type Runtime } from "../mod.ts";
import { progressBar } from "../runtime/cli/terminal.ts";
import { detectHost } from "../runtime/host/mod.ts";

const MODEL = new URL("./models/digits-clip/", import.meta.url);
const WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEMPLATE = "a photo of the digit {}";
/** Rows of the table. */
const SHOWN = 10;

const host = await detectHost();

async function pictures(): Promise<readonly { readonly name: string; readonly url: URL; readonly digit: number }[]> {
  const folder = new URL("images/", MODEL);
  const files = (await host.listDir(host.pathOf(folder))).map((e) => e.name).filter((n) => n.endsWith(".png"));
  // Names are `<index>-<label>.png`.
  return files.map((name) => ({
    name,
    url: new URL(name, folder),
    digit: Number(name.slice(name.indexOf("-") + 1, -4)),
  }));
}

function printTable(names: readonly string[], found: readonly Classification[]): void {
  console.log("image       label   probability");
  for (const [i, { label, probability }] of found.slice(0, SHOWN).entries()) {
    console.log(`${names[i].padEnd(10)}  ${label.padEnd(6)}  ${(100 * probability).toFixed(1).padStart(10)}%`);
  }
  if (found.length > SHOWN) console.log(`... and ${found.length - SHOWN} more`);
}

function compileSummary({ compiled, cacheHits, shared, compileMs }: ReturnType<Runtime["stats"]>["counters"]): string {
  if (compiled === 0) return `nothing compiled, all ${cacheHits} artifacts came from the cache`;
  const rest = cacheHits === 0 ? "" : `, ${cacheHits} came from the cache`;
  return `${compiled} artifacts compiled in ${compileMs.toFixed(0)} ms${rest}${shared === 0 ? "" : ` (${shared} more share them)`}`;
}

const cache = host.defaultCacheDir() ?? false;
const progress = await progressBar(host, false);
await using runtime = await createRuntime({
  cache,
  onProgress: progress.onProgress,
  onProblem: (sentence) => console.error(sentence),
});
console.log(
  `fovea on ${host.name} ${host.version}: device ${runtime.device}, target ${runtime.target}, ${runtime.threads} threads`,
);
await using encoder = await runtime.load(MODEL);

const images = await pictures();
const begin = host.now();
const found = await classifyImages(
  encoder,
  images.map((p) => p.url),
  WORDS,
  { template: TEMPLATE, onProgress: progress.onEncoded },
);
progress.stop();
const elapsed = host.now() - begin;

printTable(
  images.map((p) => p.name),
  found,
);
const right = found.filter(({ label }, i) => label === WORDS[images[i].digit]).length;
const { counters } = runtime.stats();
console.log(`\naccuracy: ${right} of ${found.length}`);
console.log(`time: ${(elapsed / found.length).toFixed(2)} ms per image, decoding and texts included`);
console.log(`compiler: ${compileSummary(counters)}`);
const kernels = new Set([...encoder.explain().matchAll(/^ {6}([^\s/]+)\//gm)].map(([, kernel]) => kernel));
console.log(`kernels: ${[...kernels].sort().join(", ")}`);
if (right !== found.length) throw new Error(`internal: only ${right} of ${found.length} digits were recognised`);
