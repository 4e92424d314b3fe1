/** Bytes of a device that are in use, against its budget and what indices reach. */
import { bytesText, FoveaError } from "../../../runtime/core/diagnostics.ts";
import { MOST_BYTES } from "./pieces.ts";

export class Ledger {
  readonly limitBytes: number;
  bytesInUse = 0;
  peakBytes = 0;

  constructor(budget: number) {
    this.limitBytes = budget;
  }

  /** @throws FoveaError `out_of_memory` */
  take(bytes: number): void {
    const left = this.limitBytes - this.bytesInUse;
    if (bytes > left || bytes > MOST_BYTES) {
      const why =
        bytes > MOST_BYTES
          ? `indices of shaders reach ${bytesText(MOST_BYTES)} of one weight`
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
