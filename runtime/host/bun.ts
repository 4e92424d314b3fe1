/** Bun: its own digests and worker entries. */
import { useSha256 } from "../core/digest.ts";
import { cacheDirectory, hubTokenFile } from "./cache_dir.ts";
import type { Digest } from "./digest.ts";
import { bunGpu } from "./gpu.ts";
import type { Host } from "./host.ts";
import { importModule, importPackage } from "./import_module.ts";
import { NODE_FILES } from "./node_files.ts";
import { originalPlace } from "./original_place.ts";
import { packageFileUrl } from "./package_file.ts";
import { spawnThread } from "./thread_worker.ts";
import { uncleared } from "./uncleared.ts";
import { spawnWebWorker } from "./web_worker.ts";

function digestOf(algorithm: "sha1" | "sha256"): Digest {
  const hasher = new Bun.CryptoHasher(algorithm);
  return { update: (bytes) => void hasher.update(bytes), hex: () => hasher.digest("hex") };
}

export function createBunHost(): Host {
  useSha256((bytes) => Bun.SHA256.hash(bytes, "hex"));
  return {
    ...NODE_FILES,
    createDigest: () => digestOf("sha256"),
    createSha1: async () => digestOf("sha1"),
    name: "bun",
    version: Bun.version,
    engine: "JavaScriptCore",
    cores: navigator.hardwareConcurrency,
    loadPackageFile: async (specifier) => NODE_FILES.readFile(NODE_FILES.pathOf(packageFileUrl(specifier))),
    importModule,
    importPackage,
    uncleared,
    originalPlace: (place) => originalPlace(place, NODE_FILES.readFile),
    env: (name) => Bun.env[name],
    defaultCacheDir: () => cacheDirectory(process.platform, (name) => Bun.env[name]),
    hubTokenPath: () => hubTokenFile((name) => Bun.env[name]),
    now: () => performance.now(),
    isTerminal: (stream) => process[stream].isTTY === true,
    rss: () => process.memoryUsage.rss(),
    // Some libraries, onnxruntime-web for one, put Node's Worker in the place of the global one.
    spawnWorker: (entry, data) =>
      "addEventListener" in Worker.prototype ? spawnWebWorker(entry, data) : spawnThread(entry, data),
    gpu: bunGpu(),
  };
}
