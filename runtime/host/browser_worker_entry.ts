/** Main module of every worker of a page: worker_entry.ts without what other runtimes need. */
import { type WorkerModule, webStart } from "./worker_port.ts";

async function run(): Promise<void> {
  const { entry, port } = await webStart();
  const module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ entry)) as WorkerModule;
  await module.start(port);
}

// Not awaited: some bundlers take files of workers for scripts. A rejection alone would not reach the page.
run().catch(reportError);
