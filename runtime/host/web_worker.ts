/** Workers on the Web's `Worker`: Bun's own, and Deno's for sources that lie on a server. */
import type { WorkerHandle } from "../abi/device.ts";
import { webWorkerHandle } from "./web_worker_handle.ts";
import { WORKER_ENTRY } from "./worker_url.ts";

export function spawnWebWorker(entry: URL, data: unknown): WorkerHandle {
  return webWorkerHandle(new Worker(WORKER_ENTRY, { type: "module" }), entry, data);
}
