/** What both modes share: memory, code, bound programs, and runs in the order of their calls. */
import type {
  BoundProgram,
  Capabilities,
  Device,
  DeviceBuffer,
  DeviceStats,
  Launch,
  RunOptions,
} from "../../../runtime/abi/device.ts";
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import { FoveaError, internal, KernelError } from "../../../runtime/core/diagnostics.ts";
import { wasmCapabilities } from "./capabilities.ts";
import { tableWords, writeTable } from "./launch_table.ts";
import type { LinearMemory } from "./memory.ts";

export interface Code {
  readonly index: number;
  readonly module: WebAssembly.Module;
  /** Name of its function, where it shares the module with other code. */
  readonly entry?: string;
  /** Of foreign code: how it is run. */
  readonly sandbox?: Sandbox;
}

/** Makes a module of a blob. @throws FoveaError `invalid_code`, `no_compiler` */
export type CompileCode = (digest: string, code: Uint8Array) => Promise<Omit<Code, "index">>;

/** A bound launch list; `pending` counts runs that are queued or under way. */
interface Program extends BoundProgram {
  readonly table: number;
  readonly kernels: readonly string[];
  pending: number;
  released: boolean;
  /** Launch where its last run ended. */
  ended: number;
}

/** What a subclass needs to run a program. */
export interface Work {
  /** Address of the launch table. */
  readonly table: number;
  readonly launches: number;
  readonly scratch: number;
  /** Bytes between two workers' scratch. */
  readonly stride: number;
  readonly kernels: readonly string[];
}

interface Job {
  readonly program: Program;
  readonly options: RunOptions;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  readonly onAbort: () => void;
}

export function kernelFailure(kernel: string, reason: string, cause?: unknown): KernelError {
  return new KernelError("wasm", kernel, reason, cause);
}

export function closedError(): FoveaError {
  return new FoveaError("device_closed", 'The device "wasm" is closed; open it again to run on it.');
}

/** A WebAssembly device over one linear memory. */
export abstract class LinearDevice implements Device {
  readonly kind: string = "wasm";
  readonly target: string;
  readonly capabilities: Capabilities;
  readonly threads: number;
  protected readonly memory: LinearMemory;
  readonly #index: Map<string, number> = new Map();
  #codes = 0;
  #modulesCompiled = 0;
  #loading: Promise<unknown> = Promise.resolve();
  #programs = 0;
  #scratch: { address: number; stride: number } | undefined;
  /** Scratch that was outgrown while a run used it. */
  readonly #outgrown: number[] = [];
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  #runs = 0;
  #busy = false;
  #failure: FoveaError | undefined;

  readonly #compile: CompileCode;

  protected constructor(target: string, threads: number, memory: LinearMemory, compile: CompileCode) {
    this.#compile = compile;
    this.target = target;
    this.capabilities = wasmCapabilities(target);
    this.threads = threads;
    this.memory = memory;
  }

  /** Makes kernels callable wherever they may run. */
  protected abstract install(codes: readonly Code[]): Promise<void>;
  /** Runs to the end, or to where `interrupt` stops it. @throws KernelError */
  protected abstract execute(work: Work): Promise<void>;
  protected abstract interrupt(): void;
  /** Launch that the running work is at, or where it stopped. */
  protected abstract position(): number;
  /** Told when memory was released, before anyone else may get it, for kernels that keep what they read. */
  protected abstract released(address: number, bytes: number): void;
  /** Told when work begins to wait and when all is done. */
  protected abstract onBusy(busy: boolean): void;
  protected abstract shutDown(): Promise<void>;

  load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    const loaded = this.#loading.then(() => this.#load(code));
    this.#loading = loaded.catch(() => {});
    return loaded;
  }

  async #load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    const fresh = [...code].filter(([digest]) => !this.#index.has(digest));
    this.#check();
    if (fresh.length === 0) return 0;
    const modules = await Promise.all(fresh.map(([digest, bytes]) => this.#compile(digest, bytes)));
    await this.adopt(new Map(fresh.map(([digest], i) => [digest, modules[i]])));
    return fresh.length;
  }

  /** Takes code that was compiled already, as this mode compiles it, under digests that it does not have yet. */
  async adopt(code: ReadonlyMap<string, Omit<Code, "index">>): Promise<void> {
    this.#check();
    const first = this.#codes;
    // Indices of a failed installation are not used again: some workers may have it.
    this.#codes += code.size;
    await this.install([...code.values()].map((one, i) => ({ ...one, index: first + i })));
    for (const [i, digest] of [...code.keys()].entries()) this.#index.set(digest, first + i);
    this.#modulesCompiled += code.size;
  }

  has(code: string): boolean {
    return this.#index.has(code);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    return Object.freeze({ bytes, address: this.memory.allocate(bytes) });
  }

  release(buffer: DeviceBuffer): void {
    this.released(buffer.address, buffer.bytes);
    this.memory.release(buffer.address);
  }

  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.view(buffer, offset, data.length).set(data);
  }

  async read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void> {
    into.set(this.view(buffer, offset, into.length));
  }

  /** Memory that is not shared moves when it grows: such a view is valid until the next allocation. */
  protected view(buffer: DeviceBuffer, offset: number, bytes: number): Uint8Array {
    if (offset < 0 || offset + bytes > buffer.bytes) {
      internal(`bytes ${offset} to ${offset + bytes} of a buffer of ${buffer.bytes} bytes`);
    }
    return this.memory.bytes(buffer.address + offset, bytes);
  }

  bind(launches: readonly Launch[]): BoundProgram {
    this.#check();
    const codeIndex = (code: string): number =>
      this.#index.get(code) ?? internal(`code ${code} is bound before it is loaded`);
    const words = tableWords(launches);
    const table = this.memory.allocate(words * 4);
    try {
      writeTable(this.memory.words(table, words), table, launches, codeIndex, Math.max(1, this.threads));
      this.#reserveScratch(launches.reduce((most, launch) => Math.max(most, launch.workerScratch), 0));
    } catch (error) {
      this.memory.release(table);
      throw error;
    }
    this.#programs++;
    const position = (): number => (this.#running?.program === program ? this.position() : program.ended);
    const program: Program = {
      launches: launches.length,
      get position() {
        return position();
      },
      ended: 0,
      table,
      kernels: launches.map((launch) => launch.kernel),
      pending: 0,
      released: false,
      release: () => {
        if (program.released) return;
        program.released = true;
        if (program.pending === 0) this.#free(program);
      },
    };
    return program;
  }

  run(bound: BoundProgram, options: RunOptions): Promise<void> {
    const program = bound as Program;
    const { signal } = options;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (program.released) return Promise.reject(new Error("internal: a released program is run"));
    return new Promise((resolve, reject) => {
      const job: Job = { program, options, resolve, reject, onAbort: () => this.#abort(job) };
      signal?.addEventListener("abort", job.onAbort);
      program.pending++;
      this.#queue.push(job);
      this.#tellBusy();
      this.#pump();
    });
  }

  stats(): DeviceStats {
    const { bytesInUse, peakBytes, limitBytes } = this.memory;
    return { modulesCompiled: this.#modulesCompiled, bytesInUse, peakBytes, limitBytes, runs: this.#runs };
  }

  async close(): Promise<void> {
    if (this.#running !== undefined) this.interrupt();
    this.fail(closedError());
    await this.shutDown();
  }

  /** Rejects all runs, present and future. */
  protected fail(error: FoveaError): void {
    this.#failure ??= error;
    const jobs = [...(this.#running === undefined ? [] : [this.#running]), ...this.#queue.splice(0)];
    this.#running = undefined;
    for (const job of jobs) this.#settle(job, () => job.reject(this.#failure));
    this.#tellBusy();
  }

  #tellBusy(): void {
    const busy = this.#running !== undefined || this.#queue.length > 0;
    if (busy === this.#busy) return;
    this.#busy = busy;
    this.onBusy(busy);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The next run whose turn has come and that still wants to run. */
  #take(): Job | undefined {
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      const { onStart } = job.options;
      try {
        onStart?.();
        return job;
      } catch (reason) {
        const refused = job;
        this.#settle(refused, () => refused.reject(reason));
      }
    }
    return undefined;
  }

  #pump(): void {
    if (this.#running !== undefined) return;
    const job = this.#take();
    if (job === undefined) {
      this.#tellBusy();
      return;
    }
    this.#running = job;
    const { program } = job;
    const { signal } = job.options;
    const finish = (answer: () => void): void => {
      // After a failure of the device, the job was answered already.
      if (this.#running !== job) return;
      program.ended = this.position();
      this.#running = undefined;
      this.#runs++;
      for (const address of this.#outgrown.splice(0)) this.memory.release(address);
      this.#settle(job, signal?.aborted ? () => job.reject(signal.reason) : answer);
      this.#pump();
    };
    this.execute({
      table: program.table,
      launches: program.launches,
      scratch: this.#scratch?.address ?? 0,
      stride: this.#scratch?.stride ?? 0,
      kernels: program.kernels,
    }).then(
      () => finish(job.resolve),
      (error: unknown) => finish(() => job.reject(error)),
    );
  }

  #abort(job: Job): void {
    if (job === this.#running) {
      this.interrupt();
      return;
    }
    const at = this.#queue.indexOf(job);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    this.#settle(job, () => job.reject(job.options.signal?.reason));
    this.#tellBusy();
  }

  #settle(job: Job, answer: () => void): void {
    job.options.signal?.removeEventListener("abort", job.onAbort);
    job.program.pending--;
    if (job.program.released && job.program.pending === 0) this.#free(job.program);
    answer();
  }

  #free(program: Program): void {
    this.memory.release(program.table);
    this.#programs--;
    if (this.#programs === 0) this.#dropScratch();
  }

  /** One region for all programs: runs follow each other, so they can share it. */
  #reserveScratch(bytes: number): void {
    const stride = Math.ceil(bytes / 64) * 64;
    if (stride <= (this.#scratch?.stride ?? 0)) return;
    const address = this.memory.allocate(stride * Math.max(1, this.threads));
    this.#dropScratch();
    this.#scratch = { address, stride };
  }

  #dropScratch(): void {
    if (this.#scratch === undefined) return;
    if (this.#running === undefined) this.memory.release(this.#scratch.address);
    else this.#outgrown.push(this.#scratch.address);
    this.#scratch = undefined;
  }
}
