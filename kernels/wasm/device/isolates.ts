/** Workers of their own for foreign kernels, one for each kernel and thread that calls it, as the device's thread keeps them. */
import type { DeviceHost, WorkerHandle } from "../../../runtime/abi/device.ts";
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { OWN_MEMORY_PAGES, PAGE } from "./foreign_call.ts";
import { type Channel, createChannel, isGone, leave, markGone } from "./isolate_channel.ts";
import type { IsolateMessage } from "./isolate_worker.ts";

interface Isolate {
  readonly channel: Channel;
  readonly handle: WorkerHandle;
}

/** How long ending workers are waited for. */
const END_MS = 500;

export class Isolates {
  readonly #spawn: NonNullable<DeviceHost["spawnWorker"]>;
  #all: Isolate[] = [];

  constructor(spawn: NonNullable<DeviceHost["spawnWorker"]>) {
    this.#spawn = spawn;
  }

  /**
   * Starts workers for a kernel, one for each caller.
   * @throws FoveaError `worker_failed`, `out_of_memory`
   */
  start({ module, sandbox }: IsolateMessage, callers: number): Promise<readonly Channel[]> {
    return Promise.all(Array.from({ length: callers }, () => this.#start(module, sandbox)));
  }

  #start(module: WebAssembly.Module, sandbox: Sandbox): Promise<Channel> {
    const initial = Math.ceil(sandbox.reserved / PAGE) + 1;
    const channel = createChannel(new WebAssembly.Memory({ initial, maximum: OWN_MEMORY_PAGES, shared: true }));
    const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    return new Promise((resolve, reject) => {
      const handle = this.#spawn(new URL(`./isolate_worker${suffix}`, import.meta.url), channel);
      this.#all.push({ channel, handle });
      handle.onMessage(() => {
        // Only those who wait for it keep the process alive.
        handle.unref();
        resolve(channel);
      });
      handle.onEnd((reason) => {
        markGone(channel, `its worker ended: ${reason}`);
        reject(new FoveaError("worker_failed", `The worker of a plugin's kernel ended before it began: ${reason}.`));
      });
      handle.postMessage({ module, sandbox } satisfies IsolateMessage);
    });
  }

  /** Ends the workers that did not answer in time. */
  reap(): void {
    const gone = this.#all.filter(({ channel }) => isGone(channel));
    this.#all = this.#all.filter((one) => !gone.includes(one));
    for (const { handle } of gone) void handle.terminate();
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    const all = this.#all;
    this.#all = [];
    for (const { channel } of all) {
      markGone(channel, "the device ended it");
      leave(channel);
    }
    // JavaScriptCore never ends a thread whose WebAssembly loops without end: nobody waits for that.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, END_MS);
    });
    await Promise.race([Promise.all(all.map(({ handle }) => handle.terminate())), late]);
    clearTimeout(timer);
  }
}
