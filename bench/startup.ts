/**
 * How long it takes from nothing to a result, in processes of their own on the current runtime: loading SigLIP base, and the
 * command line from its start to its end. Peak memory is that of the process beyond one that does nothing.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { BenchOptions, BenchResult, BenchRow } from "./benchmark.ts";
import { makeCheckpoint, WEIGHTS_FILE } from "./checkpoint.ts";
import { median } from "./interleave.ts";
import { openModel } from "./models.ts";

/** Milliseconds between two looks at a process's memory. */
const LOOK = 5;

/** As the package brings it. */
const COMMAND_LINE = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const DIGITS = fileURLToPath(new URL("../examples/models/digits-clip", import.meta.url));

interface Ended {
  readonly ms: number;
  /** Highest resident memory in MiB; nothing where the system does not tell. */
  readonly peakMiB: number | undefined;
  readonly stdout: string;
}

/** Linux keeps the highest resident set size of a process that runs. */
async function peakOf(pid: number): Promise<number | undefined> {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1024;
  } catch {
    return undefined;
  }
}

/** Runs a program of this runtime to its end. @throws Error with what it wrote, when it fails */
function runProgram(program: string, args: readonly string[]): Promise<Ended> {
  const options = process.versions.deno === undefined ? [] : ["run", "-A", "--no-check"];
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...options, program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    let peakMiB: number | undefined;
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    const timer = setInterval(async () => {
      if (child.pid !== undefined) peakMiB = (await peakOf(child.pid)) ?? peakMiB;
    }, LOOK);
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ ms: performance.now() - begin, peakMiB, stdout });
      else reject(new Error(`${program} ended with code ${code}: ${stderr.trim()}`));
    });
  });
}

interface Measured {
  readonly name: string;
  readonly run: (round: number) => Promise<Ended>;
  /** The whole process's time unless given. */
  readonly timeOf?: (ended: Ended) => number;
}

/** Runs all of them in turns, several times. */
async function measure(
  rounds: number,
  all: readonly Measured[],
): Promise<ReadonlyMap<string, { readonly times: readonly number[]; readonly peakMiB: number | undefined }>> {
  const ended = new Map(all.map(({ name }): [string, Ended[]] => [name, []]));
  for (let round = 0; round < rounds; round++) for (const { name, run } of all) ended.get(name)?.push(await run(round));
  return new Map(
    all.map(({ name, timeOf = ({ ms }) => ms }) => {
      const own = ended.get(name) ?? [];
      const peaks = own.flatMap(({ peakMiB }) => (peakMiB === undefined ? [] : [peakMiB]));
      return [name, { times: own.map(timeOf), peakMiB: peaks.length === 0 ? undefined : median(peaks) }];
    }),
  );
}

/** The least that loading costs: a file's bytes read into a memory that nothing has touched. Prints the milliseconds. */
const READ_PROGRAM = `import { fstatSync, openSync, readSync } from "node:fs";
const file = openSync(process.argv[2], "r");
const { size } = fstatSync(file);
const pages = Math.ceil(size / 65536);
const begin = performance.now();
const bytes = new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
for (let at = 0; at < size; ) at += readSync(file, bytes, at, Math.min(4 << 20, size - at), at);
console.log(JSON.stringify({ loadMs: performance.now() - begin }));
`;

/** Of `fovea bench --json`. */
const loadMs = ({ stdout }: Ended): number => (JSON.parse(stdout) as { readonly loadMs: number }).loadMs;

export async function startup({ threads, rounds }: BenchOptions): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-bench-"));
  const model = join(folder, "model");
  const cache = (name: string | number): string => join(folder, `cache-${name}`);
  try {
    const { tower, config } = await openModel("siglip-base", 1);
    await mkdir(model);
    await writeFile(join(model, "config.json"), JSON.stringify(config));
    const weights = join(model, WEIGHTS_FILE);
    await writeFile(weights, makeCheckpoint(tower).bytes);
    await writeFile(join(folder, "nothing.mjs"), "setTimeout(() => {}, 200);\n");
    await writeFile(join(folder, "end.mjs"), "");
    await writeFile(join(folder, "read.mjs"), READ_PROGRAM);
    const program = (name: string, ...args: string[]): Promise<Ended> => runProgram(join(folder, name), args);

    const common = ["--threads", String(threads), "--json"];
    const load = (name: string | number, ...more: string[]): Promise<Ended> => {
      const args = ["bench", model, "--component", "vision", "--runs", "1", "--cache", cache(name), ...common, ...more];
      return runProgram(COMMAND_LINE, args);
    };
    const loadInt8 = (): Promise<Ended> => load("kept", "--dtype", "int8");
    const picture = join(DIGITS, "images", "000-2.png");
    const labels = Array.from({ length: 10 }, (_, i) => String(i)).join(",");
    const classify = (): Promise<Ended> =>
      runProgram(COMMAND_LINE, ["classify", DIGITS, picture, "--labels", labels, "--cache", cache("digits"), "--json"]);

    await load("kept");
    await loadInt8();
    await classify();
    const cold = "load of siglip-base vision, all ranges compiled";
    const nothing = "a process that does nothing for 0.2 s";
    const found = await measure(rounds, [
      { name: "its weights' bytes into fresh memory", run: () => program("read.mjs", weights), timeOf: loadMs },
      { name: cold, run: (round) => load(round), timeOf: loadMs },
      { name: "load of siglip-base vision, cached", run: () => load("kept"), timeOf: loadMs },
      { name: "load of siglip-base vision, int8, cached", run: loadInt8, timeOf: loadMs },
      { name: nothing, run: () => program("nothing.mjs") },
      { name: "a process that ends at once", run: () => program("end.mjs") },
      { name: "fovea classify, one digit, start to end, cached", run: classify },
    ]);
    const first = median(found.get(cold)?.times ?? []);
    const least = found.get(nothing)?.peakMiB;
    const rows = [...found].flatMap(([name, { times, peakMiB }]): BenchRow[] => {
      if (name === nothing) return [];
      const ms = median(times);
      const beyond = peakMiB === undefined || least === undefined ? {} : { peakMiB: peakMiB - least };
      return [{ name, ms, min: Math.min(...times), ...beyond, ratio: first / ms }];
    });
    return { settings: { model: "siglip-base", threads }, rows };
  } finally {
    await rm(folder, { recursive: true });
  }
}
