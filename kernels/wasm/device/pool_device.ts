/** A device with workers: the caller's thread posts one message per run and receives one. */
import type { DeviceBuffer, DeviceHost, WorkerHandle } from "../../../runtime/abi/device.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { codeCompiler } from "./compile_code.ts";
import { createControl, FAILED, failureReason, MESSAGES, RELEASES, RUN, STEP, STOP, WAKE } from "./control.ts";
import { noteRelease } from "./foreign_call.ts";
import type { Channel } from "./isolate_channel.ts";
import { Isolates } from "./isolates.ts";
import { type Code, closedError, kernelFailure, LinearDevice, type Work } from "./linear_device.ts";
import { LinearMemory } from "./memory.ts";
import { withSharedMemory } from "./shared_import.ts";
import type { FromWorker, ToWorker, WorkerData } from "./worker_protocol.ts";

type SpawnWorker = NonNullable<DeviceHost["spawnWorker"]>;

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** How long a closing worker may take to leave its loop. */
const CLOSE_MS = 500;
/** How long a foreign kernel's call may go on in a run that is to end; usual ones take less than a tenth. */
const PATIENCE_MS = 2;
/** So often in so many milliseconds may workers be started again; one that ends each time takes the device along. */
const MOST_RESTARTS = 3;
const RESTARTS_MS = 60_000;

export class PoolDevice extends LinearDevice {
  readonly #spawn: SpawnWorker;
  /** Workers of foreign kernels that have their own. */
  readonly #isolates: Isolates;
  #control: Int32Array<SharedArrayBuffer> = createControl();
  #workers: WorkerHandle[] = [];
  /** All code that workers have, or are about to have. */
  readonly #installed: Code[] = [];
  /** By kind of answer: "ready", "closed", or "loaded N"; each counts the workers that still have to answer. */
  readonly #answers: Map<string, Waiting<void> & { left: number }> = new Map();
  #request = 0;
  #run = 0;
  #current: Waiting<void> | undefined;
  #currentKernels: readonly string[] = [];
  #busy = 0;
  #ended: string | undefined;
  #closing = false;
  /** Resolves when the present workers may be given work. */
  #ready: Promise<void>;
  #isReady = false;
  /** Lets a run go that waits for workers. */
  #stopWaiting: () => void = () => {};
  /** Resolves when kernels whose calls were given up have workers again; nothing where none is missing. */
  #renewed: Promise<void> | undefined;
  /** Resolves when workers that were replaced have ended. */
  #leaving: Promise<unknown> = Promise.resolve();
  /** When workers were started again. */
  #restarts: readonly number[] = [];

  /**
   * Workers start while the caller goes on, which takes 20 to 100 ms; the first code that is loaded waits for them and tells
   * of one that does not start.
   */
  constructor(spawn: SpawnWorker, target: string, threads: number, bound: number) {
    super(target, threads, new LinearMemory(bound, true), codeCompiler(withSharedMemory));
    this.#spawn = spawn;
    this.#isolates = new Isolates(spawn);
    this.#ready = this.#whenReady(this.#startAll());
  }

  /** Shared memory stays in place while it grows. */
  window(buffer: DeviceBuffer, offset: number, bytes: number): Uint8Array {
    return this.view(buffer, offset, bytes);
  }

  protected released(address: number, bytes: number): void {
    noteRelease(this.#control.subarray(RELEASES), address, bytes);
  }

  protected async install(codes: readonly Code[]): Promise<void> {
    await this.#ready;
    this.#installed.push(...codes);
    await this.#send(codes);
  }

  async #send(codes: readonly Code[]): Promise<void> {
    const workers = this.#workers;
    const isolated = await Promise.all(codes.map((code) => this.#isolated(code))).catch((error: unknown) => {
      if (this.#workers === workers) throw error;
      return [];
    });
    // New workers get all that is installed, and workers of its own with it.
    if (this.#workers !== workers) return this.#ready;
    if (this.#closing) throw closedError();
    const request = ++this.#request;
    const loaded = this.#expect(`loaded ${request}`);
    this.#broadcast({ type: "load", request, codes: isolated });
    return loaded;
  }

  async #isolated(code: Code): Promise<Code & { readonly isolates?: readonly Channel[] }> {
    const { index, module, sandbox } = code;
    if (sandbox?.memory !== "worker") return code;
    this.onBusy(true);
    try {
      return { ...code, isolates: await this.#isolates.start({ index, module, sandbox }, this.threads) };
    } finally {
      this.onBusy(false);
    }
  }

  protected async execute(work: Work): Promise<void> {
    // Counted before it waits, so that it can be interrupted.
    const run = ++this.#run;
    if (!this.#isReady || this.#renewed !== undefined) {
      const stopped = new Promise<void>((resolve) => {
        this.#stopWaiting = resolve;
      });
      await Promise.race([this.#ready.then(() => this.#renewed), stopped]);
      if (Atomics.load(this.#control, STOP) === run) return;
    }
    if (this.#closing) throw closedError();
    this.#currentKernels = work.kernels;
    return new Promise((resolve, reject) => {
      this.#current = { resolve, reject };
      const { table, launches, scratch, stride } = work;
      this.#post(this.#workers[0], { type: "run", run, table, launches, scratch, stride });
    });
  }

  protected interrupt(): void {
    Atomics.store(this.#control, STOP, this.#run);
    this.#stopWaiting();
    this.#abandonCalls(this.#run, this.#isolates.underWay());
  }

  /** Until a run that is to end has ended: gives up on calls of foreign kernels that do not return. */
  #abandonCalls(run: number, before: ReadonlyMap<Channel, number>): void {
    setTimeout(() => {
      const isOver = this.#closing || this.#ended !== undefined || this.#current === undefined || this.#run !== run;
      if (!isOver) this.#abandonCalls(run, this.#isolates.abandon(before));
    }, PATIENCE_MS);
  }

  /** Workers anew for kernels whose calls were given up. One that does not start is told by the call that misses it. */
  async #renew(): Promise<void> {
    // After the caller has its answer: ending and starting a worker takes Deno some 50 ms of this thread.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const kernels = this.#isolates.reap();
    if (kernels.size > 0) await this.#send(this.#installed.filter(({ index }) => kernels.has(index))).catch(() => {});
    this.#renewed = undefined;
  }

  protected position(): number {
    // Until the leader has begun, the words are those of the run before.
    return Atomics.load(this.#control, RUN) === this.#run ? Atomics.load(this.#control, STEP) : 0;
  }

  /** Only waiting work keeps the process alive. */
  protected onBusy(busy: boolean): void {
    this.#busy += busy ? 1 : -1;
    if (this.#busy === 1 && busy) for (const worker of this.#workers) worker.ref();
    else if (this.#busy === 0) for (const worker of this.#workers) worker.unref();
  }

  protected async shutDown(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    // For good: workers that are ended keep the process alive until they are gone, whatever they still answer meanwhile.
    this.onBusy(true);
    if (this.#workers.length > 0 && this.#ended === undefined) {
      // Workers that leave by themselves end at once on every runtime; one that computes for long is cut off.
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS);
      });
      const left = this.#expect("closed").catch(() => {});
      this.#broadcast({ type: "close" });
      await Promise.race([left, late]);
      clearTimeout(timer);
    }
    await Promise.all([this.#leaving, this.#isolates.end(), ...this.#workers.map((worker) => worker.terminate())]);
    // Of workers that were cut off before they answered, be it that they are ready.
    for (const waiting of this.#answers.values()) waiting.reject(closedError());
    this.#answers.clear();
  }

  /** Work may begin once this resolves; its failure is told to whoever waits for it. */
  #whenReady(started: Promise<void>): Promise<void> {
    const ready = started.then(() => {
      this.#isReady = true;
    });
    ready.catch(() => {});
    return ready;
  }

  /** Starts workers with nothing in them. */
  #startAll(): Promise<void> {
    const ready = this.#expect("ready");
    for (let worker = 0; worker < this.threads; worker++) this.#start(worker);
    return ready;
  }

  #start(worker: number): void {
    const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const data: WorkerData = { memory: this.memory.memory, control: this.#control, worker };
    const handle = this.#spawn(new URL(`./pool_worker${suffix}`, import.meta.url), data);
    const workers = this.#workers;
    workers.push(handle);
    // Those of earlier workers are of no interest any more.
    handle.onMessage((message) => {
      if (this.#workers === workers) this.#receive(message as FromWorker);
    });
    handle.onEnd((reason) => {
      if (this.#workers === workers) this.#end(worker, reason);
    });
  }

  /** Resolves when every worker has sent the answer. Keeps the process alive until then. */
  #expect(answer: string): Promise<void> {
    this.onBusy(true);
    const done = new Promise<void>((resolve, reject) => {
      this.#answers.set(answer, { left: this.threads, resolve, reject });
    });
    return done.finally(() => this.onBusy(false));
  }

  #post(worker: WorkerHandle, message: ToWorker): void {
    worker.postMessage(message);
  }

  #broadcast(message: ToWorker): void {
    // Counted first: a helper that takes the message before it is counted would stay out of its loop.
    Atomics.add(this.#control, MESSAGES, 1);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
    for (const worker of this.#workers) this.#post(worker, message);
  }

  #receive(message: FromWorker): void {
    if (message.type === "done") {
      this.#finish();
      return;
    }
    const answer = message.type === "loaded" ? `loaded ${message.request}` : message.type;
    const waiting = this.#answers.get(answer);
    if (waiting === undefined) return;
    if (message.type === "loaded" && message.error !== undefined) {
      this.#answers.delete(answer);
      waiting.reject(
        new FoveaError("invalid_code", `A worker could not link a kernel to the device's memory: ${message.error}`),
      );
    } else if (--waiting.left === 0) {
      this.#answers.delete(answer);
      waiting.resolve();
    }
  }

  #finish(): void {
    const current = this.#current;
    this.#current = undefined;
    if (this.#isolates.anyGone) this.#renewed = this.#renew();
    const failed = Atomics.load(this.#control, FAILED);
    if (failed === 0) current?.resolve();
    else {
      current?.reject(kernelFailure(this.#currentKernels[failed - 1], failureReason(this.#control)));
    }
  }

  /** A worker ended that nobody asked to end: what ran is lost, and what waits runs on new workers. */
  #end(worker: number, reason: string): void {
    if (this.#closing || this.#ended !== undefined) return;
    const what = `Worker ${worker} of the device "wasm" ended: ${reason}.`;
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < RESTARTS_MS), now];
    // One that never was ready would not be the next time.
    if (!this.#isReady || this.#restarts.length > MOST_RESTARTS) {
      this.#giveUp(reason, what);
      return;
    }
    const workers = this.#workers;
    this.#workers = [];
    this.#control = createControl();
    this.#isReady = false;
    const loads = [...this.#answers.values()];
    this.#answers.clear();
    // A kernel may be under way in a worker of its own; nobody waits for its answer any more.
    this.#leaving = Promise.all([this.#isolates.end(), ...workers.map((one) => one.terminate())]);
    this.#ready = this.#whenReady(this.#restart());
    // Loads that were under way are among what is loaded again.
    for (const { resolve, reject } of loads) this.#ready.then(() => resolve(), reject);
    const current = this.#current;
    this.#current = undefined;
    current?.reject(
      new FoveaError("run_lost", `${what} What it ran is lost; the device goes on with new workers.`, { exitCode: 1 }),
    );
  }

  /** Old workers have ended before new ones touch the memory. */
  async #restart(): Promise<void> {
    this.onBusy(true);
    try {
      await this.#leaving;
      if (this.#closing) throw closedError();
      await this.#startAll();
      await this.#send(this.#installed);
    } finally {
      this.onBusy(false);
    }
  }

  #giveUp(reason: string, what: string): void {
    this.#ended = reason;
    const error = new FoveaError(
      "worker_failed",
      `${what} It will not be started again: call \`reopen()\` of the runtime to open the device anew.`,
      {
        exitCode: 1,
      },
    );
    this.interrupt();
    for (const waiting of this.#answers.values()) waiting.reject(error);
    this.#answers.clear();
    this.fail(error);
    // The others would wait for it for ever.
    for (const handle of this.#workers) void handle.terminate();
  }
}
