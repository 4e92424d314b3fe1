/** Opening a runtime's device anew, with all that was loaded on it. */
import type { ReopenableDevice } from "../../abi/device.ts";
import { FoveaError } from "../../core/diagnostics.ts";

/** What a runtime closes with itself. */
export interface OpenedEntry {
  close(): void;
  /** Resolves when nothing of it is at work any more. */
  readonly ended?: () => Promise<void>;
}

/** What lies on devices and can be loaded again. */
export interface ReloadableEntry extends OpenedEntry {
  /** Whether something of it is on devices of a kind, or is about to be. */
  uses(kind: string): boolean;
  /** A device is about to be opened anew: calls that need it wait until `work` has ended. */
  hold(kind: string, work: Promise<unknown>): void;
  /** Loads what was on the device once more. @throws what loading throws; calls then end with the same */
  reload(kind: string): Promise<void>;
}

/**
 * Opens a device anew, then loads what used it, one after the other. Calls that come from now on wait.
 * @param after what has to end before
 * @throws FoveaError what opening throws, or the first thing that kept something from being loaded again
 */
export async function reopenDevice(
  device: ReopenableDevice,
  entries: Iterable<ReloadableEntry>,
  after: Promise<void>,
): Promise<void> {
  const { kind } = device;
  const own = [...entries].filter((entry) => entry.uses(kind));
  const failures: unknown[] = [];
  const work = (async (): Promise<void> => {
    await after;
    await device.reopen();
    for (const entry of own) await entry.reload(kind).catch((error: unknown) => failures.push(error));
  })();
  for (const entry of own) entry.hold(kind, work);
  await work;
  if (failures.length > 0) throw failures[0];
}

/** Times that what is put on devices is begun again because one was opened anew meanwhile. */
const MOST_REPEATS = 3;

const isLost = (error: unknown): boolean => error instanceof FoveaError && error.code === "device_lost";

/** A runtime's devices that are opened anew, one after the other: what is loaded again may lie on several. */
export class Reopenings {
  #begun = 0;
  #last: Promise<void> = Promise.resolve();

  /** Resolves when none is under way any more. */
  get ended(): Promise<void> {
    return this.#last;
  }

  /** @throws FoveaError as {@link reopenDevice} */
  begin(device: ReopenableDevice, entries: Iterable<ReloadableEntry>): Promise<void> {
    this.#begun++;
    const reopened = reopenDevice(device, entries, this.#last);
    this.#last = reopened.catch(() => {});
    return reopened;
  }

  /** What is put on devices: behind those that are opened anew, and once more where one was meanwhile. */
  async through<T extends { close(): unknown }>(work: () => Promise<T>): Promise<T> {
    for (let left = MOST_REPEATS; ; left--) {
      await this.#last;
      const begun = this.#begun;
      try {
        const made = await work();
        if (begun === this.#begun) return made;
        // Some of it may lie on a device that is gone, unseen by whoever loads again what was there.
        made.close();
        if (left === 0)
          throw new FoveaError("device_lost", "A device was opened anew while this was loaded; make the call again.");
      } catch (error) {
        if (left === 0 || begun === this.#begun || !isLost(error)) throw error;
      }
    }
  }
}

/** The device of a kind among those that a runtime has open. @throws FoveaError `unknown_device` */
export function openedDevice(
  kind: string,
  own: ReopenableDevice,
  others: ReadonlyMap<string, ReopenableDevice>,
): ReopenableDevice {
  const found = kind === own.kind ? own : others.get(kind);
  if (found !== undefined) return found;
  throw new FoveaError(
    "unknown_device",
    `This runtime has no device "${kind}" open; it has ${[own.kind, ...others.keys()].join(", ")}.`,
  );
}
