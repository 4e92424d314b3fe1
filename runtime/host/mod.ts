/** Chooses the host; the files of the other runtimes are never loaded. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "./host.ts";

export type { Digest } from "./digest.ts";
export type {
  DirectoryEntry,
  EntryKind,
  EnvironmentName,
  FileStat,
  Host,
  HostName,
  OpenFile,
  WritableFile,
} from "./host.ts";
export { type JpegDecoder, loadJpegDecoder } from "./native_jpeg.ts";
export {
  type JobQueue,
  type JobWorker,
  loadQueuePeer,
  type QueueJob,
  type QueuePeer,
  type RedisClient,
} from "./queue_peer.ts";

/** @throws FoveaError `host.unknown` outside of Bun, Deno, Node and browsers. */
export async function detectHost(): Promise<Host> {
  if ("Bun" in globalThis) return (await import("./bun.ts")).createBunHost();
  if ("Deno" in globalThis) return (await import("./deno.ts")).createDenoHost();
  // Bundlers give pages a `process` of their own.
  if (globalThis.process?.versions?.node !== undefined) return (await import("./node.ts")).createNodeHost();
  if ("navigator" in globalThis && "location" in globalThis) return (await import("./browser.ts")).createBrowserHost();
  throw new FoveaError(
    "host.unknown",
    "This runtime is none of Bun, Deno, Node and browsers, the hosts that fovea supports.",
  );
}
