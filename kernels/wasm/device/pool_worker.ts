/** The entry of a pool's workers. Runtime-neutral: the host's worker entry imports this file and calls `start`. */
import { RELEASES } from "./control.ts";
import { PoolLoop } from "./run_loop.ts";
import { linkKernel } from "./sandbox.ts";
import { linkGlued } from "./transpiled_kernel.ts";
import type { FromWorker, LoadMessage, ToWorker, WorkerData, WorkerPort } from "./worker_protocol.ts";

/** Answers messages until the worker is ended. A helper spends the time between messages in its loop. */
export function start(port: WorkerPort): void {
  const { memory, control, worker } = port.data as WorkerData;
  const loop = new PoolLoop(memory, control, worker);
  let handled = 0;
  let closed = false;

  const post = (message: FromWorker): void => port.postMessage(message);

  const load = ({ request, codes }: LoadMessage): void => {
    try {
      for (const code of codes) {
        const isolate = code.isolates?.[worker];
        loop.kernels[code.index] = linkKernel(code, memory, control.subarray(RELEASES), linkGlued, isolate);
      }
      post({ type: "loaded", request });
    } catch (error) {
      post({ type: "loaded", request, error: error instanceof Error ? error.message : String(error) });
    }
  };

  port.onMessage((received) => {
    const message = received as ToWorker;
    handled++;
    if (message.type === "load") load(message);
    else if (message.type === "run") {
      loop.lead(message.run, message.table, message.launches, message.scratch, message.stride);
      post({ type: "done", run: message.run });
    } else {
      closed = true;
      post({ type: "closed" });
    }
    if (worker > 0 && !closed) loop.help(handled);
  });
  post({ type: "ready" });
}
