// Compiles the package into dist (`npm run build`) and the tests with their sources into .build/node, when stale.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { licencesOf } from "./lib/licences.mjs";
import { capture, toolCommand } from "./lib/process.mjs";
import {
  at,
  digestOf,
  filesBelow,
  isMain,
  listFiles,
  readJson,
  SOURCE_ROOTS,
  say,
  writeAtomic,
} from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";
import { refreshSourceDigests } from "./source_digest.mjs";

const BROWSER_BUNDLE = "tools/browser_bundle.mjs";
const EDGE_BUNDLE = "tools/edge_bundle.mjs";
const SHORTEN = "tools/shorten_dist.mjs";

const SETTINGS = [
  "package.json",
  "tsconfig.json",
  BROWSER_BUNDLE,
  EDGE_BUNDLE,
  SHORTEN,
  ...listFiles("tools/types", ".d.ts"),
];

const TARGETS = {
  dist: { project: "tsconfig.build.json", roots: SOURCE_ROOTS },
  ".build/node": { project: "tsconfig.test.json", roots: [...SOURCE_ROOTS, "test", "bench", "examples"] },
  ".build/bench": { project: "tsconfig.bench.json", roots: [...SOURCE_ROOTS, "bench"] },
};

/**
 * The command line and the workers that it starts, as a few files: a runtime takes longer to find some 400 modules than to run
 * most commands.
 */
const COMMAND_LINE = [
  ...["runtime/cli/main.ts", "runtime/host/worker_entry.ts"],
  ...["kernels/wasm/device/pool_worker.ts", "kernels/wasm/device/isolate_worker.ts"],
  "kernels/webgpu/device/device_worker.ts",
];

/** Packages of many small files that most commands need: bundled with them, and what is in them by the folder of its licence. */
const INSIDE = ["commander", "fflate"];

/** Bundled packages, which tools/vendor.mjs writes. */
const VENDOR = `vendor${sep}`;

const PLAIN = ["--pretty", "false"];

/** Folders that compiled files find relative to themselves. */
const TEST_DATA = [
  ...["test/fixtures", "test/goldens", "examples/models", "examples/images", "examples/config", "docs"],
  ...[
    "examples/kernel-c",
    "examples/kernel-component",
    "examples/kernel-mish",
    "examples/kernel-rust",
    "examples/kernel-wgsl",
    "kernels/bundle.schema.json",
    "kernels/component.schema.json",
    "kernels/plugin.schema.json",
  ],
];
const BENCH_DATA = ["bench/node_modules", "dist", "test/fixtures", "examples/kernel-c", "examples/models"];

/** Checks the types of a project file; resolves to `{ code, output }`. */
export function checkTypes(project) {
  return capture([...toolCommand("tsc"), "-p", project, "--noEmit", ...PLAIN]);
}

/** Compiles into `dist`. */
export function buildDist() {
  return build("dist");
}

/** Compiles the tests into `.build/node` and links their data beside them. */
export function buildTests() {
  return buildWithData(".build/node", TEST_DATA);
}

/** Compiles the benchmark into `.build/bench` and links its packages and models beside it. */
export function buildBench() {
  return buildWithData(".build/bench", BENCH_DATA);
}

async function buildWithData(folder, data) {
  const result = await build(folder);
  for (const path of data) linkData(folder, path);
  return result;
}

/**
 * Compiles when the sources differ from those of the last build. New files replace old ones one by one and files without a
 * source go last, so that programs which run from the folder meanwhile go on. Types are not checked here, so that one
 * unfinished file does not stop all others; `npm run build` and `npm test` check them.
 */
async function build(folder) {
  refreshSourceDigests();
  const { project, roots } = TARGETS[folder];
  const sources = [...new Set(roots.flatMap((root) => listFiles(root, ".ts")))].sort();
  const settings = [...SETTINGS, project];
  const fingerprint = digestOf([...sources, ...settings]);
  const stamp = at(`${folder}/.fingerprint`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint) return { fresh: true };

  const staging = `.build/staging_${process.pid}`;
  try {
    const result = await capture([...toolCommand("tsc"), "-p", project, "--outDir", staging, "--noCheck", ...PLAIN]);
    if (result.code !== 0) throw new Error(`compiling ${folder} failed:\n${result.output.trimEnd()}`);
    if (folder === "dist")
      await allEnded([
        bundleCommandLine(`${staging}/cli`),
        runBun(SHORTEN, staging),
        runBun(BROWSER_BUNDLE, `${staging}/browser`),
        runBun(EDGE_BUNDLE, `${staging}/edge`),
      ]);
    replaceFiles(at(staging), at(folder));
  } finally {
    rmSync(at(staging), { recursive: true, force: true });
  }
  writeAtomic(stamp, fingerprint);
  return { fresh: false };
}

/** Waits for all, so that what one threw is told when none writes into the folder any more. */
async function allEnded(steps) {
  for (const { status, reason } of await Promise.allSettled(steps)) if (status === "rejected") throw reason;
}

async function bundleCommandLine(folder) {
  const naming = ["--entry-naming=[name].[ext]", "--chunk-naming=[name]-[hash].[ext]"];
  const { dependencies, peerDependencies, imports } = readJson("package.json");
  const outside = [dependencies, peerDependencies, imports]
    .flatMap((names) => Object.keys(names))
    .filter((name) => !INSIDE.includes(name))
    .flatMap((name) => [`--external=${name}`, `--external=${name}/*`]);
  const form = ["--target=node", "--splitting", "--minify", ...outside, ...naming];
  const { code, output } = await capture(
    [...toolCommand("bun"), "build", ...COMMAND_LINE, ...form, "--outdir", folder],
    {
      cwd: at("."),
    },
  );
  if (code !== 0) throw new Error(`bundling the command line ended with code ${code}:\n${output.trimEnd()}`);
  writeFileSync(at(`${folder}/LICENSES.txt`), `${licencesOf(INSIDE)}\n`);
}

async function runBun(tool, folder) {
  const { code, output } = await capture([...toolCommand("bun"), at(tool), at(folder)], { cwd: at(".") });
  if (code !== 0) throw new Error(`${tool} ended with code ${code}:\n${output.trimEnd()}`);
}

function replaceFiles(from, to) {
  const built = filesBelow(from);
  for (const file of built) {
    const data = readFileSync(join(from, file));
    const target = join(to, file);
    if (!existsSync(target) || !readFileSync(target).equals(data)) writeAtomic(target, data);
  }
  const kept = new Set(built);
  for (const file of filesBelow(to)) if (!kept.has(file) && !file.startsWith(VENDOR)) rmSync(join(to, file));
}

function linkData(folder, path) {
  const link = at(`${folder}/${path}`);
  if (!existsSync(at(path)) || statSync(link, { throwIfNoEntry: false }) !== undefined) return;
  rmSync(link, { force: true });
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(at(path), link, "junction");
}

if (isMain(import.meta.url)) {
  await setupOrExit();
  try {
    const [{ fresh }, types] = await Promise.all([buildDist(), checkTypes("tsconfig.build.json")]);
    if (types.code !== 0) throw new Error(`type errors:\n${types.output.trimEnd()}`);
    say(fresh ? "fovea: dist is up to date" : "fovea: built dist");
  } catch (error) {
    say(`fovea: ${error.message}`);
    process.exitCode = 1;
  }
}
