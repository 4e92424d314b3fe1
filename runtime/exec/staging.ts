/** Memory that weights pass through while they are loaded: taken again by the next ones, and given back at the end. */
import type { Device, DeviceBuffer } from "../abi/device.ts";

/** Larger ones go back at once, so that a huge weight does not keep its memory from all others. */
const KEPT_BYTES = 64 << 20;

/** Memory that was written before costs a quarter of what fresh memory does, which the system has to clear page by page. */
export class Staging {
  readonly #device: Device;
  readonly #keptBytes: number;
  readonly #buffers: DeviceBuffer[] = [];
  readonly #arrays: Float32Array[] = [];

  /** @param keeps false where memory is scarce: everything goes back at once */
  constructor(device: Device, keeps = true) {
    this.#device = device;
    this.#keptBytes = keeps ? KEPT_BYTES : 0;
  }

  /** @throws FoveaError `out_of_memory` */
  take(bytes: number): DeviceBuffer {
    const wanted = Math.max(bytes, 4);
    const kept = takeSmallest(this.#buffers, (buffer) => buffer.bytes, wanted);
    if (kept !== undefined) return kept;
    // Weights of a model come in few sizes: what is too small for one will be for most that follow.
    for (const buffer of this.#buffers.splice(0)) this.#device.release(buffer);
    return this.#device.allocate(wanted);
  }

  give(buffer: DeviceBuffer): void {
    if (buffer.bytes > this.#keptBytes) this.#device.release(buffer);
    else this.#buffers.push(buffer);
  }

  /** An array of the host, of at least as many elements. */
  takeArray(elements: number): Float32Array {
    const kept = takeSmallest(this.#arrays, (array) => array.length, elements);
    if (kept !== undefined) return kept;
    this.#arrays.length = 0;
    return new Float32Array(elements);
  }

  giveArray(array: Float32Array): void {
    if (array.byteLength <= this.#keptBytes) this.#arrays.push(array);
  }

  /** Gives back what nobody has taken. */
  release(): void {
    for (const buffer of this.#buffers.splice(0)) this.#device.release(buffer);
    this.#arrays.length = 0;
  }
}

/** Takes the smallest that is large enough out of a list. */
function takeSmallest<T>(list: T[], sizeOf: (item: T) => number, wanted: number): T | undefined {
  let best = -1;
  for (const [i, item] of list.entries()) {
    const size = sizeOf(item);
    if (size >= wanted && (best < 0 || size < sizeOf(list[best]))) best = i;
  }
  return best < 0 ? undefined : list.splice(best, 1)[0];
}
