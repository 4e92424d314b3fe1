/** What is said of the hosts' own WebGPU. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mapsEarly } from "../../runtime/host/gpu.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import type { EarlyReads } from "./gpu_worker.ts";

const READS = 50;

test("versions that read mapped buffers early are those that were tried", () => {
  for (const version of ["2.2.0", "2.9.5", "2.9.6"]) assert.ok(mapsEarly(version), version);
  for (const version of [undefined, "1.46.3", "2.1.14", "2.10.0", "2.20.0", "3.2.0", "12.2.0"])
    assert.ok(!mapsEarly(version), version);
});

test("a GPU that is said to map early gives what was written before it says so", async () => {
  const { spawnGpuWorker } = await detectHost();
  // Elsewhere the GPU is waited for in the caller's thread, which is not held up.
  if (spawnGpuWorker === undefined) return;
  const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  const worker = spawnGpuWorker(new URL(`./gpu_worker${suffix}`, import.meta.url), READS);
  try {
    const found = await new Promise<EarlyReads>((resolve, reject) => {
      worker.onMessage((message) => resolve(message as EarlyReads));
      worker.onEnd((reason) => reject(new Error(reason)));
    });
    assert.deepEqual(found, { mapsEarly: true, right: READS, settled: 0 });
  } finally {
    await worker.terminate();
  }
});
