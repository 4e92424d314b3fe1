/** Worker entry of the test host: `node:worker_threads` on every runtime. */
import { parentPort, workerData } from "node:worker_threads";

const { entry, data } = workerData as { readonly entry: string; readonly data: unknown };
const { start } = await import(entry);
start({
  data,
  onMessage: (listener: (message: unknown) => void) => void parentPort!.on("message", listener),
  postMessage: (message: unknown) => parentPort!.postMessage(message),
});
