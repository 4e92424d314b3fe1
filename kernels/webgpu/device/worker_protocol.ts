/** Messages between the caller's thread and the worker that a device lives in. Buffers and programs are numbers, given by the caller. */
import type { Capabilities, DeviceStats, DeviceTime, Unavailable } from "../../../runtime/abi/device.ts";
import type { HostHabits } from "./host_habits.ts";

/** A worker's side of its messages; the host's worker entry supplies it. */
export interface WorkerPort extends Pick<HostHabits, "mapsEarly"> {
  /** What the device gave to the worker when it started. */
  readonly data: unknown;
  onMessage(listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
  gpu(): Promise<GPU | Unavailable>;
}

export interface WorkerData {
  readonly target: string;
}

/** A launch whose buffers are numbers. */
export interface SentLaunch {
  readonly kernel: string;
  readonly code: string;
  readonly args: readonly ({ readonly buffer: number; readonly offset: number } | number)[];
  readonly grid: number;
  readonly first?: number;
}

/** The first bytes of a buffer. Not as an array: Deno's worker threads look at every element of those that a message carries. */
export interface SentBytes {
  readonly memory: ArrayBufferLike;
  readonly bytes: number;
}

/** The bytes as a message carries them: those that fill their buffer, or begin a shared one, are not copied here. */
export function sentBytes(data: Uint8Array): SentBytes {
  const begins =
    data.byteOffset === 0 && (!(data.buffer instanceof ArrayBuffer) || data.length === data.buffer.byteLength);
  return { memory: begins ? data.buffer : data.slice().buffer, bytes: data.length };
}

export const receivedBytes = ({ memory, bytes }: SentBytes): Uint8Array => new Uint8Array(memory, 0, bytes);

export interface SentRead {
  readonly buffer: number;
  readonly offset: number;
  readonly bytes: number;
  /** Shared memory for them; without it they come with the answer. */
  readonly into?: SentBytes;
}

/** Those with `request` are answered, in any order; all others are carried out as they come. */
export type ToWorker =
  | { readonly type: "load"; readonly request: number; readonly code: ReadonlyMap<string, Uint8Array> }
  | { readonly type: "allocate"; readonly buffer: number; readonly bytes: number }
  | { readonly type: "release"; readonly buffer: number }
  | { readonly type: "write"; readonly buffer: number; readonly offset: number; readonly data: SentBytes }
  | { readonly type: "bind"; readonly program: number; readonly launches: readonly SentLaunch[] }
  | { readonly type: "unbind"; readonly program: number }
  | {
      readonly type: "run";
      readonly program: number /** Number of the run, where its time is wanted. */;
      readonly timed?: number;
    }
  | { readonly type: "read"; readonly request: number; readonly reads: readonly SentRead[] }
  | { readonly type: "close"; readonly request: number };

export interface SentError {
  readonly code: string;
  readonly message: string;
  /** Of a kernel that was stopped: its step, and why. */
  readonly stopped?: { readonly step: string; readonly reason: string };
}

export interface OpenedMessage {
  readonly type: "opened";
  /** What the adapter adds to its target's capabilities. */
  readonly capabilities: Capabilities;
}

export interface AbsentMessage {
  readonly type: "absent";
  readonly reason: string;
}

export interface AnswerMessage {
  readonly type: "answer";
  readonly request: number;
  readonly error?: SentError;
  /** Blobs that `load` compiled, or the bytes of a read, of each part that has no shared memory. */
  readonly value?: number | readonly (SentBytes | undefined)[];
  readonly stats: DeviceStats;
  /** Times of runs that came to be known, by the runs' numbers. */
  readonly times?: readonly (readonly [number, DeviceTime])[];
}

export type FromWorker = OpenedMessage | AbsentMessage | AnswerMessage;
