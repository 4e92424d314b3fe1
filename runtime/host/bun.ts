/** Bun: its own file and worker entries. */
import { isatty } from "node:tty";
import { cacheDirectory, hubTokenFile } from "./cache_dir.ts";
import { withFileErrors } from "./file_error.ts";
import { bunGpu } from "./gpu.ts";
import type { Host, OpenFile } from "./host.ts";
import { importModule, importPackage } from "./import_module.ts";
import { NODE_FILES } from "./node_files.ts";
import { originalPlace } from "./original_place.ts";
import { packageFileUrl } from "./package_file.ts";
import { spawnThread } from "./thread_worker.ts";
import { spawnWebWorker } from "./web_worker.ts";

const DESCRIPTORS = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** Bytes of one slice: bounds what a read holds beside its destination. */
const SLICE = 1 << 23;

const readWhole = (path: string): Promise<Uint8Array> => withFileErrors("read", path, () => Bun.file(path).bytes());

async function openFile(path: string): Promise<OpenFile> {
  const file = Bun.file(path);
  const found = await file.stat();
  if (found.isDirectory()) throw Object.assign(new Error("is a folder"), { code: "EISDIR" });
  return {
    size: found.size,
    read: (into, position) =>
      withFileErrors("read", path, async () => {
        let done = 0;
        while (done < into.length) {
          const from = position + done;
          const part = await file.slice(from, Math.min(from + SLICE, position + into.length)).bytes();
          if (part.length === 0) break;
          into.set(part, done);
          done += part.length;
        }
        return done;
      }),
    close: async () => undefined,
  };
}

export function createBunHost(): Host {
  return {
    ...NODE_FILES,
    name: "bun",
    version: Bun.version,
    engine: "JavaScriptCore",
    cores: navigator.hardwareConcurrency,
    readFile: readWhole,
    openFile: (path) => withFileErrors("open", path, () => openFile(path)),
    loadPackageFile: async (specifier) => readWhole(NODE_FILES.pathOf(packageFileUrl(specifier))),
    importModule,
    importPackage,
    originalPlace: (place) => originalPlace(place, readWhole),
    env: (name) => Bun.env[name],
    defaultCacheDir: () => cacheDirectory(process.platform, (name) => Bun.env[name]),
    hubTokenPath: () => hubTokenFile((name) => Bun.env[name]),
    now: () => performance.now(),
    isTerminal: (stream) => isatty(DESCRIPTORS[stream]),
    rss: () => process.memoryUsage.rss(),
    // Some libraries, onnxruntime-web for one, put Node's Worker in the place of the global one.
    spawnWorker: (entry, data) =>
      "addEventListener" in Worker.prototype ? spawnWebWorker(entry, data) : spawnThread(entry, data),
    gpu: bunGpu(),
    gpuInWorker: false,
  };
}
