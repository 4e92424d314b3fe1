/** Where an encoder's towers are: on one device at a time, while calls come and go. */
import type { Device } from "../../abi/device.ts";
import type { Modality } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { ForwardContext } from "../../exec/forward_context.ts";
import type { PixelCutter } from "../inputs/pixels.ts";
import { Hold } from "./hold.ts";
import type { LoadedTower } from "./tower.ts";

/** Towers that are loaded on one device, which answers for them. */
export interface Resident {
  readonly device: Pick<Device, "kind" | "stats">;
  readonly towers: ReadonlyMap<Modality, LoadedTower>;
  readonly cutter: PixelCutter;
  /** Gives weights and buffers back at once; resolves when their files are closed. */
  release(): Promise<void>;
}

/**
 * A call belongs to one resident from its begin to its end, so that its results come from one device. Where another resident
 * takes the place, calls that began before end where they began; then that one is released.
 */
export class Residence {
  #current: Resident;
  readonly #calls = new Map<Resident, number>();
  readonly #hold = new Hold();
  #failure: FoveaError | undefined;
  /** Who waits for calls to end, by what they run on. */
  readonly #leaving = new Map<Resident, (() => void)[]>();
  #closed = false;
  #released: Promise<void> = Promise.resolve();

  constructor(resident: Resident) {
    this.#current = resident;
  }

  /** What answers calls that begin now. */
  get current(): Resident {
    return this.#current;
  }

  /** Whether it is given up for good. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when what was released until now has nothing open any more. @throws what kept it from being closed */
  get released(): Promise<void> {
    return this.#released;
  }

  /** Residents whose weights are held: two while calls that began before a move have not ended. */
  get held(): readonly Resident[] {
    return [...new Set([this.#current, ...this.#calls.keys()])];
  }

  /** Runs a call on the current resident. @throws what {@link fail} was given; the context's reason to stop */
  async during<T>(context: ForwardContext, call: (resident: Resident) => Promise<T>): Promise<T> {
    if (this.#hold.isOn) await this.#hold.pass(context);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new FoveaError("closed", "This encoder was closed; load the model again to encode.");
    const own = this.#current;
    this.#calls.set(own, (this.#calls.get(own) ?? 0) + 1);
    try {
      return await call(own);
    } finally {
      const left = (this.#calls.get(own) ?? 1) - 1;
      if (left > 0) this.#calls.set(own, left);
      else {
        this.#calls.delete(own);
        for (const resolve of this.#leaving.get(own) ?? []) resolve();
        this.#leaving.delete(own);
      }
      if (left === 0 && own !== this.#current && !this.#closed) this.#release(own);
    }
  }

  /** Calls that begin from now on are the next one's. */
  move(next: Resident): void {
    const last = this.#current;
    if (this.#closed) {
      this.#release(next);
      return;
    }
    this.#failure = undefined;
    this.#current = next;
    if (!this.#calls.has(last)) this.#release(last);
  }

  /**
   * Loads what takes the current one's place, which went with its device. Where another took it meanwhile, such as the device
   * that a handover leads to, that one stays and what was loaded is given back.
   * @throws what `load` throws, with which calls then end
   */
  async replace(load: () => Promise<Resident>): Promise<void> {
    const gone = this.#current;
    try {
      const next = await load();
      if (this.#current === gone) this.move(next);
      else this.#release(next);
    } catch (error) {
      if (this.#current !== gone) return;
      if (error instanceof FoveaError) this.fail(error);
      throw error;
    }
  }

  /** Resolves when no call runs on a resident any more; at once where none does. */
  left(resident: Resident): Promise<void> {
    if (!this.#calls.has(resident)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#leaving.set(resident, [...(this.#leaving.get(resident) ?? []), resolve]);
    });
  }

  /** Calls that would begin wait until `work` has ended, whatever comes of it. */
  hold(work: Promise<unknown>): void {
    this.#hold.on(work);
  }

  /** Calls that begin from now on end with this error. */
  fail(error: FoveaError): void {
    this.#failure = error;
  }

  /** The current resident answers again. */
  recover(): void {
    this.#failure = undefined;
  }

  /** Gives everything back; calls that run end as their device says. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const resident of this.held) this.#release(resident);
  }

  #release(resident: Resident): void {
    const ended = resident.release();
    this.#released = this.#released.then(() => ended);
    // Who waits is told.
    this.#released.catch(() => {});
  }
}
