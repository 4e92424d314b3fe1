/** Bun: its own worker entries. */
import { isatty } from "node:tty";
import { cacheDirectory, hubTokenFile } from "./cache_dir.ts";
import { bunGpu } from "./gpu.ts";
import type { Host } from "./host.ts";
import { importModule } from "./import_module.ts";
import { NODE_FILES } from "./node_files.ts";
import { originalPlace } from "./original_place.ts";
import { packageFileUrl } from "./package_file.ts";
import { spawnThread } from "./thread_worker.ts";
import { spawnWebWorker } from "./web_worker.ts";

const DESCRIPTORS = { stdin: 0, stdout: 1, stderr: 2 } as const;

export function createBunHost(): Host {
  return {
    ...NODE_FILES,
    name: "bun",
    version: Bun.version,
    engine: "JavaScriptCore",
    cores: navigator.hardwareConcurrency,
    loadPackageFile: async (specifier) => NODE_FILES.readFile(NODE_FILES.pathOf(packageFileUrl(specifier))),
    importModule,
    originalPlace: (place) => originalPlace(place, NODE_FILES.readFile),
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
