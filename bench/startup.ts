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

/** Runs something several times; the time is the whole process's, or what it says itself. */
async function measure(
  rounds: number,
  run: (round: number) => Promise<Ended>,
  timeOf: (ended: Ended) => number = ({ ms }) => ms,
): Promise<{ readonly times: readonly number[]; readonly peakMiB: number | undefined }> {
  const times: number[] = [];
  const peaks: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const ended = await run(round);
    times.push(timeOf(ended));
    if (ended.peakMiB !== undefined) peaks.push(ended.peakMiB);
  }
  return { times, peakMiB: peaks.length === 0 ? undefined : median(peaks) };
}

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
    await writeFile(join(model, WEIGHTS_FILE), makeCheckpoint(tower).bytes);
    await writeFile(join(folder, "nothing.mjs"), "setTimeout(() => {}, 200);\n");

    const common = ["--threads", String(threads), "--json"];
    const load = (name: string | number): Promise<Ended> => {
      const args = ["bench", model, "--component", "vision", "--runs", "1", "--cache", cache(name), ...common];
      return runProgram(COMMAND_LINE, args);
    };
    const picture = join(DIGITS, "images", "000-2.png");
    const labels = Array.from({ length: 10 }, (_, i) => String(i)).join(",");
    const classify = (): Promise<Ended> =>
      runProgram(COMMAND_LINE, ["classify", DIGITS, picture, "--labels", labels, "--cache", cache("digits"), "--json"]);

    const nothing = await measure(3, () => runProgram(join(folder, "nothing.mjs"), []));
    const cold = await measure(rounds, load, loadMs);
    await load("kept");
    const cached = await measure(rounds, () => load("kept"), loadMs);
    await classify();
    const digit = await measure(rounds, classify);
    const first = median(cold.times);
    const row = (name: string, { times, peakMiB }: Awaited<ReturnType<typeof measure>>): BenchRow => {
      const ms = median(times);
      const beyond =
        peakMiB === undefined || nothing.peakMiB === undefined ? {} : { peakMiB: peakMiB - nothing.peakMiB };
      return { name, ms, min: Math.min(...times), ...beyond, ratio: first / ms };
    };
    return {
      settings: { model: "siglip-base", threads },
      rows: [
        row("load of siglip-base vision, all ranges compiled", cold),
        row("load of siglip-base vision, cached", cached),
        row("fovea classify, one digit, start to end, cached", digit),
      ],
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}
