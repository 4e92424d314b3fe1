/** The entry of a worker that runs one foreign kernel. Runtime-neutral: the host's worker entry imports this file and calls `start`. */
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import { componentService } from "./component_service.ts";
import { callEntry, type Entry, View } from "./foreign_call.ts";
import { type Channel, serve } from "./isolate_channel.ts";
import type { WorkerPort } from "./worker_protocol.ts";

/** What a worker is to run; its channel comes with its start. */
export interface IsolateMessage {
  readonly module: WebAssembly.Module;
  readonly sandbox: Sandbox;
}

/** Calls of an entry over its own memory: the words are units and the address of the table. */
function moduleService(module: WebAssembly.Module, memory: WebAssembly.Memory): (words: Int32Array) => number {
  let entry: Entry | undefined;
  return ([budget, table]) => {
    entry ??= new WebAssembly.Instance(module, { e: { m: memory } }).exports as unknown as Entry;
    try {
      callEntry(entry, table, budget);
    } catch (error) {
      // Its stack pointer and data are as the failure left them.
      entry = undefined;
      throw error;
    }
    return 0;
  };
}

/** Runs what the first message brings, until the worker is ended. */
export function start(port: WorkerPort): void {
  const channel = port.data as Channel;
  port.onMessage((message) => {
    const { module, sandbox } = message as IsolateMessage;
    const work =
      sandbox.component === undefined
        ? moduleService(module, channel.memory)
        : componentService(module, new View(channel.memory));
    port.postMessage({ type: "ready" });
    serve(channel, work);
  });
}
