/** A worker module for the tests of `Host.spawnWorker`. */
import process from "node:process";
import type { WorkerPort } from "../../runtime/host/worker_port.ts";

interface EchoData {
  readonly greeting: string;
  readonly shared?: Int32Array;
}

export function start(port: WorkerPort): void {
  const { greeting, shared } = port.data as EchoData;
  port.onMessage((message) => {
    if (message === "exit") process.exit(3);
    if (shared !== undefined) Atomics.add(shared, 0, 1);
    port.postMessage({ echo: message });
  });
  port.postMessage({ ready: greeting });
}
