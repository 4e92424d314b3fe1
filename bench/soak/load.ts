/**
 * Asks a server for long, and prints what it took as a line of JSON: no request may fail, and memory must not grow.
 *
 *   load.ts [--requests 20000] [--threads 1]
 *
 * Pictures of four sizes over 64 connections from another process; the process's memory is read after every twentieth.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { createRuntime } from "../../mod.ts";
import { createApp, serve } from "../../runtime/server/mod.ts";
import { startClients } from "../serving_clients.ts";
import { DIGITS } from "../serving_pictures.ts";

const PARTS = 20;
const MIB = 2 ** 20;
/** What the end may have above what there was after a quarter; collectors have their moods. */
const ALLOWED_MIB = 48;

const { values } = parseArgs({
  options: { requests: { type: "string", default: "20000" }, threads: { type: "string", default: "1" } },
});
const each = Math.ceil(Number(values.requests) / PARTS);
const runtime = await createRuntime({ threads: Number(values.threads) });
const app = createApp({ runtime, models: { digits: { source: DIGITS, load: { components: ["vision"] } } } });
await app.ready;
const server = await serve(app, { port: 0 });
const clients = startClients(server.url);
const rss: number[] = [];
const latencies: number[] = [];
let failed = 0;
const begin = performance.now();
for (let part = 0; part < PARTS; part++) {
  const report = await clients.ask(each);
  failed += report.failed;
  latencies.push(...report.latencies);
  rss.push(Math.round(process.memoryUsage().rss / MIB));
}
const seconds = (performance.now() - begin) / 1000;
await clients.close();
await server.close();
await runtime.close();
const settled = Math.max(...rss.slice(PARTS / 4, PARTS / 2));
const end = Math.max(...rss.slice(-PARTS / 4));
latencies.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    requests: each * PARTS,
    failed,
    perSecond: Math.round((each * PARTS) / seconds),
    p50Ms: Math.round(latencies[Math.floor(latencies.length / 2)]),
    p99Ms: Math.round(latencies[Math.floor(latencies.length * 0.99)]),
    settledMiB: settled,
    endMiB: end,
    rssMiB: rss,
  }),
);
if (failed > 0 || end > settled + ALLOWED_MIB) process.exitCode = 1;
