/** Workers of a page. */
import type { WorkerHandle } from "../abi/device.ts";
import { webWorkerHandle } from "./web_worker_handle.ts";

const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

const ENTRY: URL = new URL(`./browser_worker_entry${extension}`, import.meta.url);

/** A module of the page's own origin that imports the main module from where it lies; made once. */
let foreign: string | undefined;

/** Pages may start workers of their own origin alone; what lies on another server is imported by one. */
function mainModule(): string | URL {
  if (ENTRY.origin === location.origin) return ENTRY;
  foreign ??= URL.createObjectURL(new Blob([`import ${JSON.stringify(ENTRY.href)};`], { type: "text/javascript" }));
  return foreign;
}

export function spawnBrowserWorker(entry: URL, data: unknown): WorkerHandle {
  return webWorkerHandle(new Worker(mainModule(), { type: "module" }), entry, data);
}
