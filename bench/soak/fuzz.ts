/**
 * Feeds damaged input to everything that reads bytes of strangers, and prints a line of JSON for each reader.
 *
 *   fuzz.ts [--cases 50000] [--seed 1] [--only NAME] [--first N]
 *
 * A case fails when the reader neither takes its bytes nor refuses them in a sentence, or needs more than a second. `--only`
 * and `--first` repeat the cases of one reader from a number on.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { damaged } from "../../test/kit/fuzz/mutate.ts";
import { type FuzzTarget, openFuzzTargets } from "../../test/kit/fuzz/targets.ts";

const MOST_MS = 1000;
const MIB = 2 ** 20;

interface FuzzReport {
  readonly target: string;
  readonly cases: number;
  readonly failures: readonly string[];
  readonly slowestMs: number;
  /** Memory of the process above what it was after the first tenth. */
  readonly grownMiB: number;
}

async function fuzz(target: FuzzTarget, cases: number, seed: number, first: number): Promise<FuzzReport> {
  const failures: string[] = [];
  let [slowestMs, settled, most] = [0, 0, 0];
  for (let i = first; i < first + cases; i++) {
    const bytes = damaged(target.files, seed * 1_000_003 + i);
    const begin = performance.now();
    try {
      await target.feed(bytes);
    } catch (error) {
      failures.push(`case ${i}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    const ms = performance.now() - begin;
    if (ms > MOST_MS) failures.push(`case ${i}: ${ms.toFixed(0)} ms`);
    slowestMs = Math.max(slowestMs, ms);
    if ((i - first) % 64 !== 63) continue;
    const { rss } = process.memoryUsage();
    most = Math.max(most, rss);
    if (i - first < cases / 10) settled = most;
  }
  const grown = settled === 0 ? 0 : most - settled;
  return { target: target.name, cases, failures, slowestMs: Math.round(slowestMs), grownMiB: Math.round(grown / MIB) };
}

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "50000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    first: { type: "string", default: "0" },
  },
});
const { targets, close } = await openFuzzTargets();
const shares = targets.reduce((sum, { share }) => sum + share, 0);
for (const target of targets) {
  if (values.only !== undefined && target.name !== values.only) continue;
  const cases =
    values.only === undefined ? Math.ceil((Number(values.cases) * target.share) / shares) : Number(values.cases);
  const report = await fuzz(target, cases, Number(values.seed), Number(values.first));
  console.log(JSON.stringify({ ...report, failures: report.failures.slice(0, 5), failed: report.failures.length }));
  if (report.failures.length > 0) process.exitCode = 1;
}
await close();
