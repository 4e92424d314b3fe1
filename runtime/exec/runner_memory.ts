/** What all runners of a device share: memory that waits for a next call, and where new memory for results comes from. */
import type { Device } from "../abi/device.ts";

/** New memory that is about to be written as a whole; it may hold anything. */
export type FreshMemory = (bytes: number) => ArrayBuffer;

export interface RunnerMemory {
  /**
   * Joins those who keep memory for their next call of a size, which all give up before anyone's request is refused.
   * @param giveUp releases what waits for reuse; whether there was anything
   * @returns ends the membership
   */
  add(device: Device, giveUp: () => boolean): () => void;
  /** Everything that waits on a device is given up. @returns whether there was anything */
  reclaim(device: Device): boolean;
  readonly fresh: FreshMemory;
}

export function createRunnerMemory(fresh: FreshMemory = (bytes) => new ArrayBuffer(bytes)): RunnerMemory {
  const members = new Map<Device, Set<() => boolean>>();
  return {
    add: (device, giveUp) => {
      const own = members.get(device) ?? new Set();
      members.set(device, own.add(giveUp));
      return () => {
        own.delete(giveUp);
        if (own.size === 0) members.delete(device);
      };
    },
    reclaim: (device) => {
      let some = false;
      for (const giveUp of members.get(device) ?? []) some = giveUp() || some;
      return some;
    },
    fresh,
  };
}
