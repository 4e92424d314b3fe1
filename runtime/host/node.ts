/** Node >= 20. */
import { availableParallelism } from "node:os";
import { isatty } from "node:tty";
import { useSha256 } from "../core/digest.ts";
import { cacheDirectory, hubTokenFile } from "./cache_dir.ts";
import { createDigest, createSha1, sha256 } from "./digest.ts";
import { nodeGpu } from "./gpu.ts";
import type { Host } from "./host.ts";
import { importModule, importPackage } from "./import_module.ts";
import { NODE_FILES } from "./node_files.ts";
import { originalPlace } from "./original_place.ts";
import { packageFileUrl } from "./package_file.ts";
import { spawnThread } from "./thread_worker.ts";
import { uncleared } from "./uncleared.ts";

const DESCRIPTORS = { stdin: 0, stdout: 1, stderr: 2 } as const;

export function createNodeHost(): Host {
  useSha256(sha256);
  return {
    ...NODE_FILES,
    createDigest,
    createSha1,
    name: "node",
    version: process.versions.node,
    engine: `V8 ${process.versions.v8}`,
    cores: availableParallelism(),
    loadPackageFile: async (specifier) => NODE_FILES.readFile(NODE_FILES.pathOf(packageFileUrl(specifier))),
    importModule,
    importPackage,
    uncleared,
    originalPlace: (place) => originalPlace(place, NODE_FILES.readFile),
    env: (name) => process.env[name],
    defaultCacheDir: () => cacheDirectory(process.platform, (name) => process.env[name]),
    hubTokenPath: () => hubTokenFile((name) => process.env[name]),
    now: () => performance.now(),
    isTerminal: (stream) => isatty(DESCRIPTORS[stream]),
    rss: () => process.memoryUsage.rss(),
    spawnWorker: spawnThread,
    gpu: nodeGpu(),
  };
}
