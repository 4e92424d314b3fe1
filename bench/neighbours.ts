/**
 * Beside other programs: what an idle runtime costs, and what a second worker is worth while another program has the second
 * core to itself.
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { createRuntime } from "../mod.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { makeCheckpoint, WEIGHTS_FILE } from "./checkpoint.ts";
import { type Contender, interleave, median, rowsOf } from "./interleave.ts";
import { openModel } from "./models.ts";

const IDLE_MS = 1000;
const BUSY = "for (;;);";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A program of this runtime that never rests. */
function startBusy(): () => void {
  const run = process.versions.deno === undefined ? ["-e", BUSY] : ["eval", BUSY];
  const child = spawn(process.execPath, run, { stdio: "ignore" });
  return () => child.kill("SIGKILL");
}

/** Milliseconds of processor time that this process takes in a second of nothing to do. */
async function idleMs(rounds: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await pause(100);
    const before = process.cpuUsage();
    await pause(IDLE_MS);
    const { user, system } = process.cpuUsage(before);
    found.push((user + system) / 1000);
  }
  return found;
}

/** One thread first: `ratio` of two is how many times as fast they are. */
export async function neighbours({ rounds, runs }: BenchOptions): Promise<readonly BenchResult[]> {
  const model = await openModel("clip-b32", 1);
  const checkpoint = new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(model.config))],
    [WEIGHTS_FILE, makeCheckpoint(model.tower).bytes],
  ]);
  const contenders: Contender[] = [];
  const closings: (() => Promise<unknown>)[] = [];
  for (const threads of [1, 2]) {
    const runtime = await createRuntime({ threads });
    const encoder = await runtime.load(checkpoint, { components: [model.tower.modality] });
    contenders.push({
      name: threads === 1 ? "1 thread" : `${threads} threads`,
      run: () => encoder.encode(model.inputs),
    });
    closings.push(async () => {
      encoder.close();
      await runtime.close();
    });
  }
  const timed = async (part: string): Promise<BenchResult> => {
    const times = await interleave(contenders, { rounds, runs, warmUp: 2 });
    return { settings: { model: model.name, part }, rows: rowsOf(contenders, times) };
  };
  const alone = await timed("alone");
  const idle = await idleMs(rounds);
  const stop = startBusy();
  try {
    await pause(500);
    const busy = await timed("beside a program that has a core to itself");
    const row = { name: "processor time of an idle second", ms: median(idle), min: Math.min(...idle), ratio: 1 };
    return [alone, busy, { settings: { model: model.name, part: "two runtimes, nothing to do" }, rows: [row] }];
  } finally {
    stop();
    for (const close of closings) await close();
  }
}
