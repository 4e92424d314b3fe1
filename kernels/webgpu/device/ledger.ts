/** Bytes of a device that are in use, against its budget and the largest buffer of its adapter. */
import { bytesText, FoveaError } from "../../../runtime/core/diagnostics.ts";

export class Ledger {
  readonly limitBytes: number;
  readonly #largest: number;
  bytesInUse = 0;
  peakBytes = 0;

  constructor(budget: number, largest: number) {
    this.limitBytes = budget;
    this.#largest = largest;
  }

  /** @throws FoveaError `out_of_memory` */
  take(bytes: number): void {
    const left = this.limitBytes - this.bytesInUse;
    if (bytes > left || bytes > this.#largest) {
      const why =
        bytes > this.#largest
          ? `one buffer of this adapter holds ${bytesText(this.#largest)}`
          : `${bytesText(left)} of ${bytesText(this.limitBytes)} are left`;
      throw new FoveaError("out_of_memory", `The device "webgpu" has no room for ${bytesText(bytes)}: ${why}.`);
    }
    this.bytesInUse += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.bytesInUse);
  }

  give(bytes: number): void {
    this.bytesInUse -= bytes;
  }
}

/** The largest buffer that kernels of a device can see whole. */
export const largestBuffer = ({ limits }: GPUDevice): number =>
  Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
