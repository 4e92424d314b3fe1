/**
 * Memory that the caller's thread and the device's worker share, for bytes on their way: messages would copy them into fresh
 * memory, once more and with its first touch.
 */
import { sizeClass } from "./buffer_pool.ts";

/** Less than this travels in a message. */
const LEAST_BYTES = 2 ** 14;
const MOST_BYTES = 2 ** 25;
/** Idle blocks, and their bytes, that are kept. */
const MOST_BLOCKS = 6;
const MOST_IDLE_BYTES = 2 ** 26;

const isThere = typeof SharedArrayBuffer === "function";

export class SharedStaging {
  #idle: SharedArrayBuffer[] = [];

  /** Shared memory of so many bytes, with any contents; undefined for what a message carries as well. */
  take(bytes: number): Uint8Array | undefined {
    if (!isThere || bytes < LEAST_BYTES || bytes > MOST_BYTES) return undefined;
    const at = this.#idle.findIndex(({ byteLength }) => byteLength >= bytes);
    const block = at < 0 ? new SharedArrayBuffer(sizeClass(bytes)) : this.#idle.splice(at, 1)[0];
    return new Uint8Array(block, 0, bytes);
  }

  /** Memory that the worker is done with; the blocks that idle longest go first. */
  give({ buffer }: Uint8Array): void {
    this.#idle.push(buffer as SharedArrayBuffer);
    const bytes = (): number => this.#idle.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (this.#idle.length > MOST_BLOCKS || bytes() > MOST_IDLE_BYTES) this.#idle.shift();
  }
}
