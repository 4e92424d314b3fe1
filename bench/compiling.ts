/**
 * What compiling costs: SigLIP base's vision tower in processes of their own on the current runtime, with its reference values
 * by component, and the proofs of a pack at its first load.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createRuntime } from "../mod.ts";
import type { BenchOptions, BenchResult, BenchRow } from "./benchmark.ts";
import { MODEL, type OnceReport } from "./compile_once.ts";
import { median } from "./interleave.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const ONCE = fileURLToPath(new URL(`./compile_once${EXTENSION}`, import.meta.url));

async function once(args: readonly string[]): Promise<OnceReport> {
  const options = process.versions.deno === undefined ? [] : ["run", "-A", "--no-check"];
  const { stdout } = await promisify(execFile)(process.execPath, [...options, ONCE, ...args]);
  return JSON.parse(stdout) as OnceReport;
}

/** Rows in milliseconds; `ratio` is the first compile of a process over the row. */
export async function compiling({ threads, rounds }: BenchOptions): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-bench-"));
  try {
    const runtime = await createRuntime({ threads });
    await runtime.buildPack(MODEL, folder, { components: ["vision"] });
    const { target } = runtime;
    await runtime.close();
    const compiled: OnceReport[] = [];
    const proven: OnceReport[] = [];
    for (let round = 0; round < rounds; round++) {
      compiled.push(await once([String(threads)]));
      proven.push(await once([String(threads), folder]));
    }
    const figures = new Map<string, readonly number[]>();
    for (const [name, at] of [
      ["first of a process", 0],
      ["fourth of a process", -1],
    ] as const) {
      const own = compiled.map((report) => report.compiles.at(at) ?? { compileMs: 0, expectations: {} });
      const times = own.map((one) => one.compileMs);
      figures.set(`compile, ${name}`, times);
      for (const tag of Object.keys(own[0].expectations)) {
        const ofTag = own.map((one) => one.expectations[tag]);
        figures.set(`expectations of ${tag}, ${name}`, ofTag);
      }
    }
    const proofs = proven.map((report) => report.proofMs);
    figures.set(`proofs of a pack of ${proven[0].proven} artifacts, first load of a process`, proofs);
    const [first] = figures.values();
    const rows = [...figures].map(([name, times]): BenchRow => {
      const ms = median(times);
      return { name, ms, min: Math.min(...times), ratio: median(first) / ms };
    });
    return { settings: { model: "siglip-base", target, threads }, rows };
  } finally {
    await rm(folder, { recursive: true });
  }
}
