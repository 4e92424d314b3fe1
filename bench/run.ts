/**
 * Runs one benchmark on the current runtime, for one model and number of threads, and prints each result as a line of JSON.
 *
 *   run.ts <name> [--model NAME] [--threads N] [--batch N] [--rounds N] [--runs N] [--peers web,node]
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { BenchOptions, BenchRecord, BenchResult, Ceilings } from "./benchmark.ts";

type Benchmark = (options: BenchOptions) => Promise<BenchResult | readonly BenchResult[]>;

/** Loaded when asked for: some need packages that others do not. */
const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  encoders: async (options) => (await import("./encoders.ts")).encoders(options),
  jpeg_to_patches: async (options) => (await import("./jpeg_to_patches.ts")).jpegToPatches(options),
  kernels: async (options) => (await import("./kernels.ts")).kernels(options),
  preparation: async (options) => (await import("./preparation.ts")).preparation(options),
  compiling: async (options) => (await import("./compiling.ts")).compiling(options),
  serving: async (options) => (await import("./serving.ts")).serving(options),
  startup: async (options) => (await import("./startup.ts")).startup(options),
  int8_vs_f32: async (options) => (await import("./int8_vs_f32.ts")).int8VsF32(options),
  jpeg_to_embedding: async (options) => (await import("./jpeg_to_embedding.ts")).jpegToEmbedding(options),
  neighbours: async (options) => (await import("./neighbours.ts")).neighbours(options),
  long_sequences: async (options) => (await import("./long_sequences.ts")).longSequences(options),
  foreign_calls: async (options) => (await import("./foreign_calls.ts")).foreignCalls(options),
  counted_loops: async (options) => (await import("./counted_loops.ts")).countedLoops(options),
  tight_range: async (options) => (await import("./tight_range.ts")).tightRange(options),
};

function hostName(): string {
  const { bun, deno, node } = process.versions;
  return bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`;
}

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes a whole number from 1 to 9999, not "${text}".`);
}

const rounded = (value: number, digits: number): number => Number(value.toPrecision(digits));

const roundedCeilings = ({ gflops, copies }: Ceilings): Ceilings => ({
  gflops: rounded(gflops, 3),
  copies: copies.map(({ bytes, gbytes }) => ({ bytes, gbytes: rounded(gbytes, 3) })),
});

/** Digits that a measurement does not have are left out. */
function recordOf(benchmark: string, { settings, difference, ceilings, rows }: BenchResult): BenchRecord {
  return {
    benchmark,
    runtime: hostName(),
    settings,
    ...(difference === undefined ? {} : { difference: rounded(difference, 2) }),
    ...(ceilings === undefined ? {} : { ceilings: roundedCeilings(ceilings) }),
    rows: rows.map(({ name, ms, min, gflops, gbytes, peakMiB, ratio }) => ({
      name,
      ms: rounded(ms, 4),
      min: rounded(min, 4),
      ...(gflops === undefined ? {} : { gflops: rounded(gflops, 3) }),
      ...(gbytes === undefined ? {} : { gbytes: rounded(gbytes, 3) }),
      ...(peakMiB === undefined ? {} : { peakMiB: Math.round(peakMiB) }),
      ratio: rounded(ratio, 3),
    })),
  };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      model: { type: "string", default: "" },
      threads: { type: "string", default: "1" },
      batch: { type: "string", default: "1" },
      rounds: { type: "string", default: "7" },
      runs: { type: "string", default: "3" },
      peers: { type: "string", default: "web,node" },
    },
    allowPositionals: true,
  });
  const [name = ""] = positionals;
  if (!Object.hasOwn(BENCHMARKS, name)) {
    throw new Error(`There is no benchmark "${name}"; there are ${Object.keys(BENCHMARKS).join(", ")}.`);
  }
  const result = await BENCHMARKS[name]({
    model: values.model,
    threads: count("threads", values.threads),
    batch: count("batch", values.batch),
    rounds: count("rounds", values.rounds),
    runs: count("runs", values.runs),
    peers: values.peers.split(",").filter((peer) => peer !== ""),
  });
  for (const one of [result].flat() as readonly BenchResult[]) console.log(JSON.stringify(recordOf(name, one)));
}

try {
  await main();
  // A peer's threads may outlive its sessions.
  process.exit(0);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
