/** Messages between the caller's thread and the workers of a pool. */
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import type { Channel } from "./isolate_channel.ts";

/** A worker's side of its messages; the host's worker entry supplies it. */
export interface WorkerPort {
  /** What the pool gave to the worker when it started. */
  readonly data: unknown;
  onMessage(listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
}

export interface WorkerData {
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array<SharedArrayBuffer>;
  /** 0 leads. */
  readonly worker: number;
}

export interface LoadMessage {
  readonly type: "load";
  readonly request: number;
  readonly codes: readonly {
    readonly index: number;
    readonly module: WebAssembly.Module;
    readonly sandbox?: Sandbox;
    /** Of a kernel that runs in workers of its own: one for each worker of the pool. */
    readonly isolates?: readonly Channel[];
  }[];
}

/** To the leader: run a launch table. */
export interface RunMessage {
  readonly type: "run";
  readonly run: number;
  readonly table: number;
  readonly launches: number;
  readonly scratch: number;
  readonly stride: number;
}

/** Ask a worker to stay out of its loop, so that it can be ended. */
export interface CloseMessage {
  readonly type: "close";
}

export type ToWorker = LoadMessage | RunMessage | CloseMessage;

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "loaded"; readonly request: number; readonly error?: string }
  | { readonly type: "done"; readonly run: number }
  | { readonly type: "closed" };
