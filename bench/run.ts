/**
 * Runs benchmarks on the current runtime: a table for people on stderr, one line of JSON per benchmark on stdout.
 *
 *   run.ts [name ...] [--list] [--threads N] [--batch N] [--rounds N] [--runs N]
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { clipVsOnnxruntimeWeb } from "./clip_vs_onnxruntime_web.ts";
import { int8VsF32 } from "./int8_vs_f32.ts";
import { tightRange } from "./tight_range.ts";

const BENCHMARKS: Readonly<Record<string, (options: BenchOptions) => Promise<BenchResult>>> = {
  clip_vs_onnxruntime_web: clipVsOnnxruntimeWeb,
  int8_vs_f32: int8VsF32,
  tight_range: tightRange,
};

function hostName(): string {
  const { bun, deno, node } = process.versions;
  return bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`;
}

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes a whole number from 1 to 9999, not "${text}".`);
}

const round = (value: number, digits: number): number => Number(value.toPrecision(digits));

function report(name: string, host: string, { settings, difference, rows }: BenchResult): void {
  const facts = Object.entries(settings).map(([key, value]) => `${key} ${value}`);
  console.error(`${name} on ${host}: ${facts.join(", ")}`);
  for (const row of rows) {
    const [ms, min] = [row.ms, row.min].map((t) => t.toPrecision(4).padStart(8));
    console.error(
      `  ${row.name.padEnd(18)}${ms} ms median${min} min${row.gflops.toFixed(1).padStart(8)} GFLOP/s${row.ratio.toFixed(2).padStart(7)}x`,
    );
  }
  console.error(`  results differ by ${difference.toExponential(1)} standard deviations at most`);
  const rounded = rows.map((r) => ({
    name: r.name,
    ms: round(r.ms, 4),
    min: round(r.min, 4),
    gflops: round(r.gflops, 3),
    ratio: round(r.ratio, 3),
  }));
  console.log(
    JSON.stringify({ benchmark: name, runtime: host, ...settings, difference: round(difference, 2), rows: rounded }),
  );
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      list: { type: "boolean", default: false },
      threads: { type: "string", default: "1" },
      batch: { type: "string", default: "1" },
      rounds: { type: "string", default: "8" },
      runs: { type: "string", default: "5" },
    },
    allowPositionals: true,
  });
  const known = Object.keys(BENCHMARKS);
  if (values.list) return console.log(known.join("\n"));
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`There is no benchmark "${unknown}"; there are ${known.join(", ")}.`);
  const options: BenchOptions = {
    threads: count("threads", values.threads),
    batch: count("batch", values.batch),
    rounds: count("rounds", values.rounds),
    runs: count("runs", values.runs),
  };
  for (const name of positionals.length === 0 ? known : positionals) {
    report(name, hostName(), await BENCHMARKS[name](options));
  }
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
