/** Workers of their own for foreign kernels, one for each kernel and thread that calls it, as the device's thread keeps them. */
import type { DeviceHost, WorkerHandle } from "../../../runtime/abi/device.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { OWN_MEMORY_PAGES, PAGE } from "./foreign_call.ts";
import { type Channel, createChannel, isGone, leave, markGone, underWay } from "./isolate_channel.ts";
import type { IsolateMessage } from "./isolate_worker.ts";

/** A kernel's code, by its position among the device's. */
type IsolatedCode = IsolateMessage & { readonly index: number };

interface Isolate {
  /** Of its kernel's code, and of the thread that calls it. */
  readonly index: number;
  readonly caller: number;
  readonly channel: Channel;
  readonly handle: WorkerHandle;
  /** Resolves when it may be called. */
  readonly started: Promise<Channel>;
  /** Who waits for its start waits no more. */
  readonly giveUp: (error: FoveaError) => void;
}

/** How long ending workers are waited for. */
const END_MS = 500;

const endedEarly = (reason: string): FoveaError =>
  new FoveaError("worker_failed", `The worker of a plugin's kernel ended before it began: ${reason}.`);

export class Isolates {
  readonly #spawn: NonNullable<DeviceHost["spawnWorker"]>;
  #all: Isolate[] = [];
  readonly #abandoned: Set<Channel> = new Set();

  constructor(spawn: NonNullable<DeviceHost["spawnWorker"]>) {
    this.#spawn = spawn;
  }

  /**
   * Channels to a kernel's workers, one for each caller: to those that it has, and to new ones for what is missing.
   * @throws FoveaError `worker_failed`, `out_of_memory`
   */
  start(code: IsolatedCode, callers: number): Promise<readonly Channel[]> {
    return Promise.all(
      Array.from({ length: callers }, (_, caller) => {
        const present = this.#all.find((one) => one.index === code.index && one.caller === caller);
        return present?.started ?? this.#start(code, caller);
      }),
    );
  }

  #start({ index, module, sandbox }: IsolatedCode, caller: number): Promise<Channel> {
    const initial = Math.ceil(sandbox.reserved / PAGE) + 1;
    const channel = createChannel(new WebAssembly.Memory({ initial, maximum: OWN_MEMORY_PAGES, shared: true }));
    const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const handle = this.#spawn(new URL(`./isolate_worker${suffix}`, import.meta.url), channel);
    let giveUp: (error: FoveaError) => void = () => {};
    const started = new Promise<Channel>((resolve, reject) => {
      giveUp = reject;
      handle.onMessage(() => {
        // Only those who wait for it keep the process alive.
        handle.unref();
        resolve(channel);
      });
      handle.onEnd((reason) => {
        markGone(channel, `its worker ended: ${reason}`);
        reject(endedEarly(reason));
      });
    });
    this.#all.push({ index, caller, channel, handle, started, giveUp });
    handle.postMessage({ module, sandbox } satisfies IsolateMessage);
    return started;
  }

  /** What each worker that was asked for something is at: its request. */
  underWay(): ReadonlyMap<Channel, number> {
    return new Map(
      this.#all.flatMap(({ channel }) => {
        const request = underWay(channel);
        return request === undefined ? [] : [[channel, request] as const];
      }),
    );
  }

  /**
   * Gives up on requests of a run that is to end: those that were under way `before` and still are.
   * @returns what is under way now
   */
  abandon(before: ReadonlyMap<Channel, number>): ReadonlyMap<Channel, number> {
    const now = this.underWay();
    for (const [channel, request] of now) {
      if (before.get(channel) !== request) continue;
      markGone(channel, "what it ran was aborted");
      this.#abandoned.add(channel);
    }
    return now;
  }

  /** Whether a worker answers no more. */
  get anyGone(): boolean {
    return this.#all.some(({ channel }) => isGone(channel));
  }

  /** Ends the workers that answer no more. @returns the codes of those that were abandoned, which lack a worker now */
  reap(): ReadonlySet<number> {
    const gone = this.#all.filter(({ channel }) => isGone(channel));
    this.#all = this.#all.filter((one) => !gone.includes(one));
    for (const { handle } of gone) void handle.terminate();
    return new Set(gone.flatMap(({ channel, index }) => (this.#abandoned.delete(channel) ? [index] : [])));
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    const all = this.#all;
    this.#all = [];
    for (const { channel, giveUp } of all) {
      markGone(channel, "the device ended it");
      leave(channel);
      giveUp(endedEarly("the device ended it"));
    }
    // Bun and Deno never end a thread whose WebAssembly loops without end: nobody waits for that.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, END_MS);
    });
    await Promise.race([Promise.all(all.map(({ handle }) => handle.terminate())), late]);
    clearTimeout(timer);
  }
}
