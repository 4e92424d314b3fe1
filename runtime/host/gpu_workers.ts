/**
 * Workers that a GPU's device lives in, on a host whose process may end while one of them is still giving its driver back. Deno does
 * so on the worker's thread after it has told that the worker ended, and nothing says when it is done; where the process runs its exit
 * handlers meanwhile, the driver's are called from memory that is no longer there, and a program that had ended well ends by a signal.
 */
import type { WorkerHandle } from "../abi/device.ts";

/** Giving a driver back took 10 to 25 ms on idle machines, of software drivers and of a card's. */
const GIVING_BACK_MS = 150;

/** What the workers need of their process. */
export interface GpuWorkerProcess {
  now(): number;
  /** Stops the thread. @param ms milliseconds */
  block(ms: number): void;
  /** Adds a listener for the moment before the process ends. */
  onExit(listener: () => void): void;
}

/** Spawns as `spawn` does, and has the process end only when the workers' drivers can have been given back. */
export function gpuWorkers(
  spawn: (entry: URL, data: unknown) => WorkerHandle,
  process: GpuWorkerProcess,
): (entry: URL, data: unknown) => WorkerHandle {
  const alive = new Set<WorkerHandle>();
  let lastEnd = Number.NEGATIVE_INFINITY;
  let listens = false;
  const end = (worker: WorkerHandle): Promise<void> => {
    alive.delete(worker);
    lastEnd = process.now();
    return worker.terminate();
  };
  const atExit = (): void => {
    for (const worker of alive) void end(worker);
    const left = lastEnd + GIVING_BACK_MS - process.now();
    if (left > 0) process.block(left);
  };
  return (entry, data) => {
    if (!listens) process.onExit(atExit);
    listens = true;
    const worker = spawn(entry, data);
    alive.add(worker);
    worker.onEnd(() => {
      alive.delete(worker);
      lastEnd = process.now();
    });
    return { ...worker, terminate: () => end(worker) };
  };
}
