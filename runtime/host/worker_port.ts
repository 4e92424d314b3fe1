/** The worker's half of `Host.spawnWorker` on the Web's `Worker`, and what it shares with other threads. */
import type { Unavailable } from "../abi/device.ts";
import { builtInGpu, mapsEarly } from "./gpu.ts";

/** What a worker has of the thread that started it. */
export interface WorkerPort {
  /** The second argument of `spawnWorker`. */
  readonly data: unknown;
  /** Sets the listener. Messages that arrived before are delivered first. */
  onMessage(listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
  /** The runtime's own WebGPU, or why there is none. */
  gpu(): Promise<GPU | Unavailable>;
  /** Its `mapAsync` waits in the thread, and a buffer that was mapped before can be read as soon as it returns. */
  readonly mapsEarly: boolean;
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
  /** Shared memory, whose first element a thread sets to the number that the system gives to it, where the system tells. */
  readonly thread?: Int32Array;
}

/** What a worker is to run, and its port. */
export interface StartedWorker {
  readonly entry: string;
  readonly port: WorkerPort;
}

/** The part of a Web Worker's global scope that is used here; type libraries for windows lack it. */
interface WebScope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
}

/** Keeps messages until a listener is set. */
export class Inbox {
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

export function portOf({ entry, data }: WorkerStart, inbox: Inbox, post: (message: unknown) => void): StartedWorker {
  const { Deno: deno } = globalThis as { readonly Deno?: { readonly version: { readonly deno: string } } };
  const gpu = { gpu: builtInGpu, mapsEarly: mapsEarly(deno?.version.deno) };
  return { entry, port: { data, onMessage: (listener) => inbox.listen(listener), postMessage: post, ...gpu } };
}

/** What this Web Worker is to run, and its port. Called while the main module is evaluated, with no await before. */
export async function webStart(): Promise<StartedWorker> {
  const scope = self as unknown as WebScope;
  const inbox = new Inbox();
  await new Promise<void>((resolve) => {
    scope.addEventListener("message", ({ data }) => {
      inbox.receive(data);
      resolve();
    });
  });
  return portOf(inbox.waiting.shift() as WorkerStart, inbox, (message) => scope.postMessage(message));
}
