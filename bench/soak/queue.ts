/**
 * `npm run soak -- queue [--items 5000] [--workers bun,deno,node] [--kills worker,redis,…]`: workers on all runtimes
 * encode pictures from one queue while workers and Redis are killed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRuntime } from "../../mod.ts";
import { killRun } from "../../test/queue/kill_run.ts";

const { values } = parseArgs({
  options: {
    commands: { type: "string" },
    items: { type: "string", default: "5000" },
    workers: { type: "string", default: "bun,deno,node" },
    kills: { type: "string", default: "worker,redis,worker,redis,worker" },
  },
});

const commands = JSON.parse(values.commands ?? "{}") as Readonly<Record<string, readonly string[]>>;
const folder = mkdtempSync(join(tmpdir(), "fovea-soak-"));
let held = false;
try {
  await using runtime = await createRuntime({ threads: 0, target: "wasm-simd128", cache: join(folder, "cache") });
  const report = await killRun({
    ...{ folder, runtime, items: Number(values.items), shardRows: 500, stalledAfterMs: 2000 },
    commands: values.workers.split(",").map((name) => commands[name]),
    env: { FOVEA_CACHE_DIR: join(folder, "cache") },
    kills: values.kills.split(",") as ("worker" | "redis")[],
    say: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  const { items, rows, missing, doubled, worst, deadLetters, problems } = report;
  held = rows === items && missing.length + doubled + deadLetters + problems.length + worst === 0;
  process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stderr.write(held ? "nothing was lost and nothing came twice\n" : "FAILED\n");
if (!held) process.exitCode = 1;
