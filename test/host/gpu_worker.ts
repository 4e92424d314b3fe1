/** A worker that reads a GPU's buffer again and again before `mapAsync` says that it may. */
import type { WorkerPort } from "../../runtime/host/worker_port.ts";

/** What the worker found. */
export interface EarlyReads {
  readonly mapsEarly: boolean;
  /** Reads that gave what was written last. */
  readonly right: number;
  /** Reads whose promise was settled before. */
  readonly settled: number;
}

export async function start(port: WorkerPort): Promise<void> {
  const gpu = await port.gpu();
  if ("unavailable" in gpu) throw new Error(gpu.unavailable);
  const device = await (await gpu.requestAdapter())?.requestDevice();
  if (device === undefined) throw new Error("no adapter was found");
  const [mapRead, copySource, copyTarget] = [0x1, 0x4, 0x8];
  const written = device.createBuffer({ size: 4096, usage: copySource | copyTarget });
  const staging = device.createBuffer({ size: 4096, usage: mapRead | copyTarget, mappedAtCreation: true });
  staging.unmap();
  let [right, settled] = [0, 0];
  const waits: Promise<void>[] = [];
  for (let value = 1; value <= (port.data as number); value++) {
    device.queue.writeBuffer(written, 0, new Uint32Array(1024).fill(value));
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(written, 0, staging, 0, 4096);
    device.queue.submit([encoder.finish()]);
    let isSettled = false;
    const mapped = staging.mapAsync(mapRead, 0, 4096).then(() => {
      isSettled = true;
    });
    waits.push(mapped);
    await undefined;
    if (isSettled) settled++;
    if (new Uint32Array(staging.getMappedRange(0, 4096)).every((v) => v === value)) right++;
    staging.unmap();
  }
  await Promise.all(waits);
  port.postMessage({ mapsEarly: port.mapsEarly, right, settled } satisfies EarlyReads);
}
