/** Main module of every worker of a page: {@link import("./worker_entry.ts")} without what other runtimes need. */
import { type WorkerModule, webStart } from "./worker_port.ts";

const { entry, port } = await webStart();
const module = (await import(entry)) as WorkerModule;
await module.start(port);
