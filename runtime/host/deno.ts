/**
 * Deno, also under exact permissions: reading fovea's own folder, its dependencies and the model; writing the cache;
 * the variables FOVEA_CACHE_DIR, FOVEA_COMPILE and FOVEA_LOG, and HOME for the usual cache folder. What is not permitted
 * counts as unset and never prompts.
 */
import { fileURLToPath } from "node:url";
import type { WorkerHandle } from "../abi/device.ts";
import { useSha256 } from "../core/digest.ts";
import { cacheDirectory, hubTokenFile } from "./cache_dir.ts";
import { createDigest, createSha1, sha256 } from "./digest.ts";
import { withFileErrors } from "./file_error.ts";
import { builtInGpu } from "./gpu.ts";
import { gpuWorkers } from "./gpu_workers.ts";
import type { EntryKind, Host, OpenFile, WritableFile } from "./host.ts";
import { importModule, importPackage } from "./import_module.ts";
import { originalPlace } from "./original_place.ts";
import { packageFileUrl } from "./package_file.ts";
import { temporaryName } from "./temporary_name.ts";
import { spawnThread } from "./thread_worker.ts";
import { spawnWebWorker } from "./web_worker.ts";

const kindOf = (entry: { isFile: boolean; isDirectory: boolean }): EntryKind =>
  entry.isFile ? "file" : entry.isDirectory ? "directory" : "other";

function readEnvironment(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

type DenoFile = Awaited<ReturnType<typeof Deno.open>>;

/** Seek and read are synchronous so that overlapping calls cannot move each other's position. */
function readAt(file: DenoFile, path: string, into: Uint8Array, position: number): Promise<number> {
  return withFileErrors("read", path, async () => {
    let done = 0;
    while (done < into.length) {
      file.seekSync(position + done, Deno.SeekMode.Start);
      const read = file.readSync(into.subarray(done));
      if (read === null || read === 0) break;
      done += read;
    }
    return done;
  });
}

async function openFile(path: string): Promise<OpenFile> {
  const file = await Deno.open(path, { read: true });
  try {
    const found = await file.stat();
    if (found.isDirectory) throw new Deno.errors.IsADirectory("is a folder");
    return {
      size: found.size,
      read: (into, position) => readAt(file, path, into, position),
      close: async () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

async function openForWriting(path: string): Promise<WritableFile> {
  const file = await Deno.open(path, { read: true, write: true, create: true });
  const { size } = await file.stat().catch((error: unknown) => {
    file.close();
    throw error;
  });
  return {
    size,
    read: (into, position) => readAt(file, path, into, position),
    write: (bytes, position) =>
      withFileErrors("write", path, async () => {
        file.seekSync(position, Deno.SeekMode.Start);
        for (let done = 0; done < bytes.length; ) done += file.writeSync(bytes.subarray(done));
      }),
    sync: () => withFileErrors("write", path, () => file.syncData()),
    close: async () => file.close(),
  };
}

async function listDir(path: string): Promise<{ name: string; kind: EntryKind }[]> {
  const entries: { name: string; kind: EntryKind }[] = [];
  for await (const entry of Deno.readDir(path)) entries.push({ name: entry.name, kind: kindOf(entry) });
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await Deno.writeFile(temporary, bytes as Uint8Array<ArrayBuffer>, { createNew: true });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => undefined);
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Bytes up to which waiting for a file takes less than asking another thread for it: a cache is some hundred of such files. */
const SMALL = 1 << 18;

const readWhole = (path: string): Promise<Uint8Array> =>
  withFileErrors("read", path, async () =>
    Deno.statSync(path).size <= SMALL ? Deno.readFileSync(path) : Deno.readFile(path),
  );

/** Worker threads take only local files; sources on a server start as Web Workers. */
const spawnWorker = (entry: URL, data: unknown, thread?: Int32Array): WorkerHandle =>
  import.meta.url.startsWith("file:") ? spawnThread(entry, data, thread) : spawnWebWorker(entry, data);

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

export function createDenoHost(): Host {
  useSha256(sha256);
  return {
    name: "deno",
    version: Deno.version.deno,
    engine: `V8 ${Deno.version.v8}`,
    cores: navigator.hardwareConcurrency,
    readFile: readWhole,
    openFile: (path) => withFileErrors("open", path, () => openFile(path)),
    listDir: (path) => withFileErrors("list", path, () => listDir(path)),
    stat: (path) =>
      withFileErrors("read", path, async () => {
        const found = await Deno.stat(path);
        return { kind: kindOf(found), size: found.size, modified: found.mtime?.getTime() ?? 0 };
      }),
    writeFileAtomic: (path, bytes) => withFileErrors("write", path, () => writeFileAtomic(path, bytes)),
    openForWriting: (path) => withFileErrors("write", path, () => openForWriting(path)),
    rename: (from, to) => withFileErrors("write", to, () => Deno.rename(from, to)),
    remove: (path) => withFileErrors("delete", path, () => remove(path)),
    mkdir: (path) => withFileErrors("create", path, () => Deno.mkdir(path, { recursive: true })),
    pathOf: (url) => fileURLToPath(url),
    createDigest,
    createSha1,
    loadPackageFile: async (specifier) => readWhole(fileURLToPath(packageFileUrl(specifier))),
    importModule,
    importPackage,
    originalPlace: (place) => originalPlace(place, readWhole),
    env: (name) => readEnvironment(name),
    defaultCacheDir: () => cacheDirectory(Deno.build.os, readEnvironment),
    hubTokenPath: () => hubTokenFile(readEnvironment),
    now: () => performance.now(),
    isTerminal: (stream) => Deno[stream].isTerminal(),
    rss: () => Deno.memoryUsage().rss,
    spawnWorker: (entry, data) => spawnWorker(entry, data),
    gpu: builtInGpu,
    // Its `mapAsync` waits in the thread, at least 10 ms each time.
    spawnGpuWorker: gpuWorkers({
      spawn: spawnWorker,
      hasThread: (thread) => exists(`/proc/self/task/${thread}`),
      now: () => performance.now(),
      block: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
      onExit: (listener) => addEventListener("unload", listener),
    }),
  };
}
