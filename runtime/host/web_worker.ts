/** Workers on the Web's `Worker`: Bun's own, and Deno's for sources that lie on a server. */
import type { WorkerHandle } from "../abi/device.ts";
import { endOnce } from "./worker_end.ts";
import type { WorkerStart } from "./worker_side.ts";
import { WORKER_ENTRY } from "./worker_url.ts";

/** Bun's Worker has more than the Web's. */
interface CountedWorker extends Worker {
  ref?(): void;
  unref?(): void;
}

export function spawnWebWorker(entry: URL, data: unknown): WorkerHandle {
  const worker: CountedWorker = new Worker(WORKER_ENTRY, { type: "module" });
  const end = endOnce();
  const closed = new Promise<void>((resolve) => {
    worker.addEventListener("close", (event) => {
      resolve();
      end.report(`it exited with code ${(event as Event & { code?: number }).code ?? "unknown"}`);
    });
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    // Bun's message holds the source lines before "error: " and the stack after it.
    end.report(`it threw "${/^\w*error: (.*)$/im.exec(event.message)?.[1] ?? event.message}"`);
  });
  worker.postMessage({ entry: entry.href, data } satisfies WorkerStart);
  return {
    postMessage: (message) => worker.postMessage(message),
    onMessage: (listener) => {
      worker.addEventListener("message", (event) => listener(event.data));
    },
    onEnd: end.onEnd,
    terminate: async () => {
      end.silence();
      worker.terminate();
      // Only Bun tells when a worker has closed, and says so by having `ref`.
      if (worker.ref !== undefined) await closed;
    },
    unref: () => worker.unref?.(),
    ref: () => worker.ref?.(),
  };
}
