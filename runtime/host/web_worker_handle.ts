/** A Web Worker as `Host.spawnWorker` hands it out. */
import type { WorkerHandle } from "../abi/device.ts";
import { endOnce } from "./worker_end.ts";
import type { WorkerStart } from "./worker_port.ts";

/** Bun's Worker has more than the Web's. */
interface CountedWorker extends Worker {
  ref?(): void;
  unref?(): void;
}

/** What an error event says; a worker whose file does not load says nothing. */
function reasonOf({ message }: Partial<ErrorEvent>): string {
  if (message === undefined || message === "") return "its file could not be loaded";
  // Bun's message holds the source lines before "error: " and the stack after it.
  return `it threw "${/^\w*error: (.*)$/im.exec(message)?.[1] ?? message}"`;
}

/** Tells a worker, which was just made of a main module of this folder, what to run. */
export function webWorkerHandle(worker: CountedWorker, entry: URL, data: unknown): WorkerHandle {
  const end = endOnce();
  const closed = new Promise<void>((resolve) => {
    worker.addEventListener("close", (event) => {
      resolve();
      end.report(`it exited with code ${(event as Event & { code?: number }).code ?? "unknown"}`);
    });
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    end.report(reasonOf(event));
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
