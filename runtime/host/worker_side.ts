/** The worker's half of `Host.spawnWorker`: one port for Web Workers and for Node's worker threads. */

/** What a worker has of the thread that started it. */
export interface WorkerPort {
  /** The second argument of `spawnWorker`. */
  readonly data: unknown;
  /** Sets the listener. Messages that arrived before are delivered first. */
  onMessage(listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
}

/** What a module exports whose URL is given to `spawnWorker`. */
export interface WorkerModule {
  start(port: WorkerPort): void | Promise<void>;
}

/** How a worker learns what to run: `workerData` of a thread, or the first message to a Web Worker. */
export interface WorkerStart {
  /** URL of a {@link WorkerModule}. */
  readonly entry: string;
  readonly data: unknown;
}

/** The part of a Web Worker's global scope that is used here; type libraries for windows lack it. */
interface WebScope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
}

/** What this worker is to run, and its port. */
export async function workerStart(): Promise<{ readonly entry: string; readonly port: WorkerPort }> {
  // Web Workers have `self`; worker threads of Node and of Deno do not.
  if (typeof self !== "undefined") return webStart(self as unknown as WebScope);
  const { parentPort, workerData } = await import("node:worker_threads");
  if (parentPort === null) throw new Error("internal: the workers' main module runs outside of a worker");
  const { entry, data } = workerData as WorkerStart;
  return {
    entry,
    port: {
      data,
      onMessage: (listener) => {
        parentPort.on("message", listener);
      },
      postMessage: (message) => parentPort.postMessage(message),
    },
  };
}

async function webStart(scope: WebScope): Promise<{ readonly entry: string; readonly port: WorkerPort }> {
  const waiting: unknown[] = [];
  let deliver = (message: unknown): void => {
    waiting.push(message);
  };
  await new Promise<void>((resolve) => {
    scope.addEventListener("message", ({ data }) => {
      deliver(data);
      resolve();
    });
  });
  const { entry, data } = waiting.shift() as WorkerStart;
  return {
    entry,
    port: {
      data,
      onMessage: (listener) => {
        // Later, as a thread's port does: what `start` still has to do comes first.
        queueMicrotask(() => {
          for (const message of waiting.splice(0)) listener(message);
          deliver = listener;
        });
      },
      postMessage: (message) => scope.postMessage(message),
    },
  };
}
