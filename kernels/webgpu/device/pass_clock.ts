/** The device's own time of passes, by timestamp queries that travel with the next read. */
import type { DeviceTime } from "../../../runtime/abi/device.ts";
import { USAGE } from "./usage.ts";

/** Passes that are timed between two reads; the others go without. */
const MOST_PASSES = 2048;

/** GPUBufferUsage.QUERY_RESOLVE. */
const QUERY_RESOLVE = 512;

type Deliver = (time: DeviceTime) => void;

/** Times that a submit will hold. */
export interface TimesTaken {
  readonly source: GPUBuffer;
  readonly bytes: number;
  /** Tells each pass its time, from the copied bytes. */
  deliver(bytes: ArrayBuffer): void;
}

export class PassClock {
  readonly #device: GPUDevice;
  #set: GPUQuerySet | undefined;
  #resolved: GPUBuffer | undefined;
  #waiting: Deliver[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Where the next pass writes its times; nothing where the device measures none. */
  next(deliver: Deliver): GPUComputePassTimestampWrites | undefined {
    if (!this.#device.features.has("timestamp-query") || this.#waiting.length >= MOST_PASSES) return undefined;
    this.#set ??= this.#device.createQuerySet({ type: "timestamp", count: 2 * MOST_PASSES });
    const first = 2 * this.#waiting.push(deliver) - 2;
    return { querySet: this.#set, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
  }

  /** Puts the times since the last call into a buffer. */
  take(encoder: GPUCommandEncoder): TimesTaken | undefined {
    const delivers = this.#waiting.splice(0);
    if (this.#set === undefined || delivers.length === 0) return undefined;
    const usage = QUERY_RESOLVE | USAGE.copySource;
    this.#resolved ??= this.#device.createBuffer({ size: 16 * MOST_PASSES, usage });
    encoder.resolveQuerySet(this.#set, 0, 2 * delivers.length, this.#resolved, 0);
    return {
      source: this.#resolved,
      bytes: 16 * delivers.length,
      deliver: (bytes) => {
        const nanoseconds = new BigUint64Array(bytes);
        const at = (i: number): number => Number(nanoseconds[i] - nanoseconds[0]) / 1e6;
        for (const [i, deliver] of delivers.entries()) deliver({ begin: at(2 * i), end: at(2 * i + 1) });
      },
    };
  }

  clear(): void {
    this.#set?.destroy();
    this.#resolved?.destroy();
  }
}
