// Runs the tests on one runtime and brings its report into one form: `{ file, name, outcome, ms, reason?, message? }` per test, with
// outcome `passed`, `failed` or `skipped` and the file as a path from the root. (Deno and Node name the file that calls `test`,
// which is not the test file where a helper defines tests.)
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { capture, plainEnvironment, toolCommand } from "./process.mjs";
import { at, listFiles, ROOT, readJson, readText, writeAtomic } from "./project.mjs";

/** Even numbers of groups that take about equally long, so that the two that run at once end together. */
const GROUPS = { bun: 16, deno: 12, node: 12 };
/** Seconds of processor time of files that take longer than most, on Node; rough shares are enough to deal files out. */
const COSTS = readJson("tools/lib/test_costs.json");
const USUAL_COST = 0.4;

export const RUNTIMES = ["bun", "deno", "node"];

/** Stand in for tests where a file could not run, or the run itself. */
const WHOLE_FILE = "(the whole file)";
const WHOLE_RUN = "(the whole run)";
const STAND_INS = new Set([WHOLE_FILE, WHOLE_RUN]);

/** Files over the five seconds of a usual run that stand beside what they test. */
const SLOW = new Set([
  "test/session/run_limit_test.ts",
  "test/session/granularity_test.ts",
  "test/pixels/forms_test.ts",
  "test/pixels/patches_test.ts",
  "test/wasm/window_mutation_test.ts",
  "test/wasm/half_mutation_test.ts",
  "test/wasm/mutation_test.ts",
  "test/wasm/quantized_mutation_test.ts",
]);

/** Folders and files of tests that need what npm does not install: `.ci/run` does. */
const NEED_MORE = ["test/queue/", "test/webgpu/"];

/**
 * Test files, without fixtures; slow ones only with `slow` or where `named` has them or test/slow, those that need more than npm
 * installs with `more`.
 */
export function listTests({ slow, more, named = [] }) {
  const asked = (file) => named.includes(file) || (file.startsWith("test/slow/") && named.includes("test/slow"));
  return listFiles("test", "_test.ts").filter(
    (file) =>
      !/^test\/(fixtures|goldens)\//.test(file) &&
      (slow || asked(file) || !(file.startsWith("test/slow/") || SLOW.has(file))) &&
      (more || !NEED_MORE.some((place) => file.startsWith(place))),
  );
}

/** Folders whose tests are about what a runtime brings: its files, network, processes, workers and timers. */
const OWN_TO_RUNTIMES = ["bench", "bulk", "cli", "exec", "foreign", "host", "hub", "queue", "server", "wasm", "webgpu"];
/** So are these of the tests of sessions. */
const OWN_SESSION =
  /^test\/session\/(abort|bit_equal|cache|call_options|encode|load|no_compiler|other_runtimes|packs|places|responsiveness)/;
/**
 * What those folders also hold: sentences, options and results that are made above the host's interface, in the tests'
 * process. Other files of the same folders show the files, requests and processes beneath on all runtimes.
 */
const ABOVE_THE_HOST = [
  /^test\/cli\/(bad_inputs|cache|explain|hub_refusals|jpeg_shrink_on_load|options|ranges|report|trace|tune|usage|videos)_test/,
  /^test\/exec\/(artifact_\w+|dummy|forward_context|instance_weights|read_ahead|safetensors|tensor_reading|whole_models)_test/,
  /^test\/foreign\/(encoder|match|refusals|schema)_test/,
  /^test\/hub\/(pull|refusals)_test/,
  /^test\/server\/(addresses|items|refusals|torch_file)_test/,
];
/** What the engine alone decides, by the code that it makes of a module: on JavaScriptCore and on one V8. */
const OWN_TO_ENGINES = [
  // Each case leaves threads looping on JavaScriptCore (see ALONE), which make the next ones slow; `--all` runs them there.
  { files: /^test\/foreign\/isolate_test/, runtimes: ["deno", "node"] },
  // What may be f16 is decided before any engine; a driver on the processor takes long, Deno's least.
  { files: /^test\/webgpu\/outliers_test/, runtimes: ["deno"] },
  // Shaders that one compiler makes for Bun and Node, in up to a minute each, and another for Deno.
  { files: /^test\/webgpu\/matrices_test/, runtimes: ["deno", "node"] },
  { files: /^test\/webgpu\/(kernels|pieces|row_join|rows)_test/, runtimes: ["bun", "deno"] },
  // Node 20 has no relaxed SIMD, for which these compile as well.
  { files: /^test\/wasm\/(?!device_)/, runtimes: ["bun", "deno"] },
  { files: /_relaxed_test/, runtimes: ["deno"] },
  // What is said where there is none.
  { files: /^test\/freeze\/targets_test/, runtimes: ["node"] },
  {
    files:
      /^test\/(foreign\/(bundle|check|component|corpus|instrument|sandbox|transpiled)|session\/(encode|load_trace|packs|places))_test/,
    runtimes: ["bun", "node"],
  },
];

/** Leave threads that loop until their process ends, except on Node, and take the cores of others: each has one of its own. */
const ALONE = /^test\/foreign\/isolate_test/;

/** Seconds from which on a file runs on one runtime where not all is asked for: `.ci/run` runs it on those that it is about. */
const LONG = 1.2;
/** Where such a file runs whose tests need one runtime, or take longest on another. */
const LONG_ON = {
  "test/bulk/embed_files_test.ts": "bun",
  "test/cli/processes_test.ts": "deno",
  "test/foreign/isolate_test.ts": "node",
  "test/wasm/device_pool_test.ts": "bun",
};

/**
 * The files of each of `runtimes`: those about what runtimes bring on all of them, those about engines on each engine, the
 * others dealt out, each to one, and without `more` those that take long as well.
 */
export function dealt(files, runtimes, more) {
  const isOwn = (file) =>
    (OWN_SESSION.test(file) || OWN_TO_RUNTIMES.some((folder) => file.startsWith(`test/${folder}/`))) &&
    !ABOVE_THE_HOST.some((pattern) => pattern.test(file));
  const enginesOf = (file) => OWN_TO_ENGINES.find((kind) => kind.files.test(file))?.runtimes;
  const on = (file) => {
    const engines = enginesOf(file);
    if (more || engines?.length === 1 || (COSTS[file] ?? USUAL_COST) < LONG)
      return engines ?? (isOwn(file) ? runtimes : []);
    return runtimes.includes(LONG_ON[file]) ? [LONG_ON[file]] : [];
  };
  const hands = groupsOf(
    files.filter((file) => on(file).length === 0),
    runtimes.length,
  );
  return runtimes.map((runtime, at) =>
    [...files.filter((file) => on(file).includes(runtime)), ...(hands[at] ?? [])].sort(),
  );
}

/** Version that a runtime prints about itself. */
export async function versionOf(runtime) {
  const { stdout } = await capture([...toolCommand(runtime), "--version"]);
  return /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] ?? "of unknown version";
}

const MAIN = {
  bun: () => [...toolCommand("bun"), "runtime/cli/main.ts"],
  deno: () => [...toolCommand("deno"), "run", "-A", "--no-check", "runtime/cli/main.ts"],
  node: () => [process.execPath, ".build/node/runtime/cli/main.js"],
};

/** The adapter and its driver that the tests of WebGPU compute on, in the adapter's own words, or why there is none. */
export async function adapterOf(runtime) {
  const { stdout } = await capture([...MAIN[runtime](), "doctor", "--json"], {
    env: plainEnvironment(softwareGpu(runtime)),
  });
  try {
    const found = JSON.parse(stdout).devices.find(({ kind }) => kind === "webgpu");
    return found.capabilities?.adapter ?? `none: ${found.unavailable}`;
  } catch {
    return `unknown: \`fovea doctor --json\` printed ${JSON.stringify(stdout.slice(0, 100))}`;
  }
}

/** Processes that run at once, over all runtimes: more would disturb the tests that measure time. */
const WIDTH = 2;

/**
 * Takes turns for what runs at once: `turn(work)` resolves to what `work` does once fewer than `WIDTH` others are at it, in the
 * order of the calls.
 */
export function takeTurns() {
  let free = WIDTH;
  const waiting = [];
  return async (work) => {
    if (free === 0) await new Promise((resolve) => waiting.push(resolve));
    else free--;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

/**
 * Runs `files` on a runtime within `limits`, `{ suite, test }` in milliseconds (Node's `test` also holds for a file, Deno has
 * none), after the module `first` in each process where one is given, each process when it is its `turn`; resolves to
 * `{ cases, ms, complete }`. A file without a single test, an end with an error that no test reported, and a run over its time
 * each become a failed case; `complete` is false when there was no report at all.
 */
export async function runSuite(runtime, files, limits, { first, turn }) {
  const folder = mkdtempSync(join(tmpdir(), `fovea_test_${runtime}_`));
  let written = [];
  try {
    const report = join(folder, "report");
    const suite = SUITES[runtime](files, report, limits.test, first === undefined ? [] : [first]);
    const { commands, parse } = suite;
    written = suite.written;
    const env = plainEnvironment({ FOVEA_CACHE_DIR: join(folder, "cache"), ...softwareGpu(runtime) });
    delete env.FOVEA_COMPILE;
    delete env.FOVEA_LOG;
    const reported = [];
    let begin;
    const runOne = async (command, at) => {
      begin ??= performance.now();
      const left = limits.suite - (performance.now() - begin);
      const ended = await capture(command, { env, timeoutMs: Math.max(1000, left) });
      const own = `${report}_${at}`;
      if (existsSync(own)) reported.push(...parse(readFileSync(own, "utf8")));
      return ended;
    };
    const runs = await Promise.all(commands.map((command, at) => turn(() => runOne(command, at))));
    const run = {
      output: runs.map(({ output }) => output).join(""),
      failed: runs.filter(({ code }) => code !== 0).map(({ output }) => lastLines(output, 40)),
      timedOut: runs.some(({ timedOut }) => timedOut),
      code: runs.find(({ code }) => code !== 0)?.code ?? 0,
    };
    return {
      cases: [...reported, ...unreported(runtime, files, reported, run)],
      ms: performance.now() - begin,
      complete: reported.length > 0,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    for (const name of written) rmSync(at(name), { force: true });
  }
}

/** Where Debian, Ubuntu and Chrome's own packages put SwiftShader, a Vulkan driver that computes on the processor. */
const SWIFTSHADER = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

/** Where Mesa puts lavapipe, another one, on which Dawn finds no adapter or one that computes nothing. */
const LAVAPIPE = ["x86_64.json", "aarch64.json", "json"].map((end) => `/usr/share/vulkan/icd.d/lvp_icd.${end}`);

/**
 * Deno looks for adapters of OpenGL as well unless it is told not to. The library of EGL frees what it keeps for threads when the
 * process ends, which the thread of `deno test` may be doing at that moment: one process in a hundred ended by SIGABRT.
 */
const VULKAN_ALONE = { DENO_WEBGPU_BACKEND: "vulkan" };

/** The software driver for a runtime's WebGPU, the same on every machine that has it, unless the environment names one. */
export function softwareGpu(runtime) {
  const driver = [...(runtime === "deno" ? LAVAPIPE : []), ...SWIFTSHADER].find((file) => existsSync(file));
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES, XDG_RUNTIME_DIR = tmpdir() } = process.env;
  if (driver === undefined || VK_DRIVER_FILES !== undefined || VK_ICD_FILENAMES !== undefined) return {};
  return { VK_DRIVER_FILES: driver, XDG_RUNTIME_DIR, ...(runtime === "deno" ? VULKAN_ALONE : {}) };
}

const SUITES = {
  // In one process for all files, what earlier ones left to collect slows later ones down many times over.
  bun: (files, report, limit, first) => ({
    written: [],
    commands: processesOf("bun", files).map((members, group) => [
      ...toolCommand("bun"),
      "test",
      `--timeout=${limit}`,
      "--reporter=junit",
      `--reporter-outfile=${report}_${group}`,
      ...first.map((file) => `--preload=./${file}`),
      ...members.map((file) => `./${file}`),
    ]),
    parse: parseJunit,
  }),
  // Deno builds a world of its own for each file that it is given, which takes longer than most files run. Its own parallel
  // runs would share a process, with its environment and working directory.
  deno: (files, report, _, first) => {
    const written = writeGroups("deno", first, files, (file) => `../../${file}`);
    const command = (group, at) => [
      ...toolCommand("deno"),
      ...["test", "-A", "--no-check", `--junit-path=${report}_${at}`, group],
    ];
    return { written, commands: written.map(command), parse: parseJunit };
  },
  node: (files, report, limit, first) => {
    const written = writeGroups("node", first, files, (file) => `./${file.replace(/\.ts$/, ".js")}`);
    const command = (group, at) => [
      process.execPath,
      "--test",
      `--test-timeout=${limit}`,
      `--test-reporter=${new URL("./node_reporter.mjs", import.meta.url).href}`,
      `--test-reporter-destination=${report}_${at}`,
      group,
    ];
    return { written, commands: written.map(command), parse: parseLines };
  },
};

/** Files dealt out to at most `most` groups, the longest first, each to the group that has the least to do. */
function groupsOf(files, most) {
  const costOf = (file) => COSTS[file] ?? USUAL_COST;
  const groups = Array.from({ length: Math.min(most, files.length) }, () => ({ cost: 0, members: [] }));
  for (const file of [...files].sort((a, b) => costOf(b) - costOf(a))) {
    const group = groups.reduce((least, other) => (other.cost < least.cost ? other : least));
    group.cost += costOf(file);
    group.members.push(file);
  }
  return groups.map(({ members }) => members.sort());
}

/** Files of each process of a runtime. */
function processesOf(runtime, files) {
  const together = groupsOf(
    files.filter((file) => !ALONE.test(file)),
    GROUPS[runtime],
  );
  return [...together, ...files.filter((file) => ALONE.test(file)).map((file) => [file])];
}

/** Writes files that import the others, each after those of `first`, and names them; other runs in the folder have their own. */
function writeGroups(runtime, first, files, specifier) {
  return processesOf(runtime, files).map((members, group) => {
    const name = `.build/${runtime}/group_${process.pid}_${group}_test.js`;
    writeAtomic(at(name), [...first, ...members].map((file) => `import "${specifier(file)}";\n`).join(""));
    return name;
  });
}

/** What the report does not say: files of which no test ran and errors outside of tests. */
function unreported(runtime, files, reported, run) {
  const wholeRun = (message, output = lastLines(run.output, 40)) => ({
    file: "",
    name: WHOLE_RUN,
    outcome: "failed",
    message: `${message}\n${output}`,
  });
  if (reported.length === 0) return [wholeRun(`${runtime} gave no results.`)];
  if (run.timedOut) return [wholeRun(`${runtime} was stopped.`)];
  // Deno and Node run groups; Bun reports each file, and Node a file without tests as one (see parseLines).
  const seen = new Set(runtime === "bun" ? reported.map(({ file }) => file) : files);
  const found = files
    .filter((file) => !seen.has(file))
    .map((file) => ({
      file,
      name: WHOLE_FILE,
      outcome: "failed",
      message: `No test ran.\n${around(run.output, file)}`,
    }));
  const explained = found.length > 0 || reported.some(({ outcome }) => outcome === "failed");
  if (run.code !== 0 && !explained)
    found.push(wholeRun(`${runtime} ended with code ${run.code} although no test failed.`, run.failed.join("\n")));
  return found;
}

function lastLines(text, count) {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

/** The part of an output that begins with the name of a file, else its end. */
function around(output, file) {
  const start = output.indexOf(file);
  return start < 0 ? lastLines(output, 20) : output.slice(start).split("\n").slice(0, 20).join("\n");
}

const TESTCASE = /<testcase\b((?:\s+[\w-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** The junit forms of Bun (`file`) and Deno (the file is the class name). */
function parseJunit(xml) {
  return [...xml.matchAll(TESTCASE)].map(([, head, body = ""]) => {
    const { name, file, classname, time } = attributes(head);
    const place = {
      file: (file ?? classname ?? "").replaceAll("\\", "/").replace(/^\.\//, ""),
      name,
      ms: Number(time ?? 0) * 1000,
    };
    const failure = /<(?:failure|error)\b((?:\s+[\w-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/(?:failure|error)>)/.exec(
      body,
    );
    if (failure !== null) {
      const message = unescapeXml(failure[2] ?? "").trim() || attributes(failure[1]).message || "no message";
      return { ...place, outcome: "failed", message };
    }
    return { ...place, outcome: body.includes("<skipped") ? "skipped" : "passed" };
  });
}

function attributes(text) {
  return Object.fromEntries(
    [...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key, value]) => [key, unescapeXml(value)]),
  );
}

const ENTITIES = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescapeXml(text) {
  return text.replace(/&(?:#(\d+)|#x([\da-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(decimal !== undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}

/** The lines of node_reporter.mjs; a test counts once, not again for what it nests. */
function parseLines(text) {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
    .filter(({ nesting }) => nesting === 0)
    .map(({ name, file, nesting: _, ...rest }) => ({
      ...rest,
      name: name ?? WHOLE_FILE,
      file: relative(join(ROOT, ".build", "node"), resolve(ROOT, file ?? ""))
        .replaceAll(sep, "/")
        .replace(/\.js$/, ".ts"),
    }));
}

/** Why a test is skipped, from the runtimes' reports of it; Bun and Deno do not tell, then from the option in the source. */
export function skipReason(reports) {
  const told = reports.find(({ reason }) => reason !== undefined)?.reason;
  if (told !== undefined) return told;
  const [test] = reports;
  if (!existsSync(at(test.file))) return "no reason found";
  const source = readText(test.file);
  const start = source.indexOf(JSON.stringify(test.name));
  const option = /\b(?:skip|todo):\s*((?:"[^"]*"|`[^`]*`|[^,}"`])+)/.exec(
    start < 0 ? "" : source.slice(start, start + 600),
  );
  return option === null ? "no reason found" : option[1].trim();
}

/** Tests that did not run equally often everywhere, as sentences; files that failed as a whole are reported already. */
export function differences(results) {
  const counts = results.map(({ cases }) => {
    const count = new Map();
    for (const { name } of cases) if (!STAND_INS.has(name)) count.set(name, (count.get(name) ?? 0) + 1);
    return count;
  });
  const names = new Set(counts.flatMap((count) => [...count.keys()]));
  return [...names].flatMap((name) => {
    const times = counts.map((count) => count.get(name) ?? 0);
    if (times.every((n) => n === times[0])) return [];
    return [`${name}: ran ${times.map((n, i) => `${n}x on ${results[i].runtime}`).join(", ")}.`];
  });
}
