/**
 * Bytes that are written to one place again and again, such as a model's inputs, go through buffers that stay and are mapped anew
 * behind each run: `writeBuffer` takes fresh memory for each call, whose first touch costs more than the copy.
 */
import { sizeClass } from "./buffer_pool.ts";
import { USAGE } from "./usage.ts";

const LEAST_BYTES = 2 ** 16;
const MOST_BYTES = 2 ** 26;
/** Buffers that are kept. */
const MOST_BUFFERS = 4;
const WRITE_MODE = 2;

export class Uploads {
  readonly #device: GPUDevice;
  /** Places that were written before, by buffer. */
  readonly #seen: WeakMap<GPUBuffer, Set<string>> = new WeakMap();
  readonly #all: Set<GPUBuffer> = new Set();
  /** Mapped ones. */
  #idle: GPUBuffer[] = [];
  /** Those that recorded commands copy from. */
  #used: GPUBuffer[] = [];
  /** Buffers that were made so far. */
  made = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Records the copy, for a place that was written before and where a buffer is free; false otherwise. */
  write(encoder: () => GPUCommandEncoder, target: GPUBuffer, offset: number, data: Uint8Array): boolean {
    const { length } = data;
    if (length < LEAST_BYTES || length > MOST_BYTES || length % 4 !== 0 || offset % 4 !== 0) return false;
    const seen = this.#seen.get(target) ?? new Set();
    const place = `${offset} ${length}`;
    if (!seen.has(place)) {
      this.#seen.set(target, seen.add(place));
      return false;
    }
    const staging = this.#take(length);
    if (staging === undefined) return false;
    new Uint8Array(staging.getMappedRange(0, length)).set(data);
    staging.unmap();
    encoder().copyBufferToBuffer(staging, 0, target, offset, length);
    this.#used.push(staging);
    return true;
  }

  #take(bytes: number): GPUBuffer | undefined {
    const at = this.#idle.findIndex(({ size }) => size >= bytes);
    if (at >= 0) return this.#idle.splice(at, 1)[0];
    if (this.#all.size >= MOST_BUFFERS) {
      // One that is too small makes room.
      const small = this.#idle.shift();
      if (small === undefined) return undefined;
      this.#all.delete(small);
      small.destroy();
    }
    const usage = USAGE.mapWrite | USAGE.copySource;
    const made = this.#device.createBuffer({ size: sizeClass(bytes), usage, mappedAtCreation: true });
    this.made++;
    this.#all.add(made);
    return made;
  }

  /** What was recorded is submitted: its buffers come back when the device has read them. */
  submitted(): void {
    for (const staging of this.#used.splice(0)) {
      staging.mapAsync(WRITE_MODE).then(
        () => this.#idle.push(staging),
        // The device is lost or closed, and the buffer with it.
        () => this.#all.delete(staging),
      );
    }
  }

  clear(): void {
    for (const staging of this.#all) staging.destroy();
    this.#all.clear();
    this.#idle = [];
    this.#used = [];
  }
}
