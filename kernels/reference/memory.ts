/** Buffers of the reference device: one array of bytes each, poisoned, counted against a budget. */
import type { DeviceBuffer } from "../../runtime/abi/device.ts";
import { bytesText, FoveaError, internal } from "../../runtime/core/diagnostics.ts";

/** Every f32 of fresh memory is NaN and every i32 is -1, so that a read of what nobody wrote shows. */
const POISON = 0xff;

/** Budget where none is asked for. */
export const DEFAULT_BUDGET: number = 2 ** 32;

const ALIGNMENT = 8;

export class ReferenceMemory {
  readonly #budget: number;
  readonly #bytes: Map<DeviceBuffer, Uint8Array> = new Map();
  #inUse = 0;
  #peak = 0;

  constructor(budget: number) {
    this.#budget = budget;
  }

  get bytesInUse(): number {
    return this.#inUse;
  }

  get peakBytes(): number {
    return this.#peak;
  }

  get limitBytes(): number {
    return this.#budget;
  }

  /** @throws FoveaError `out_of_memory` */
  allocate(bytes: number): DeviceBuffer {
    if (!Number.isSafeInteger(bytes) || bytes < 0) internal(`an allocation of ${bytes} bytes`);
    const left = this.#budget - this.#inUse;
    if (bytes > left) throw this.#outOfMemory(bytes, `${bytesText(left)} of ${bytesText(this.#budget)} are left`);
    let data: Uint8Array;
    try {
      data = new Uint8Array(Math.ceil(bytes / ALIGNMENT) * ALIGNMENT).fill(POISON);
    } catch (cause) {
      throw this.#outOfMemory(bytes, `the engine gave no more, with ${bytesText(this.#inUse)} in use`, cause);
    }
    const buffer: DeviceBuffer = Object.freeze({ bytes, address: 0 });
    this.#bytes.set(buffer, data);
    this.#inUse += bytes;
    this.#peak = Math.max(this.#peak, this.#inUse);
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (!this.#bytes.delete(buffer)) internal("a buffer is released that this device does not hold");
    this.#inUse -= buffer.bytes;
  }

  /** A view of the buffer's bytes. */
  window(buffer: DeviceBuffer, offset: number, bytes: number): Uint8Array {
    const data = this.#bytes.get(buffer) ?? internal("a buffer is used that this device does not hold");
    if (!Number.isInteger(offset) || offset < 0 || bytes < 0 || offset + bytes > buffer.bytes) {
      internal(`bytes ${offset} to ${offset + bytes} of a buffer of ${buffer.bytes} bytes`);
    }
    return data.subarray(offset, offset + bytes);
  }

  clear(): void {
    this.#bytes.clear();
    this.#inUse = 0;
  }

  #outOfMemory(asked: number, left: string, cause?: unknown): FoveaError {
    return new FoveaError(
      "out_of_memory",
      `The reference device cannot allocate ${bytesText(asked)}: ${left}. Use a smaller batch or size, release what is no longer needed, or raise \`memory\`.`,
      cause === undefined ? {} : { cause },
    );
  }
}
