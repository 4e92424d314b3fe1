/** Words of programs in few uniform buffers, so that a bind group serves all programs of its buffers: they differ in the place. */
import { internal } from "../../../runtime/core/diagnostics.ts";
import { USAGE } from "./usage.ts";

/** Bytes between the words of two launches. */
export const WORDS_STRIDE = 512;

/** Bytes of a buffer, unless a program needs more. */
const SLAB_BYTES = 2 ** 22;

/** Words of a program, on the device. */
export interface PlacedWords {
  readonly buffer: GPUBuffer;
  /** Bytes from the start of the buffer. */
  readonly offset: number;
  release(): void;
}

interface Slab {
  readonly buffer: GPUBuffer;
  /** Places that are taken, ascending. */
  readonly taken: { readonly first: number; readonly end: number }[];
}

/** Where so many bytes are free, and before which place; nothing where they are not. */
function gapIn({ buffer, taken }: Slab, bytes: number): { readonly first: number; readonly at: number } | undefined {
  let first = 0;
  for (const [at, place] of taken.entries()) {
    if (place.first - first >= bytes) return { first, at };
    first = place.end;
  }
  return buffer.size - first >= bytes ? { first, at: taken.length } : undefined;
}

export class WordsHeap {
  readonly #device: GPUDevice;
  readonly #slabs: Slab[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Buffers that were made so far. */
  get made(): number {
    return this.#slabs.length;
  }

  place(words: Uint32Array<ArrayBuffer>): PlacedWords {
    if (words.byteLength % WORDS_STRIDE !== 0) internal("words of launches lie at strides");
    const slab = this.#slabs.find((s) => gapIn(s, words.byteLength) !== undefined) ?? this.#add(words.byteLength);
    const { first, at } = gapIn(slab, words.byteLength) ?? internal("a new slab has room");
    const place = { first, end: first + words.byteLength };
    slab.taken.splice(at, 0, place);
    this.#device.queue.writeBuffer(slab.buffer, first, words);
    return {
      buffer: slab.buffer,
      offset: first,
      release: () => {
        slab.taken.splice(slab.taken.indexOf(place), 1);
      },
    };
  }

  #add(bytes: number): Slab {
    const size = Math.max(SLAB_BYTES, bytes);
    const buffer = this.#device.createBuffer({ size, usage: USAGE.uniform | USAGE.copyTarget });
    const slab: Slab = { buffer, taken: [] };
    this.#slabs.push(slab);
    return slab;
  }

  clear(): void {
    for (const { buffer } of this.#slabs.splice(0)) buffer.destroy();
  }
}
