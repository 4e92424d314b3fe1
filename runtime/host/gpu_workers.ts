/**
 * Workers that a GPU's device lives in, on a host whose process may end while one of them is still giving its driver back. Deno does
 * so on the worker's thread after it has told that the worker ended. Where the process runs its exit handlers meanwhile, the driver's
 * are called from memory that is no longer there, and a program that had ended well ends by a signal.
 */
import type { WorkerHandle } from "../abi/device.ts";

/** How long a process waits where nobody says whether a thread is still there. Giving a driver back took 10 to 25 ms. */
const UNSEEN_MS = 150;
/** How long a process waits for a thread at most. */
const SEEN_MS = 2000;

/** What the workers need of their process. */
export interface GpuWorkerProcess {
  /** @param thread whose first element is set to the number of the worker's thread by the system, where that is known */
  spawn(entry: URL, data: unknown, thread: Int32Array): WorkerHandle;
  hasThread(thread: number): boolean;
  now(): number;
  /** Stops the caller's thread. @param ms milliseconds */
  block(ms: number): void;
  /** Adds a listener for the moment before the process ends. */
  onExit(listener: () => void): void;
}

/** A worker that ended, and when. */
interface Ended {
  readonly thread: Int32Array;
  readonly at: number;
}

/** Spawns workers, and has the process end only after they gave their drivers back. */
export function gpuWorkers(process: GpuWorkerProcess): (entry: URL, data: unknown) => WorkerHandle {
  const alive = new Map<WorkerHandle, Int32Array>();
  let ended: Ended[] = [];
  let listens = false;

  const isGivingBack = ({ thread, at }: Ended): boolean => {
    const passed = process.now() - at;
    return thread[0] === 0 ? passed < UNSEEN_MS : passed < SEEN_MS && process.hasThread(thread[0]);
  };
  const noteEnd = (worker: WorkerHandle): void => {
    const thread = alive.get(worker);
    if (thread !== undefined) ended.push({ thread, at: process.now() });
    alive.delete(worker);
  };
  const end = (worker: WorkerHandle): Promise<void> => {
    noteEnd(worker);
    return worker.terminate();
  };
  const atExit = (): void => {
    for (const worker of [...alive.keys()]) void end(worker);
    while (ended.some(isGivingBack)) process.block(1);
  };

  return (entry, data) => {
    if (!listens) process.onExit(atExit);
    listens = true;
    ended = ended.filter(isGivingBack);
    const thread = new Int32Array(new SharedArrayBuffer(4));
    const worker = process.spawn(entry, data, thread);
    alive.set(worker, thread);
    worker.onEnd(() => noteEnd(worker));
    return { ...worker, terminate: () => end(worker) };
  };
}
