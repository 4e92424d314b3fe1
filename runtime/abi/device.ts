/** The device interface: it moves bytes and launches executables, and knows no ops. */

import type { GlueLinks } from "./transpiled.ts";

/** Documented facts about a device; only a probe (or a pinned target) fills them in. */
export type CapabilityValue = boolean | number | string;
export type Capabilities = Readonly<Record<string, CapabilityValue>>;

/** A place where something is absent, and why. */
export interface Unavailable {
  readonly unavailable: string;
}

/** Memory on a device. */
export interface DeviceBuffer {
  readonly bytes: number;
  /** Device address, for devices with one linear memory. */
  readonly address: number;
}

export interface Address {
  readonly buffer: DeviceBuffer;
  /** Bytes. */
  readonly offset: number;
}

/** A step with every size known. */
export interface Launch {
  readonly kernel: string;
  readonly code: string;
  readonly args: readonly (Address | number)[];
  /** Items from `first` (0 unless given) to this one, exclusive; a device may compute those before `first` as well. */
  readonly grid: number;
  readonly first?: number;
  /** Calls for each item, 1 unless given: item `i` begins at call `i * parts`; they run in order on one worker. */
  readonly parts?: number;
  readonly flops: number;
  readonly workerScratch: number;
}

/** A launch list that the device has taken over; opaque to the caller. */
export interface BoundProgram {
  readonly launches: number;
  /** Launch that its run is at, or where it stopped, on devices that know. */
  readonly position?: number;
  release(): void;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Called when the run's turn has come and nothing was computed; what it throws is what the run rejects with. */
  readonly onStart?: () => void;
  /** Called before the next read ends, with the device's own time of this run, on devices that measure it. */
  readonly onTime?: (time: DeviceTime) => void;
}

/** Milliseconds of a device's own clock, from the begin of what was timed first since the last read. */
export interface DeviceTime {
  readonly begin: number;
  readonly end: number;
}

export interface DeviceStats {
  readonly modulesCompiled: number;
  readonly bytesInUse: number;
  readonly peakBytes: number;
  /** Most bytes that can ever be in use. */
  readonly limitBytes: number;
  readonly runs: number;
  /** What else the device counts, by name. */
  readonly details?: Readonly<Record<string, number>>;
}

export interface Device {
  readonly kind: string;
  readonly target: string;
  /** Times that it was opened anew: memory, code and programs of an earlier time are gone. Left out: it never is. */
  readonly generation?: number;
  readonly capabilities: Capabilities;
  /** Workers that compute; 0 when the caller's thread does. */
  readonly threads: number;
  /** Compiles and keeps the blobs that are not loaded yet; returns how many were compiled. */
  load(code: ReadonlyMap<string, Uint8Array>): Promise<number>;
  has(code: string): boolean;
  /** @throws FoveaError `out_of_memory` that says how much was asked for and what is left. */
  allocate(bytes: number): DeviceBuffer;
  release(buffer: DeviceBuffer): void;
  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void;
  read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void>;
  /** A view of the memory itself, where the caller's thread has one that stays in place until the buffer is released. */
  window?(buffer: DeviceBuffer, offset: number, bytes: number): Uint8Array;
  bind(launches: readonly Launch[]): BoundProgram;
  /** Runs the whole list. @throws the signal's reason on abort; the device stays usable. */
  run(program: BoundProgram, options: RunOptions): Promise<void>;
  stats(): DeviceStats;
  close(): Promise<void>;
}

/**
 * A device that can be opened anew under its holders: the one contract for every kind, whether it was lost, its workers ended, or
 * nothing is wrong with it. It is made of `DeviceSpec.open` and `Device.close`, so that a plugin's device needs nothing more.
 */
export interface ReopenableDevice extends Device {
  readonly generation: number;
  /**
   * Closes what is open, lost or not, and opens it again for the same target. Runs and reads under way, and whatever is asked of
   * memory and programs from before, end with `device_lost`; releasing them does nothing. Calls while it is under way join it.
   * @throws FoveaError `device_unavailable`, and what opening throws; it may be tried again
   */
  reopen(): Promise<void>;
}

/** What a device may use of its host; `runtime/host` supplies it. */
export interface DeviceHost {
  readonly name: string;
  /** JavaScript engine and, where known, its version: `V8 11.3`, `JavaScriptCore`. */
  readonly engine?: string;
  readonly cores: number;
  /** Starts a worker of the kernel plugin's own entry; absent where there are no workers. */
  readonly spawnWorker?: (entry: URL, data: unknown) => WorkerHandle;
  /** Why workers cannot share memory with their starter, in words; absent where they can. */
  readonly unshared?: string;
  /** The host's WebGPU, or why there is none. */
  readonly gpu?: () => Promise<GPU | Unavailable>;
  /** Its features that are no standard yet may be used, and `gpu` has them. */
  readonly experimentalGpu?: boolean;
  /** Waiting for the GPU holds up the thread here: its devices live in workers, whose port has `gpu` too. */
  readonly gpuInWorker?: boolean;
}

export interface WorkerHandle {
  postMessage(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when the worker fails or ends. */
  onEnd(listener: (reason: string) => void): void;
  terminate(): Promise<void>;
  /** Lets the process end while the worker idles. */
  unref(): void;
  ref(): void;
}

export interface OpenOptions {
  readonly target?: string;
  /** 0 runs on the caller's thread. */
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
  readonly target: string;
}

export interface DeviceSpec {
  readonly kind: string;
  /** Target names that can be pinned, best first. */
  readonly targets: readonly string[];
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
  open(host: DeviceHost, options: OpenOptions): Promise<Device>;
  /** Code of this device's kernels as text, a line a statement, for people; what makes it may load only then. */
  describeCode?(code: Uint8Array): readonly string[] | Promise<readonly string[]>;
}
