/** Node >= 20. */
import { open, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { isatty } from "node:tty";
import { cacheDirectory, hubTokenFile } from "./cache_dir.ts";
import { withFileErrors } from "./file_error.ts";
import { nodeGpu } from "./gpu.ts";
import type { Host, OpenFile } from "./host.ts";
import { importModule, importPackage } from "./import_module.ts";
import { NODE_FILES, readAt } from "./node_files.ts";
import { originalPlace } from "./original_place.ts";
import { packageFileUrl } from "./package_file.ts";
import { spawnThread } from "./thread_worker.ts";

const DESCRIPTORS = { stdin: 0, stdout: 1, stderr: 2 } as const;

async function openFile(path: string): Promise<OpenFile> {
  const file = await open(path, "r");
  try {
    const found = await file.stat();
    if (found.isDirectory()) throw Object.assign(new Error("is a folder"), { code: "EISDIR" });
    return {
      size: found.size,
      read: (into, position) => readAt(file, path, into, position),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

const readWhole = (path: string): Promise<Uint8Array> => withFileErrors("read", path, () => readFile(path));

export function createNodeHost(): Host {
  return {
    ...NODE_FILES,
    name: "node",
    version: process.versions.node,
    engine: `V8 ${process.versions.v8}`,
    cores: availableParallelism(),
    readFile: readWhole,
    openFile: (path) => withFileErrors("open", path, () => openFile(path)),
    loadPackageFile: async (specifier) => readWhole(NODE_FILES.pathOf(packageFileUrl(specifier))),
    importModule,
    importPackage,
    originalPlace: (place) => originalPlace(place, readWhole),
    env: (name) => process.env[name],
    defaultCacheDir: () => cacheDirectory(process.platform, (name) => process.env[name]),
    hubTokenPath: () => hubTokenFile((name) => process.env[name]),
    now: () => performance.now(),
    isTerminal: (stream) => isatty(DESCRIPTORS[stream]),
    rss: () => process.memoryUsage.rss(),
    spawnWorker: spawnThread,
    gpu: nodeGpu(),
    gpuInWorker: false,
  };
}
