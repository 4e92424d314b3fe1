/** A host on `node:worker_threads`, and kernels assembled by hand, for tests of the wasm device. */
import { Worker } from "node:worker_threads";
import { WASM_DEVICE } from "../../kernels/wasm/device/device.ts";
import type { Device, DeviceBuffer, DeviceHost, Launch, OpenOptions, WorkerHandle } from "../../runtime/abi/device.ts";

const SUFFIX = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

export interface TestHost extends DeviceHost {
  readonly workers: Worker[];
}

/** @param entryFor replaces the entry of a worker, by its position. */
export function createHost(entryFor: (entry: URL, worker: number) => URL = (entry) => entry): TestHost {
  const workers: Worker[] = [];
  const spawnWorker = (entry: URL, data: unknown): WorkerHandle => {
    const worker = new Worker(new URL(`./device_worker${SUFFIX}`, import.meta.url), {
      workerData: { entry: entryFor(entry, workers.length).href, data },
    });
    workers.push(worker);
    return {
      postMessage: (message) => worker.postMessage(message),
      onMessage: (listener) => void worker.on("message", listener),
      onEnd: (listener) => {
        let ended = false;
        const once = (reason: string): void => {
          if (!ended) listener(reason);
          ended = true;
        };
        worker.on("error", (error: Error) => once(error.message));
        worker.on("exit", (code) => once(`exit code ${code}`));
      },
      terminate: async () => void (await worker.terminate()),
      ref: () => worker.ref(),
      unref: () => worker.unref(),
    };
  };
  return { name: "test", cores: 2, spawnWorker, workers };
}

export function openDevice(options: OpenOptions, host: DeviceHost = createHost()): Promise<Device> {
  return WASM_DEVICE.open(host, { memory: 64 << 20, ...options });
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

function leb(value: number): number[] {
  const low = value & 127;
  return value < 128 ? [low] : [low | 128, ...leb(value >>> 7)];
}

/** A kernel module with the given instructions and two i32 locals, 4 and 5. */
function kernelModule(instructions: readonly number[]): Uint8Array {
  const body = [1, 2, 0x7f, ...instructions, 0x0b];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(2, [1, 1, 0x65, 1, 0x6d, 2, 1, 1, ...leb(65536)]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const load = (offset: number): number[] => [0x28, 2, offset];
const store = (offset: number): number[] => [0x36, 2, offset];

/**
 * For each item i: writes i to its scratch, counts args[1] down in the scratch's second word, and adds
 * `1 + (scratch word 0 - i)` to the i-th word at args[0]. So a word counts visits, unless two workers share scratch.
 */
const COUNTER = kernelModule([
  ...[0x02, 0x40, 0x03, 0x40],
  ...[...get(1), ...get(2), 0x4e, 0x0d, 1],
  ...[...get(3), ...get(1), ...store(0)],
  ...[...get(0), ...load(4), ...set(4)],
  ...[0x02, 0x40, 0x03, 0x40, ...get(4), 0x45, 0x0d, 1],
  ...[...get(4), 0x41, 1, 0x6b, ...set(4), ...get(3), ...get(4), ...store(4), 0x0c, 0, 0x0b, 0x0b],
  ...[...get(0), ...load(0), ...get(1), 0x41, 2, 0x74, 0x6a, ...set(5)],
  ...[...get(5), ...get(5), ...load(0), 0x41, 1, 0x6a, ...get(3), ...load(0), 0x6a, ...get(1), 0x6b, ...store(0)],
  ...[...get(1), 0x41, 1, 0x6a, ...set(1), 0x0c, 0, 0x0b, 0x0b],
]);

/** Traps at items at or beyond args[0]. */
const TRAP = kernelModule([...get(2), ...get(0), ...load(0), 0x4a, 0x04, 0x40, 0x00, 0x0b]);

/**
 * For one call of a launch with args[1] parts: traps unless it is called for one part alone, and the call before it on the
 * same scratch was the item's part before; adds 1 to the call's word at args[0].
 */
const PARTS = kernelModule([
  ...[...get(2), ...get(1), 0x6b, 0x41, 1, 0x47, 0x04, 0x40, 0x00, 0x0b],
  ...[...get(1), ...get(0), ...load(4), 0x70, 0x04, 0x40],
  ...[...get(3), ...load(0), ...get(1), 0x41, 1, 0x6b, 0x47, 0x04, 0x40, 0x00, 0x0b, 0x0b],
  ...[...get(3), ...get(1), ...store(0)],
  ...[...get(0), ...load(0), ...get(1), 0x41, 2, 0x74, 0x6a, ...set(4)],
  ...[...get(4), ...get(4), ...load(0), 0x41, 1, 0x6a, ...store(0)],
]);

export const CODE: ReadonlyMap<string, Uint8Array> = new Map([
  ["counter", COUNTER],
  ["trap", TRAP],
  ["parts", PARTS],
]);

/** Operations that an iteration of `counter` counts as: about a nanosecond. */
const FLOPS_PER_ITERATION = 20;

export function counterLaunch(
  buffer: { readonly bytes: number; readonly address: number },
  grid: number,
  iterations: number,
  offset = 0,
): Launch {
  return {
    kernel: "test/counter",
    code: "counter",
    args: [{ buffer, offset }, iterations],
    grid,
    flops: grid * iterations * FLOPS_PER_ITERATION,
    workerScratch: 8,
  };
}

export function partsLaunch(buffer: DeviceBuffer, grid: number, parts: number, first = 0): Launch {
  return {
    ...{ kernel: "test/parts", code: "parts", args: [{ buffer, offset: 0 }, parts], workerScratch: 8 },
    ...{ grid, first, parts, flops: grid * 1e6 },
  };
}

export function trapLaunch(grid: number, from: number): Launch {
  return { kernel: "test/trap", code: "trap", args: [from], grid, flops: grid * 1e6, workerScratch: 0 };
}

/** Words of a buffer. */
export async function readWords(
  device: Device,
  buffer: { readonly bytes: number; readonly address: number },
): Promise<Int32Array> {
  const words = new Int32Array(buffer.bytes / 4);
  await device.read(buffer, 0, new Uint8Array(words.buffer));
  return words;
}

/** A zeroed buffer of words. */
export function zeroWords(device: Device, count: number): { readonly bytes: number; readonly address: number } {
  const buffer = device.allocate(count * 4);
  device.write(buffer, 0, new Uint8Array(count * 4));
  return buffer;
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
