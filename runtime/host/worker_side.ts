/** The worker's half of `Host.spawnWorker`: one port for Web Workers and for Node's worker threads. */
import { parentPort, workerData } from "node:worker_threads";
import type { Unavailable } from "../abi/device.ts";
import { internal } from "../core/diagnostics.ts";
import { builtInGpu } from "./gpu.ts";

/** What a worker has of the thread that started it. */
export interface WorkerPort {
  /** The second argument of `spawnWorker`. */
  readonly data: unknown;
  /** Sets the listener. Messages that arrived before are delivered first. */
  onMessage(listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
  /** The runtime's own WebGPU, or why there is none. */
  gpu(): Promise<GPU | Unavailable>;
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

/** Keeps messages until a listener is set. */
class Inbox {
  readonly waiting: unknown[] = [];
  #listener: ((message: unknown) => void) | undefined;

  receive(message: unknown): void {
    if (this.#listener === undefined) this.waiting.push(message);
    else this.#listener(message);
  }

  listen(listener: (message: unknown) => void): void {
    // Later, so that what `start` still has to do comes first.
    queueMicrotask(() => {
      for (const message of this.waiting.splice(0)) listener(message);
      this.#listener = listener;
    });
  }
}

/** What this worker is to run, and its port. Called while the main module is evaluated, with no await before. */
export function workerStart(): Promise<{ readonly entry: string; readonly port: WorkerPort }> {
  // Web Workers have no `workerData`; threads have it, and in Bun `self` too.
  return workerData ? threadStart() : webStart(self as unknown as WebScope);
}

async function threadStart(): Promise<{ readonly entry: string; readonly port: WorkerPort }> {
  const parent = parentPort ?? internal("the workers' main module runs outside of a worker");
  const inbox = new Inbox();
  // Deno drops messages that arrive while the main module awaits and nobody listens.
  parent.on("message", (message) => inbox.receive(message));
  const { entry, data } = workerData as WorkerStart;
  return {
    entry,
    port: {
      data,
      onMessage: (listener) => inbox.listen(listener),
      postMessage: (message) => parent.postMessage(message),
      gpu: builtInGpu,
    },
  };
}

async function webStart(scope: WebScope): Promise<{ readonly entry: string; readonly port: WorkerPort }> {
  const inbox = new Inbox();
  await new Promise<void>((resolve) => {
    scope.addEventListener("message", ({ data }) => {
      inbox.receive(data);
      resolve();
    });
  });
  const { entry, data } = inbox.waiting.shift() as WorkerStart;
  return {
    entry,
    port: {
      data,
      onMessage: (listener) => inbox.listen(listener),
      postMessage: (message) => scope.postMessage(message),
      gpu: builtInGpu,
    },
  };
}
