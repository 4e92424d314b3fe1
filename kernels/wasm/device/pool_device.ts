/** A device with workers: the caller's thread posts one message per run and receives one. */
import type { DeviceBuffer, DeviceHost, WorkerHandle } from "../../../runtime/abi/device.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { createControl, FAILED, failureReason, MESSAGES, RUN, STEP, STOP, WAKE } from "./control.ts";
import { type Code, kernelFailure, LinearDevice, type Work } from "./linear_device.ts";
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

export class PoolDevice extends LinearDevice {
  readonly #control: Int32Array<SharedArrayBuffer> = createControl();
  readonly #workers: WorkerHandle[] = [];
  /** By kind of answer: "ready", "closed", or "loaded N"; each counts the workers that still have to answer. */
  readonly #answers: Map<string, Waiting<void> & { left: number }> = new Map();
  #request = 0;
  #run = 0;
  #current: Waiting<void> | undefined;
  #currentKernels: readonly string[] = [];
  #busy = 0;
  #ended: string | undefined;
  #closing = false;
  readonly #ready: Promise<void>;

  /**
   * Workers start while the caller goes on, which takes 20 to 100 ms; the first code that is loaded waits for them and tells
   * of one that does not start.
   */
  constructor(spawn: SpawnWorker, target: string, threads: number, bound: number) {
    super(target, threads, new LinearMemory(bound, true));
    this.#ready = this.#expect("ready");
    this.#ready.catch(() => {});
    for (let worker = 0; worker < threads; worker++) this.#start(spawn, worker);
  }

  /** Shared memory stays in place while it grows. */
  window(buffer: DeviceBuffer, offset: number, bytes: number): Uint8Array {
    return this.view(buffer, offset, bytes);
  }

  protected prepare(code: Uint8Array): Uint8Array<ArrayBuffer> {
    return withSharedMemory(code);
  }

  protected async install(codes: readonly Code[]): Promise<void> {
    await this.#ready;
    const request = ++this.#request;
    const loaded = this.#expect(`loaded ${request}`);
    this.#broadcast({ type: "load", request, codes });
    await loaded;
  }

  protected execute(work: Work): Promise<void> {
    const run = ++this.#run;
    this.#currentKernels = work.kernels;
    return new Promise((resolve, reject) => {
      this.#current = { resolve, reject };
      const { table, launches, scratch, stride } = work;
      this.#post(this.#workers[0], { type: "run", run, table, launches, scratch, stride });
    });
  }

  protected interrupt(): void {
    Atomics.store(this.#control, STOP, this.#run);
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
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(spawn: SpawnWorker, worker: number): void {
    const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const data: WorkerData = { memory: this.memory.memory, control: this.#control, worker };
    const handle = spawn(new URL(`./pool_worker${suffix}`, import.meta.url), data);
    this.#workers.push(handle);
    handle.onMessage((message) => this.#receive(message as FromWorker));
    handle.onEnd((reason) => this.#end(worker, reason));
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
    const failed = Atomics.load(this.#control, FAILED);
    if (failed === 0) current?.resolve();
    else current?.reject(kernelFailure(this.#currentKernels[failed - 1], failureReason(this.#control)));
  }

  /** A worker ended that nobody asked to end: nothing that it held can be trusted. */
  #end(worker: number, reason: string): void {
    if (this.#closing || this.#ended !== undefined) return;
    this.#ended = reason;
    const error = new FoveaError(
      "worker_failed",
      `Worker ${worker} of the device "wasm" ended: ${reason}. Its runs are lost; close the device and open it again.`,
      { exitCode: 1 },
    );
    this.interrupt();
    for (const waiting of this.#answers.values()) waiting.reject(error);
    this.#answers.clear();
    this.fail(error);
    // The others would wait for it for ever.
    for (const handle of this.#workers) void handle.terminate();
  }
}
