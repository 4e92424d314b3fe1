// `npm run bench`: installs the peers that bench/package.json pins, runs bench/run.ts once for each runtime, model and number of
// threads, prints tables and writes bench/results.
//
//   node tools/bench.mjs [name ...] [--runtime bun,deno,node] [--models a,b] [--threads 1,2] [arguments of bench/run.ts ...]
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { buildBench, buildDist, checkTypes } from "./build.mjs";
import { npmCommand, passThrough, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, readJson, say } from "./lib/project.mjs";
import { RUNTIMES } from "./lib/suites.mjs";
import { setupOrExit } from "./setup.mjs";

const FOLDER = at("bench");
const PROGRAM = at("bench/run.ts");
const RESULTS = at("bench/results");

/** Command of a runtime for the benchmark: sources on Bun and Deno, compiled on Node. */
const COMMANDS = {
  bun: () => [...toolCommand("bun"), PROGRAM],
  deno: () => [...toolCommand("deno"), "run", "-A", "--no-check", PROGRAM],
  node: () => [process.execPath, at(".build/bench/bench/run.js")],
};

/** What a benchmark runs for beside each runtime; nothing where it takes neither models nor threads. */
const BY = {
  encoders: ["models", "threads"],
  kernels: ["models"],
  preparation: [],
  serving: ["threads"],
  compiling: ["threads"],
  startup: ["threads"],
  int8_vs_f32: ["threads"],
  jpeg_to_embedding: ["threads"],
  jpeg_to_patches: ["threads"],
  neighbours: [],
  long_sequences: ["threads"],
  foreign_calls: [],
  counted_loops: [],
  tight_range: [],
};

const list = (text) => text.split(",").filter((part) => part !== "");

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtime: { type: "string", default: RUNTIMES.join(",") },
      models: { type: "string" },
      threads: { type: "string", default: "1,2" },
      batch: { type: "string" },
      rounds: { type: "string" },
      runs: { type: "string" },
      peers: { type: "string" },
      list: { type: "boolean", default: false },
    },
  });
  const { runtime, models, threads, list: listed, ...own } = values;
  const runtimes = list(runtime);
  const unknown = runtimes.find((name) => !RUNTIMES.includes(name));
  if (unknown !== undefined) throw new Error(`--runtime takes ${RUNTIMES.join(", ")}, not "${unknown}".`);
  const passed = Object.entries(own).flatMap(([name, value]) => [`--${name}`, value]);
  return { runtimes, models, threads: list(threads), passed, listed, ...named(positionals) };
}

/** Names of benchmarks; `random <seed>` is the encoders' with one model more. */
function named(positionals) {
  const names = [];
  let seed;
  for (let i = 0; i < positionals.length; i++) {
    if (positionals[i] === "random") {
      seed = positionals[++i];
      if (!/^\d{1,9}$/.test(seed ?? "")) throw new Error(`random takes a seed, a whole number, not "${seed ?? ""}".`);
      names.push("encoders");
    } else names.push(positionals[i]);
  }
  const odd = names.find((name) => !Object.hasOwn(BY, name));
  if (odd !== undefined) {
    throw new Error(`There is no benchmark "${odd}"; there are ${Object.keys(BY).join(", ")} and random <seed>.`);
  }
  return { names: names.length === 0 ? ["encoders"] : names, seed };
}

/** Arguments of each run of a benchmark on one runtime. */
function variants(name, { models, threads, seed }, known) {
  const chosen = [...(models === undefined ? known : list(models)), ...(seed === undefined ? [] : [`random-${seed}`])];
  const byModel = BY[name].includes("models") ? chosen.map((model) => ["--model", model]) : [[]];
  const byThreads = BY[name].includes("threads") ? threads.map((count) => ["--threads", count]) : [[]];
  return byModel.flatMap((model) => byThreads.map((count) => [...model, ...count]));
}

async function installPeers() {
  const { dependencies = {} } = readJson("bench/package.json");
  const missing = Object.entries(dependencies).filter(([name, version]) => {
    const manifest = join(FOLDER, "node_modules", name, "package.json");
    return !existsSync(manifest) || JSON.parse(readFileSync(manifest, "utf8")).version !== version;
  });
  if (missing.length === 0) return;
  say(`fovea: installing ${missing.map((pin) => pin.join("@")).join(", ")} in bench with npm ...`);
  const quiet = [
    "--no-save",
    "--no-package-lock",
    "--include=dev",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  const code = await passThrough([...npmCommand(), "install", ...quiet], {
    cwd: FOLDER,
    env: plainEnvironment(),
    stdio: ["ignore", 2, 2],
  });
  if (code !== 0)
    throw new Error(`npm install in bench ended with code ${code}. Check the network and npm's registry.`);
}

/** Runs a program and resolves to its exit code and the lines of JSON that it printed. */
function recordsOf(command) {
  return new Promise((resolve, reject) => {
    const [file, ...args] = command;
    const child = spawn(file, args, { env: plainEnvironment(), stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const lines = text.split("\n").filter((line) => line.startsWith("{"));
      resolve({ code, records: lines.map((line) => JSON.parse(line)) });
    });
  });
}

/** Writes the results of the day to bench/results, with pictures, and returns them. */
async function writeResults(records) {
  const { mergeResults } = await compiled("report");
  const { ratioChart } = await compiled("chart");
  const { rooflineChart } = await compiled("roofline");
  mkdirSync(RESULTS, { recursive: true });
  const path = join(RESULTS, `${new Date().toISOString().slice(0, 10)}.json`);
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
  };
  const old = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  const file = mergeResults(old, { fovea: readJson("package.json").version, machine, results: records });
  writeFileSync(path, `${JSON.stringify(file, undefined, 1)}\n`);
  const has = (name) => file.results.some(({ benchmark }) => benchmark === name);
  if (has("encoders")) writeFileSync(join(RESULTS, "latest.svg"), ratioChart(file.results));
  if (has("kernels")) writeFileSync(join(RESULTS, "kernels.svg"), rooflineChart(file.results));
  say(`fovea: wrote ${path}`);
  return file.results;
}

const compiled = (module) => import(pathToFileURL(at(`.build/bench/bench/${module}.js`)).href);

async function main() {
  const chosen = options();
  if (chosen.listed) return console.log([...Object.keys(BY), "random <seed>"].join("\n"));
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing; restore it from the repository.`);
  await setupOrExit();
  await installPeers();
  const { output } = await checkTypes("tsconfig.bench.json");
  const own = output.split("\n").filter((line) => line.startsWith("bench/"));
  if (own.length > 0) throw new Error(`type errors:\n${own.join("\n")}`);
  await buildBench();
  if (chosen.names.includes("startup")) await buildDist();
  const { MODEL_NAMES } = await compiled("models");
  const records = [];
  for (const runtime of chosen.runtimes) {
    for (const name of chosen.names) {
      for (const variant of variants(name, chosen, MODEL_NAMES)) {
        say(`fovea: ${[name, ...variant].join(" ")} on ${runtime} ...`);
        const result = await recordsOf([...COMMANDS[runtime](), name, ...variant, ...chosen.passed]);
        records.push(...result.records);
        if (result.code === 0) continue;
        say(`fovea: the benchmark ended with code ${result.code}`);
        process.exitCode = 1;
      }
    }
  }
  if (records.length === 0) return;
  const { kernelShareText, tables } = await compiled("report");
  const all = await writeResults(records);
  const parts = [tables(records), kernelShareText(all)].filter((part) => part !== "");
  console.log(`\n${parts.join("\n\n")}`);
}

try {
  await main();
} catch (error) {
  say(`fovea: ${error.message}`);
  process.exitCode = 1;
}
