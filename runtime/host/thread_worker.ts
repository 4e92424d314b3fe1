/** Workers on `node:worker_threads`, for Node and Deno (whose Web Workers give no event when one dies). */
import { Worker } from "node:worker_threads";
import type { WorkerHandle } from "../abi/device.ts";
import { endOnce } from "./worker_end.ts";
import type { WorkerStart } from "./worker_port.ts";
import { WORKER_ENTRY } from "./worker_url.ts";

/** @param thread gets the number that the system gives to the worker's thread, see `WorkerStart` */
export function spawnThread(entry: URL, data: unknown, thread?: Int32Array): WorkerHandle {
  const start: WorkerStart = { entry: entry.href, data, ...(thread === undefined ? {} : { thread }) };
  const worker = new Worker(WORKER_ENTRY, { workerData: start });
  const end = endOnce();
  worker.on("error", (error) => end.report(`it threw "${error.message}"`));
  worker.on("exit", (code) => end.report(`it exited with code ${code}`));
  return {
    postMessage: (message) => worker.postMessage(message),
    onMessage: (listener) => {
      worker.on("message", listener);
    },
    onEnd: end.onEnd,
    terminate: async () => {
      end.silence();
      await worker.terminate();
    },
    unref: () => worker.unref(),
    ref: () => worker.ref(),
  };
}
