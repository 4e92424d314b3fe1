/** Allocation in the one linear memory that all kernels share. */
import { bytesText, FoveaError, internal } from "../../../runtime/core/diagnostics.ts";

const PAGE = 65536;
const ALIGNMENT = 64;
const GROWTH = 1 << 20;
/** Address 0 stays free, so that a missing address is never a valid one. */
const FIRST_ADDRESS = 1024;
/** Vector code may read this far past the end of an allocation. */
const GUARD = 64;

/** Bytes that any device can have: 4 GiB less a page, so that an end address fits 32 bits. */
export const MEMORY_LIMIT: number = 65536 * PAGE - PAGE;

interface Block {
  address: number;
  bytes: number;
}

/** Reserves address space for `pages`, or for as much as the engine gives. */
function createMemory(initial: number, pages: number, shared: boolean): { memory: WebAssembly.Memory; pages: number } {
  for (let maximum = pages; ; maximum = Math.max(initial, maximum >>> 1)) {
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum, shared }), pages: maximum };
    } catch (cause) {
      if (maximum > initial) continue;
      throw new FoveaError(
        "out_of_memory",
        `The engine refused ${shared ? "shared " : ""}WebAssembly memory of ${bytesText(initial * PAGE)}. Free memory on this machine${shared ? ", or run with threads: 0, which needs no shared memory" : ""}.`,
        { cause },
      );
    }
  }
}

/** A linear memory with a first-fit allocator: 64-byte alignment, free neighbours merge, growth on demand. */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly #limit: number;
  /** Sorted by address; no two touch. */
  readonly #free: Block[];
  readonly #used: Map<number, number> = new Map();
  #end: number;
  #view: Uint8Array;
  #inUse = 0;
  #peak = 0;

  /**
   * @param bound largest size in bytes; at most {@link MEMORY_LIMIT}.
   * @throws FoveaError `out_of_memory` when the engine refuses even the smallest memory.
   */
  constructor(bound: number, shared: boolean) {
    const wanted = Math.min(bound, MEMORY_LIMIT);
    const initial = Math.max(1, Math.min(GROWTH / PAGE, Math.floor(wanted / PAGE)));
    const { memory, pages } = createMemory(initial, Math.max(initial, Math.ceil(wanted / PAGE)), shared);
    this.memory = memory;
    this.#limit = Math.max(initial * PAGE, Math.min(wanted, pages * PAGE));
    this.#view = new Uint8Array(memory.buffer);
    this.#end = initial * PAGE - GUARD;
    this.#free = [{ address: FIRST_ADDRESS, bytes: this.#end - FIRST_ADDRESS }];
  }

  get bytesInUse(): number {
    return this.#inUse;
  }

  get peakBytes(): number {
    return this.#peak;
  }

  get limitBytes(): number {
    return this.#limit;
  }

  /**
   * Address of `bytes` bytes, a multiple of 64. The content is undefined.
   * @throws FoveaError `out_of_memory`
   */
  allocate(bytes: number): number {
    if (!Number.isSafeInteger(bytes) || bytes < 0) internal(`an allocation of ${bytes} bytes`);
    const rounded = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    let at = this.#free.findIndex((block) => block.bytes >= rounded);
    if (at < 0) {
      this.#grow(rounded, bytes);
      at = this.#free.length - 1;
    }
    const block = this.#free[at];
    const address = block.address;
    if (block.bytes === rounded) this.#free.splice(at, 1);
    else {
      block.address += rounded;
      block.bytes -= rounded;
    }
    this.#used.set(address, rounded);
    this.#inUse += rounded;
    this.#peak = Math.max(this.#peak, this.#inUse);
    return address;
  }

  release(address: number): void {
    const bytes = this.#used.get(address);
    if (bytes === undefined) internal(`address ${address} is released but not allocated`);
    this.#used.delete(address);
    this.#inUse -= bytes;
    this.#insert({ address, bytes });
  }

  /** A view of the memory; valid until the next allocation. */
  bytes(address: number, length: number): Uint8Array {
    if (this.#view.buffer !== this.memory.buffer) this.#view = new Uint8Array(this.memory.buffer);
    return this.#view.subarray(address, address + length);
  }

  words(address: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, length);
  }

  #insert(block: Block): void {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#free[middle].address < block.address) low = middle + 1;
      else high = middle;
    }
    this.#free.splice(low, 0, block);
    const next = this.#free[low + 1];
    if (next !== undefined && block.address + block.bytes === next.address) {
      block.bytes += next.bytes;
      this.#free.splice(low + 1, 1);
    }
    const previous = this.#free[low - 1];
    if (previous !== undefined && previous.address + previous.bytes === block.address) {
      previous.bytes += block.bytes;
      this.#free.splice(low, 1);
    }
  }

  /** Makes the last free block at least `rounded` bytes long. */
  #grow(rounded: number, asked: number): void {
    const last = this.#free.at(-1);
    const tail = last !== undefined && last.address + last.bytes === this.#end ? last.bytes : 0;
    const missing = rounded - tail;
    const room = this.#limit - GUARD - this.#end;
    if (missing > room) {
      this.#fail(asked, room + tail, `The limit is ${bytesText(this.#limit)}.`);
    }
    const preferred = Math.ceil(missing / GROWTH) * GROWTH;
    const added = this.#growBy(Math.min(preferred, Math.floor(room / PAGE) * PAGE)) || this.#growBy(missing);
    if (added < missing) {
      this.#fail(asked, tail, `The limit is ${bytesText(this.#limit)}, but the machine gave no more.`);
    }
    this.#insert({ address: this.#end, bytes: added });
    this.#end += added;
  }

  /** Bytes that the memory grew by: `bytes` rounded up to pages, or 0. */
  #growBy(bytes: number): number {
    const pages = Math.ceil(bytes / PAGE);
    try {
      this.memory.grow(pages);
      return pages * PAGE;
    } catch {
      return 0;
    }
  }

  #fail(asked: number, left: number, limit: string): never {
    const largest = this.#free.reduce((most, block) => Math.max(most, block.bytes), left);
    throw new FoveaError(
      "out_of_memory",
      `The wasm device cannot allocate ${bytesText(asked)}: ${bytesText(this.#inUse)} are in use and the largest piece left is ${bytesText(Math.max(0, largest))}. ${limit} Use a smaller batch or size, release what is no longer needed, or raise \`memory\` (at most 4 GiB).`,
    );
  }
}
