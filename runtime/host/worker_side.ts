/** The worker's half of `Host.spawnWorker`: one port for Web Workers and for Node's worker threads. */
import { readlinkSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { internal } from "../core/diagnostics.ts";
import { Inbox, portOf, type StartedWorker, type WorkerStart, webStart } from "./worker_port.ts";

/** What this worker is to run, and its port. Called while the main module is evaluated, with no await before. */
export function workerStart(): Promise<StartedWorker> {
  // Web Workers have no `workerData`; threads have it, and in Bun `self` too.
  return workerData ? threadStart() : webStart();
}

async function threadStart(): Promise<StartedWorker> {
  const parent = parentPort ?? internal("the workers' main module runs outside of a worker");
  const inbox = new Inbox();
  // Deno drops messages that arrive while the main module awaits and nobody listens.
  parent.on("message", (message) => inbox.receive(message));
  const start = workerData as WorkerStart;
  if (start.thread !== undefined) start.thread[0] = ownThread();
  return portOf(start, inbox, (message) => parent.postMessage(message));
}

/** The number that Linux gives to this thread; 0 elsewhere and where it may not be read. */
function ownThread(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return 0;
  }
}
