/** Main module of every worker: imports the module that it is told and hands it the port. */
import { type WorkerModule, workerStart } from "./worker_side.ts";

const { entry, port } = await workerStart();
const module = (await import(entry)) as WorkerModule;
await module.start(port);
