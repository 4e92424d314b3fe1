/** Reads that are asked for together come back through one copy and one wait. */
import { BufferPool } from "./buffer_pool.ts";
import type { HostHabits } from "./host_habits.ts";
import type { TimesTaken } from "./pass_clock.ts";
import type { StopsTaken } from "./stops.ts";
import { touchPages } from "./touch_pages.ts";
import { USAGE } from "./usage.ts";

interface Read {
  readonly source: GPUBuffer;
  readonly offset: number;
  readonly into: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export interface ReadBackOptions extends Required<Pick<HostHabits, "mapsEarly">> {
  readonly device: GPUDevice;
  /** Largest size of a buffer. */
  readonly most: number;
  /** Where commands are recorded. */
  readonly encoder: () => GPUCommandEncoder;
  /** Times of passes that came to be known, which travel along. */
  readonly times: (encoder: GPUCommandEncoder) => TimesTaken | undefined;
  /** Why code from anyone was stopped, which travels along. */
  readonly stops: () => StopsTaken | undefined;
  /** Submits what was recorded; rejects with what the device found wrong with it. */
  readonly submit: () => Promise<void>;
  /** Called when the device is at work and the result is waited for. */
  readonly submitted: () => void;
}

const READ_MODE = 1;

export class ReadBack {
  readonly #options: ReadBackOptions;
  readonly #pool: BufferPool;
  #waiting: Read[] = [];
  /** Waits for the device so far. */
  count = 0;

  constructor(options: ReadBackOptions) {
    this.#options = options;
    const { device, most, mapsEarly } = options;
    const usage = USAGE.mapRead | USAGE.copyTarget;
    this.#pool = new BufferPool({ device, usage, most, larger: true, onceMapped: mapsEarly });
  }

  /** Buffers that were made so far. */
  get buffersMade(): number {
    return this.#pool.made;
  }

  async read(source: GPUBuffer, offset: number, into: Uint8Array): Promise<void> {
    const most = this.#mostAtOnce;
    const parts = Array.from({ length: Math.ceil(into.length / most) }, (_, i) =>
      this.#readPart(source, offset + i * most, into.subarray(i * most, (i + 1) * most)),
    );
    await Promise.all(parts);
  }

  /** Bytes that come back at once; what travels along with them is small. */
  get #mostAtOnce(): number {
    return Math.floor(this.#options.most / 2);
  }

  #readPart(source: GPUBuffer, offset: number, into: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ source, offset, into, resolve, reject });
      if (this.#waiting.length === 1) queueMicrotask(() => void this.#go(this.#waiting.splice(0)));
    });
  }

  async #go(reads: readonly Read[]): Promise<void> {
    try {
      for (const some of this.#batches(reads)) await this.#copy(some);
      for (const { resolve } of reads) resolve();
    } catch (error) {
      for (const { reject } of reads) reject(error);
    }
  }

  /** Reads that fit a buffer together. */
  #batches(reads: readonly Read[]): readonly (readonly Read[])[] {
    const batches: Read[][] = [];
    let room = 0;
    for (const read of reads) {
      const { length } = read.into;
      if (length > room) {
        batches.push([]);
        room = this.#mostAtOnce;
      }
      batches[batches.length - 1].push(read);
      room -= length;
    }
    return batches;
  }

  async #copy(reads: readonly Read[]): Promise<void> {
    let size = 0;
    const places = reads.map(({ offset, into }) => {
      const first = offset - (offset % 4);
      const bytes = Math.ceil((offset + into.length - first) / 4) * 4;
      const at = size;
      size += bytes;
      return { first, bytes, at };
    });
    const encoder = this.#options.encoder();
    const times = this.#options.times(encoder);
    const timesAt = Math.ceil(size / 8) * 8;
    if (times !== undefined) size = timesAt + times.bytes;
    const stops = this.#options.stops();
    const stopsAt = Math.ceil(size / 8) * 8;
    if (stops !== undefined) size = stopsAt + stops.bytes;
    const staging = this.#pool.take(size);
    let stopped: ArrayBuffer | undefined;
    try {
      for (const [i, { source }] of reads.entries())
        encoder.copyBufferToBuffer(source, places[i].first, staging, places[i].at, places[i].bytes);
      if (times !== undefined) encoder.copyBufferToBuffer(times.source, 0, staging, timesAt, times.bytes);
      if (stops !== undefined) {
        encoder.copyBufferToBuffer(stops.source, 0, staging, stopsAt, stops.bytes);
        encoder.clearBuffer(stops.source);
      }
      const submitted = this.#options.submit();
      this.count++;
      const range = await this.#map(staging, size, submitted, () => {
        this.#options.submitted();
        for (const { into } of reads) touchPages(into);
      });
      for (const [i, { offset, into }] of reads.entries())
        into.set(new Uint8Array(range, places[i].at + offset - places[i].first, into.length));
      times?.deliver(range.slice(timesAt, timesAt + times.bytes));
      stopped = stops === undefined ? undefined : range.slice(stopsAt, stopsAt + stops.bytes);
      staging.unmap();
      this.#pool.give(staging);
    } catch (error) {
      this.#pool.destroy(staging);
      throw error;
    }
    if (stopped !== undefined) stops?.deliver(stopped);
  }

  /** The first bytes of a buffer, when the device has written them. @param meanwhile what is done while it is at work */
  async #map(staging: GPUBuffer, size: number, submitted: Promise<void>, meanwhile: () => void): Promise<ArrayBuffer> {
    if (!this.#options.mapsEarly) {
      const mapped = staging.mapAsync(READ_MODE, 0, size);
      meanwhile();
      await Promise.all([submitted, mapped]);
      return staging.getMappedRange(0, size);
    }
    meanwhile();
    const mapped = staging.mapAsync(READ_MODE, 0, size);
    // The buffer may be on its next way when this is settled.
    mapped.catch(() => {});
    await submitted;
    try {
      return staging.getMappedRange(0, size);
    } catch {
      await mapped;
      return staging.getMappedRange(0, size);
    }
  }

  clear(): void {
    this.#pool.clear();
  }
}
