/** A device in whose place another one of its kind can be opened: after it was lost, or instead of closing it for good. */
import type {
  Address,
  BoundProgram,
  Capabilities,
  Device,
  DeviceBuffer,
  DeviceStats,
  Launch,
  ReopenableDevice,
  RunOptions,
} from "../abi/device.ts";
import { FoveaError } from "../core/diagnostics.ts";

const isAddress = (arg: Address | number): arg is Address => typeof arg === "object";

const isEnd = (error: unknown): boolean => error instanceof FoveaError && error.code === "device_closed";

class Reopenable implements ReopenableDevice {
  readonly kind: string;
  readonly target: string;
  readonly window?: NonNullable<Device["window"]>;
  generation = 0;
  #inner: Device;
  readonly #open: () => Promise<Device>;
  /** What belongs to the device that is open now. */
  #buffers = new WeakSet<DeviceBuffer>();
  #programs = new WeakSet<BoundProgram>();
  #reopening: Promise<void> | undefined;
  #closed = false;

  constructor(inner: Device, open: () => Promise<Device>) {
    this.#inner = inner;
    this.#open = open;
    this.kind = inner.kind;
    this.target = inner.target;
    if (inner.window !== undefined) {
      this.window = (buffer, offset, bytes) => {
        this.#checkBuffer(buffer);
        return (this.#inner as Required<Device>).window(buffer, offset, bytes);
      };
    }
  }

  get capabilities(): Capabilities {
    return this.#inner.capabilities;
  }

  get threads(): number {
    return this.#inner.threads;
  }

  load(code: ReadonlyMap<string, Uint8Array>): Promise<number> {
    return this.#told(() => this.#inner.load(code));
  }

  has(code: string): boolean {
    return this.#inner.has(code);
  }

  allocate(bytes: number): DeviceBuffer {
    const buffer = this.#now(() => this.#inner.allocate(bytes));
    this.#buffers.add(buffer);
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    // That of an earlier device went with it.
    if (this.#buffers.delete(buffer)) this.#inner.release(buffer);
  }

  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.#checkBuffer(buffer);
    this.#inner.write(buffer, offset, data);
  }

  async read(buffer: DeviceBuffer, offset: number, into: Uint8Array): Promise<void> {
    this.#checkBuffer(buffer);
    return this.#told(() => this.#inner.read(buffer, offset, into));
  }

  bind(launches: readonly Launch[]): BoundProgram {
    for (const { args } of launches) for (const arg of args) if (isAddress(arg)) this.#checkBuffer(arg.buffer);
    // Code that was loaded on a device of before.
    if (this.generation > 0 && launches.some(({ code }) => !this.#inner.has(code))) throw this.#stale();
    const program = this.#now(() => this.#inner.bind(launches));
    this.#programs.add(program);
    return program;
  }

  async run(program: BoundProgram, options: RunOptions): Promise<void> {
    if (!this.#programs.has(program)) throw this.#stale();
    return this.#told(() => this.#inner.run(program, options));
  }

  stats(): DeviceStats {
    return this.#inner.stats();
  }

  reopen(): Promise<void> {
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #reopen(): Promise<void> {
    if (this.#closed) throw new FoveaError("device_closed", `The device "${this.kind}" was closed for good.`);
    const last = this.#inner;
    this.generation++;
    this.#buffers = new WeakSet();
    this.#programs = new WeakSet();
    // Whatever a lost device still says about its end.
    await last.close().catch(() => {});
    const next = await this.#open();
    if (this.#closed) return next.close();
    this.#inner = next;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reopening?.catch(() => {});
    await this.#inner.close();
  }

  /** Work that was given to a device which was closed to open another is lost with it. */
  async #told<T>(work: () => Promise<T>): Promise<T> {
    const { generation } = this;
    const isReopening = this.#reopening !== undefined;
    try {
      return await work();
    } catch (error) {
      throw isEnd(error) && (isReopening || generation !== this.generation) ? this.#stale(error) : error;
    }
  }

  /** The same of work that is done at once. */
  #now<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw isEnd(error) && this.#reopening !== undefined ? this.#stale(error) : error;
    }
  }

  #checkBuffer(buffer: DeviceBuffer): void {
    if (!this.#buffers.has(buffer)) throw this.#stale();
  }

  #stale(cause?: unknown): FoveaError {
    return new FoveaError(
      "device_lost",
      `The device "${this.kind}" was opened anew, and what was on it before is gone; make the call again.`,
      { cause, exitCode: 1 },
    );
  }
}

/** @param open opens another device of the same kind and target. @throws what it throws */
export async function openReopenable(open: () => Promise<Device>): Promise<ReopenableDevice> {
  const inner = await open();
  return new Reopenable(inner, open);
}
