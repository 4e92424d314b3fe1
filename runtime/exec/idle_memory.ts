/** Memory that runners keep for their next call of a size: given up by all of them before anyone's request is refused. */
import type { Device } from "../abi/device.ts";

export interface IdleMemory {
  /**
   * @param giveUp releases what waits for reuse; whether there was anything
   * @returns ends the membership
   */
  add(device: Device, giveUp: () => boolean): () => void;
  /** Everything that waits on a device is given up. @returns whether there was anything */
  reclaim(device: Device): boolean;
}

export function createIdleMemory(): IdleMemory {
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
  };
}
