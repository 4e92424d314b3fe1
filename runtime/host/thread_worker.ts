/** Workers on `node:worker_threads`, for Node and Deno (whose Web Workers give no event when one dies). */
import process from "node:process";
import { Worker } from "node:worker_threads";
import type { WorkerHandle } from "../abi/device.ts";
import { endOnce } from "./worker_end.ts";
import type { WorkerStart } from "./worker_port.ts";
import { WORKER_ENTRY } from "./worker_url.ts";

/** Arguments of the engine that are about a program whose text came with the command; their value may follow. */
const TEXT_ARGUMENT = /^(--input-type|--eval|--print|-e|-p|-pe)(=|$)/;

/** Workers inherit the engine's arguments, of which `--input-type` is refused with a file. */
function ownArguments(): { readonly execArgv?: string[] } {
  const given = process.execArgv;
  if (!given.some((argument) => argument.startsWith("--input-type"))) return {};
  const isText = (argument = ""): boolean => TEXT_ARGUMENT.test(argument);
  const isValue = (at: number): boolean => isText(given[at - 1]) && !given[at - 1].includes("=");
  return { execArgv: given.filter((argument, at) => !isText(argument) && !isValue(at)) };
}

/** @param thread gets the number that the system gives to the worker's thread, see `WorkerStart` */
export function spawnThread(entry: URL, data: unknown, thread?: Int32Array): WorkerHandle {
  const start: WorkerStart = { entry: entry.href, data, ...(thread === undefined ? {} : { thread }) };
  const worker = new Worker(WORKER_ENTRY, { workerData: start, ...ownArguments() });
  const end = endOnce();
  worker.on("error", (error) => end.report(`it threw "${error.message}"`));
  worker.on("exit", (code) => end.report(`it exited with code ${code}`));
  return {
    postMessage: (message) => worker.postMessage(message),
    onMessage: (listener) => {
      worker.on("message", listener);
    },
    onEnd: end.onEnd,
    terminate: async () => {
      end.silence();
      await worker.terminate();
    },
    unref: () => worker.unref(),
    ref: () => worker.ref(),
  };
}
