/** Main module of every worker: imports the module that it is told and hands it the port. */
import type { WorkerModule } from "./worker_port.ts";
import { workerStart } from "./worker_side.ts";

const { entry, port } = await workerStart();
const module = (await import(entry)) as WorkerModule;
await module.start(port);
