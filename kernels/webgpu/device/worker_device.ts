/** A device that lives in a worker, for hosts where waiting for the GPU would hold up the caller's thread. */
import type {
  BoundProgram,
  Capabilities,
  Device,
  DeviceBuffer,
  DeviceHost,
  DeviceStats,
  Launch,
  RunOptions,
  Unavailable,
  WorkerHandle,
} from "../../../runtime/abi/device.ts";
import { FoveaError, internal, KernelError } from "../../../runtime/core/diagnostics.ts";
import { webgpuCapabilities } from "./capabilities.ts";
import { Ledger } from "./ledger.ts";
import { SharedStaging } from "./shared_staging.ts";
import { touchPages } from "./touch_pages.ts";
import {
  type AnswerMessage,
  type FromWorker,
  type OpenedMessage,
  receivedBytes,
  type SentBytes,
  type SentError,
  type SentLaunch,
  type SentRead,
  sentBytes,
  type ToWorker,
  type WorkerData,
} from "./worker_protocol.ts";

type SpawnWorker = NonNullable<DeviceHost["spawnGpuWorker"]>;

interface Waiting {
  readonly resolve: (value: AnswerMessage["value"]) => void;
  readonly reject: (reason: unknown) => void;
}

interface Read {
  readonly sent: SentRead;
  readonly into: Uint8Array;
}

interface Program extends BoundProgram {
  readonly id: number;
}

/** A request before it has its number. */
type Request = ToWorker extends infer M ? (M extends { readonly request: number } ? Omit<M, "request"> : never) : never;

/** An error as it was in the worker. */
function errorOf({ code, message, stopped }: SentError): FoveaError {
  if (stopped !== undefined) return new KernelError("webgpu", stopped.step, stopped.reason);
  return new FoveaError(code, message);
}

export class WorkerDevice implements Device {
  readonly kind: string = "webgpu";
  readonly target: string;
  readonly capabilities: Capabilities;
  /** The worker hands out the GPU's work and computes nothing itself. */
  readonly threads: number = 0;
  readonly #worker: WorkerHandle;
  readonly #ledger: Ledger;
  readonly #buffers: Map<DeviceBuffer, number> = new Map();
  readonly #codes: Set<string> = new Set();
  readonly #waiting: Map<number, Waiting> = new Map();
  readonly #timed: Map<number, NonNullable<RunOptions["onTime"]>> = new Map();
  readonly #staging: SharedStaging = new SharedStaging();
  /** Shared memory that the worker reads before it answers any request from the given one on. */
  #written: { readonly shared: Uint8Array; readonly before: number }[] = [];
  #reads: { readonly reads: Read[]; readonly done: Promise<void> } | undefined;
  #last = 0;
  #runs = 0;
  #details: DeviceStats["details"];
  #modulesCompiled = 0;
  #failure: FoveaError | undefined;

  private constructor(worker: WorkerHandle, target: string, budget: number, { capabilities }: OpenedMessage) {
    this.#worker = worker;
    this.target = target;
    this.capabilities = { ...webgpuCapabilities(target), ...capabilities };
    this.#ledger = new Ledger(budget);
    worker.onEnd((reason) =>
      this.#fail(
        new FoveaError(
          "worker_failed",
          `The worker of the device "webgpu" ended: ${reason}. Its runs are lost; call \`reopen()\` of the runtime to open the device anew.`,
          { exitCode: 1 },
        ),
      ),
    );
    worker.unref();
  }

  static async open(spawn: SpawnWorker, target: string, budget: number): Promise<WorkerDevice | Unavailable> {
    const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const worker = spawn(new URL(`./device_worker${suffix}`, import.meta.url), { target } satisfies WorkerData);
    let receive: (message: FromWorker) => void = () => {};
    const opened = await new Promise<OpenedMessage | Unavailable>((resolve) => {
      receive = (message) => {
        if (message.type === "opened") resolve(message);
        else if (message.type === "absent") resolve({ unavailable: message.reason });
      };
      worker.onMessage((message) => receive(message as FromWorker));
      worker.onEnd((reason) => resolve({ unavailable: `its worker ended: ${reason}` }));
    });
    if ("unavailable" in opened) {
      await worker.terminate();
      return opened;
    }
    const device = new WorkerDevice(worker, target, budget, opened);
    receive = (message) => device.#receive(message);
    return device;
  }

  async load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    this.#check();
    const fresh = new Map([...code].filter(([digest]) => !this.#codes.has(digest)));
    const compiled = (await this.#ask({ type: "load", code: fresh })) as number;
    for (const digest of fresh.keys()) this.#codes.add(digest);
    this.#modulesCompiled += compiled;
    return compiled;
  }

  has(code: string): boolean {
    return this.#codes.has(code);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    this.#ledger.take(bytes);
    const buffer: DeviceBuffer = Object.freeze({ bytes, address: 0 });
    const id = ++this.#last;
    this.#buffers.set(buffer, id);
    this.#post({ type: "allocate", buffer: id, bytes });
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (this.#failure?.code === "device_closed") return;
    this.#post({ type: "release", buffer: this.#of(buffer) });
    this.#buffers.delete(buffer);
    this.#ledger.give(buffer.bytes);
  }

  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.#check();
    const shared = this.#staging.take(data.length);
    shared?.set(data);
    this.#post({ type: "write", buffer: this.#of(buffer), offset, data: sentBytes(shared ?? data) });
    if (shared !== undefined) this.#written.push({ shared, before: this.#last + 1 });
  }

  read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const bytes = into.length;
    const shared = this.#staging.take(bytes);
    const place = { buffer: this.#of(buffer), offset, bytes };
    const read: Read =
      shared === undefined ? { sent: place, into } : { sent: { ...place, into: sentBytes(shared) }, into };
    // Those that are asked for together travel together.
    this.#reads ??= this.#collect();
    this.#reads.reads.push(read);
    return this.#reads.done;
  }

  #collect(): { readonly reads: Read[]; readonly done: Promise<void> } {
    const reads: Read[] = [];
    const done = Promise.resolve().then(async () => {
      this.#reads = undefined;
      const answer = this.#ask({ type: "read", reads: reads.map((r) => r.sent) });
      for (const { into } of reads) touchPages(into);
      // After an error the worker may still write there: such memory is not used again.
      const found = (await answer) as readonly (SentBytes | undefined)[];
      for (const [i, { sent, into }] of reads.entries()) {
        into.set(receivedBytes(found[i] ?? (sent.into as SentBytes)));
        if (sent.into !== undefined) this.#staging.give(receivedBytes(sent.into));
      }
    });
    return { reads, done };
  }

  bind(launches: readonly Launch[]): BoundProgram {
    this.#check();
    const id = ++this.#last;
    const sent = launches.map(
      ({ kernel, code, args, grid, first }): SentLaunch => ({
        ...{ kernel, code, grid },
        ...(first === undefined ? {} : { first }),
        args: args.map((a) => (typeof a === "number" ? a : { buffer: this.#of(a.buffer), offset: a.offset })),
      }),
    );
    this.#post({ type: "bind", program: id, launches: sent });
    const program: Program = {
      id,
      launches: launches.length,
      release: () => {
        if (this.#failure === undefined) this.#post({ type: "unbind", program: id });
      },
    };
    return program;
  }

  async run(bound: BoundProgram, { signal, onStart, onTime }: RunOptions): Promise<void> {
    this.#check();
    signal?.throwIfAborted();
    onStart?.();
    const program = (bound as Program).id;
    if (onTime === undefined) {
      this.#post({ type: "run", program });
    } else {
      const timed = ++this.#last;
      this.#timed.set(timed, onTime);
      this.#post({ type: "run", program, timed });
    }
    this.#runs++;
  }

  /** `details` are as of the last answer. */
  stats(): DeviceStats {
    const { bytesInUse, peakBytes, limitBytes } = this.#ledger;
    return {
      modulesCompiled: this.#modulesCompiled,
      ...{ bytesInUse, peakBytes, limitBytes },
      runs: this.#runs,
      ...(this.#details === undefined ? {} : { details: this.#details }),
    };
  }

  async close(): Promise<void> {
    if (this.#failure?.code === "device_closed") return;
    const ended = this.#failure !== undefined;
    const closed = ended ? Promise.resolve() : this.#ask({ type: "close" });
    this.#fail(new FoveaError("device_closed", 'The device "webgpu" is closed; open it again to run on it.'));
    await closed.catch(() => {});
    await this.#worker.terminate();
  }

  #of(buffer: DeviceBuffer): number {
    return this.#buffers.get(buffer) ?? internal("a buffer is used that this device does not hold");
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Keeps the process alive until the worker has answered. */
  #ask(message: Request): Promise<AnswerMessage["value"]> {
    if (this.#waiting.size === 0) this.#worker.ref();
    const request = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject });
      this.#post({ ...message, request } as ToWorker);
    });
  }

  #receive(message: FromWorker): void {
    if (message.type !== "answer") return;
    const waiting = this.#waiting.get(message.request);
    this.#waiting.delete(message.request);
    if (this.#waiting.size === 0) this.#worker.unref();
    this.#details = message.stats.details;
    for (const { shared, before } of this.#written) if (before <= message.request) this.#staging.give(shared);
    this.#written = this.#written.filter(({ before }) => before > message.request);
    for (const [timed, time] of message.times ?? []) {
      this.#timed.get(timed)?.(time);
      this.#timed.delete(timed);
    }
    if (message.error === undefined) waiting?.resolve(message.value);
    else waiting?.reject(errorOf(message.error));
  }

  /** Everything that waits, but for an answer to `close`, is lost. */
  #fail(error: FoveaError): void {
    if (this.#failure?.code === "device_closed") return;
    this.#failure = error;
    if (error.code === "device_closed") return;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
