/** The device interface: it moves bytes and launches executables, and knows no ops. */

import type { GlueLinks } from "./glue.ts";

/** A yes or no, a figure or a name. */
export type CapabilityValue = boolean | number | string;
/** Documented facts about a device by name, such as `simd128`; only a probe (or a pinned target) fills them in. */
export type Capabilities = Readonly<Record<string, CapabilityValue>>;

/** A place where something is absent, and why. */
export interface Unavailable {
  /** The reason, as the end of a sentence: `this host has no WebGPU`. */
  readonly unavailable: string;
}

/** Memory on a device. */
export interface DeviceBuffer {
  /** Size that was asked for. */
  readonly bytes: number;
  /** Device address, for devices with one linear memory; 0 on others. */
  readonly address: number;
}

/** A place in a device's memory: what a kernel gets as a pointer. */
export interface Address {
  /** A buffer of the device that the launch is bound on. */
  readonly buffer: DeviceBuffer;
  /** Bytes from the buffer's start. */
  readonly offset: number;
}

/** A step with every size known. */
export interface Launch {
  /** `kernel/step`, for errors. */
  readonly kernel: string;
  /** Digest of a blob that is loaded. */
  readonly code: string;
  /** Words of the kernel's argument table, in its order: pointers, and 32-bit integers. */
  readonly args: readonly (Address | number)[];
  /** One behind the last item. */
  readonly grid: number;
  /** First item that is wanted, 0 unless given; a device may compute those before it as well. */
  readonly first?: number;
  /** Calls for each item, 1 unless given: item `i` begins at call `i * parts`; they run in order on one worker. */
  readonly parts?: number;
  /** Floating-point operations of all items from 0 on: by them a device divides its work and looks for aborts. */
  readonly flops: number;
  /** Bytes of private scratch for each worker that runs items. */
  readonly workerScratch: number;
}

/** A launch list that the device has taken over; opaque to the caller. */
export interface BoundProgram {
  /** Length of the list. */
  readonly launches: number;
  /** Launch that its run is at, or where it stopped, on devices that know. */
  readonly position?: number;
  /** Gives back what binding took, after the runs that were asked for; the program is not run again. */
  release(): void;
}

/** What the caller of one run may ask. */
export interface RunOptions {
  /** Ends the run early or before its turn; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called when the run's turn has come and nothing was computed; what it throws is what the run rejects with. */
  readonly onStart?: () => void;
  /** Called before the next read ends, with the device's own time of this run, on devices that measure it. */
  readonly onTime?: (time: DeviceTime) => void;
}

/** Milliseconds of a device's own clock, counted from the begin of the first run that was timed since the last read. */
export interface DeviceTime {
  /** Begin of the run's first launch. */
  readonly begin: number;
  /** End of its last launch. */
  readonly end: number;
}

/** What a device counts since it was opened. */
export interface DeviceStats {
  /** Code blobs that {@link Device.load} compiled. */
  readonly modulesCompiled: number;
  /** Bytes of buffers that are not released, and of the device's own tables where they lie in the same memory. */
  readonly bytesInUse: number;
  /** Most bytes that were in use at once. */
  readonly peakBytes: number;
  /** Most bytes that can ever be in use. */
  readonly limitBytes: number;
  /** Runs so far. */
  readonly runs: number;
  /** What else the device counts, by name. */
  readonly details?: Readonly<Record<string, number>>;
}

/**
 * An open device: its memory, the code that it loaded and the programs that run on them. Buffers, code and programs are
 * its own.
 */
export interface Device {
  /** That of its {@link DeviceSpec}. */
  readonly kind: string;
  /** One of the `targets` of its {@link DeviceSpec}: code that it loads is generated for this one. */
  readonly target: string;
  /** Times that it was opened anew: memory, code and programs of an earlier time are gone. Left out: it never is. */
  readonly generation?: number;
  /** What code for its target may rely on. */
  readonly capabilities: Capabilities;
  /** Workers that compute; 0 where the caller's thread or an adapter does. */
  readonly threads: number;
  /**
   * Compiles and keeps the blobs, by their digests, that are not loaded yet; returns how many were compiled.
   * @throws FoveaError `device_closed`, `invalid_code`
   */
  load(code: ReadonlyMap<string, Uint8Array>): Promise<number>;
  /** True for the digest of a blob that is loaded. */
  has(code: string): boolean;
  /**
   * Memory with any contents.
   * @throws FoveaError `device_closed`; `out_of_memory` that says how much was asked for and what is left
   */
  allocate(bytes: number): DeviceBuffer;
  /** Gives a buffer back. Programs that hold its address are not run again. */
  release(buffer: DeviceBuffer): void;
  /**
   * Copies `data` into the buffer from byte `offset` on, after the runs that were awaited; `data` is the caller's again
   * on return.
   */
  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void;
  /**
   * Fills `into` with the buffer's bytes from `offset` on, after the runs that were awaited.
   * @throws what went wrong in runs that were only recorded, such as KernelError
   */
  read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void>;
  /** A view of the memory itself, where the caller's thread has one that stays in place until the buffer is released. */
  window?(buffer: DeviceBuffer, offset: number, bytes: number): Uint8Array;
  /**
   * Takes over launches whose code is loaded, to be run any number of times.
   * @throws FoveaError `device_closed`, `out_of_memory`
   */
  bind(launches: readonly Launch[]): BoundProgram;
  /**
   * Runs the whole list; a device with a queue of its own may resolve when it has recorded the run.
   * @throws KernelError for a kernel that failed, or the signal's reason on abort; the device stays usable
   */
  run(program: BoundProgram, options: RunOptions): Promise<void>;
  /** The counts as they are now. */
  stats(): DeviceStats;
  /**
   * Ends what runs with `device_closed` and gives everything back; later calls to allocate, load or bind throw that.
   * May be called twice.
   */
  close(): Promise<void>;
}

/**
 * A device that can be opened anew under its holders: the one contract for every kind, whether it was lost, its workers ended, or
 * nothing is wrong with it. It is made of `DeviceSpec.open` and `Device.close`, so that a plugin's device needs nothing more.
 */
export interface ReopenableDevice extends Device {
  /** Times that it was opened anew, from 0. */
  readonly generation: number;
  /**
   * Closes what is open, lost or not, and opens it again for the same target. Runs and reads under way, and whatever is asked of
   * memory and programs from before, end with `device_lost`; releasing them does nothing. Calls while it is under way join it.
   * @throws FoveaError `device_unavailable`, and what opening throws; it may be tried again
   */
  reopen(): Promise<void>;
}

/** WebGPU as its host has it: the platform's `GPU` where a program's types have that, else as much as is asked of every one. */
export type HostGpu = typeof globalThis extends { readonly GPU: { readonly prototype: infer Platform } }
  ? Platform
  : { requestAdapter(options?: object): Promise<object | null> };

/** What a device may use of its host; `runtime/host` supplies it. */
export interface DeviceHost {
  /** Runtime and version for messages, such as `node 20.20.2`. */
  readonly name: string;
  /** JavaScript engine and, where known, its version: `V8 11.3`, `JavaScriptCore`. */
  readonly engine?: string;
  /** Processors that may be used; devices with workers start as many unless told otherwise. */
  readonly cores: number;
  /**
   * Starts a worker that imports `entry`, a module of the plugin, and calls its `start(port)`; `port` has `data`, `onMessage` and
   * `postMessage`. Absent where there are no workers.
   */
  readonly spawnWorker?: (entry: URL, data: unknown) => WorkerHandle;
  /** Why workers cannot share memory with their starter, in words; absent where they can. */
  readonly unshared?: string;
  /** The host's WebGPU, or why there is none. */
  readonly gpu?: () => Promise<HostGpu | Unavailable>;
  /** WebGPU's features that are no standard yet may be used, and `gpu` has them: `webgpu: { unsafe: true }`. */
  readonly experimentalGpu?: boolean;
  /**
   * As `spawnWorker`, for a worker that a GPU's device lives in and whose port has `gpu`; present where waiting for the GPU holds up the
   * thread.
   */
  readonly spawnGpuWorker?: (entry: URL, data: unknown) => WorkerHandle;
}

/** A worker, as whoever started it sees it. */
export interface WorkerHandle {
  /** Sends a structured clone; shared memory and compiled modules are shared. */
  postMessage(message: unknown): void;
  /** Adds a listener for what the worker posts. */
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when the worker fails or ends. */
  onEnd(listener: (reason: string) => void): void;
  /** Ends the worker. `onEnd` is not called for it. */
  terminate(): Promise<void>;
  /** Lets the process end while the worker idles. */
  unref(): void;
  /** Takes `unref` back. */
  ref(): void;
}

/** How a device is opened; what is left out is the device's to choose. */
export interface OpenOptions {
  /** One of the `targets` of its {@link DeviceSpec}. */
  readonly target?: string;
  /** Workers that compute; 0 runs on the caller's thread. */
  readonly threads?: number;
  /** Upper bound of device memory, bytes. */
  readonly memory?: number;
  /** Glue of the plugins' components that was imported already; code of others is text. */
  readonly links?: GlueLinks;
}

/** A target that was measured to be faster on an engine than the one that the probe finds. */
export interface TuningRecord {
  /** How the engine's name begins. */
  readonly engine: string;
  /** What the probe says there. */
  readonly found: string;
  /** What is opened there instead: one of the device's `targets`. */
  readonly target: string;
}

/** A kind of device that a plugin brings: whether this machine has one, and how it is opened. */
export interface DeviceSpec {
  /** Name that settings (`device: "wasm"`) and {@link KernelSpec.device} mean it by. */
  readonly kind: string;
  /** Target names that can be pinned, best first. */
  readonly targets: readonly string[];
  /** What this machine has: the best of `targets` and its capabilities, or why there is none. Leaves nothing open. */
  probe(host: DeviceHost): Promise<{ readonly target: string; readonly capabilities: Capabilities } | Unavailable>;
  /** Which target is opened instead of the probe's, by engine; none unless given. */
  readonly tuned?: readonly TuningRecord[];
  /**
   * Capabilities that code for a target may use, whatever this machine has.
   * @throws FoveaError `unknown_target`
   */
  targetCapabilities(target: string): Capabilities;
  /** Why this machine cannot run a target's code, in words; nothing when it can. Left out: it runs all of `targets`. */
  targetProblem?(target: string): string | undefined;
  /**
   * Opens one; several may be open at once.
   * @throws FoveaError `unknown_target`, `unsupported_target`, `invalid_options`, `device_unavailable`, `out_of_memory`
   */
  open(host: DeviceHost, options: OpenOptions): Promise<Device>;
  /** Code of this device's kernels as text, a line a statement, for people; what makes it may load only then. */
  describeCode?(code: Uint8Array): readonly string[] | Promise<readonly string[]>;
}
