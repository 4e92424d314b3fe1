/** GPU buffers by size class, kept for the next of their class. What is bound to a buffer lives as long as the buffer does. */

/** Idle buffers, and their bytes, that are kept; the ones that idle longest go first. */
const MOST_IDLE = 16;
const MOST_IDLE_BYTES = 2 ** 28;
const SMALLEST = 256;

/** The size of buffers that hold so many bytes: at most an eighth more. */
export function sizeClass(bytes: number): number {
  if (bytes <= SMALLEST) return SMALLEST;
  const step = Math.max(SMALLEST, 2 ** (28 - Math.clz32(bytes - 1)));
  return bytes < 2 ** 31 ? Math.ceil(bytes / step) * step : Math.ceil(bytes / 2 ** 28) * 2 ** 28;
}

export interface BufferPoolOptions {
  readonly device: GPUDevice;
  readonly usage: number;
  /** Largest size that the device makes. */
  readonly most: number;
  /** Any buffer that is large enough will do; otherwise one of the class. */
  readonly larger?: boolean;
  /** Each is mapped once, when it is made. */
  readonly onceMapped?: boolean;
  /** Called before a buffer is destroyed. */
  readonly onDestroy?: (buffer: GPUBuffer) => void;
}

export class BufferPool {
  readonly #options: BufferPoolOptions;
  #idle: GPUBuffer[] = [];
  /** Buffers that were made, and those that were not destroyed. */
  made = 0;
  alive = 0;

  constructor(options: BufferPoolOptions) {
    this.#options = options;
  }

  /** A buffer of at least so many bytes, with any contents. */
  take(bytes: number): GPUBuffer {
    const { device, usage, most, larger = false, onceMapped = false } = this.#options;
    const size = Math.min(sizeClass(bytes), most);
    const at = this.#idle.findIndex((b) => (larger ? b.size >= size : b.size === size));
    if (at >= 0) return this.#idle.splice(at, 1)[0];
    const made = device.createBuffer({ size, usage, mappedAtCreation: onceMapped });
    if (onceMapped) made.unmap();
    this.made++;
    this.alive++;
    return made;
  }

  give(buffer: GPUBuffer): void {
    this.#idle.push(buffer);
    let bytes = this.#idle.reduce((n, b) => n + b.size, 0);
    while (this.#idle.length > MOST_IDLE || bytes > MOST_IDLE_BYTES) {
      const oldest = this.#idle.shift() as GPUBuffer;
      bytes -= oldest.size;
      this.destroy(oldest);
    }
  }

  destroy(buffer: GPUBuffer): void {
    this.#options.onDestroy?.(buffer);
    buffer.destroy();
    this.alive--;
  }

  clear(): void {
    for (const buffer of this.#idle.splice(0)) this.destroy(buffer);
  }
}
