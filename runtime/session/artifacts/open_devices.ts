/** The devices that a runtime computes on. */
import type { OpenOptions, ReopenableDevice } from "../../abi/device.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { RuntimeOptions } from "../options.ts";

export interface RuntimeDevices {
  /** What encoders end on. */
  readonly device: ReopenableDevice;
  /** What answers for them until then. */
  readonly interim?: ReopenableDevice;
}

/** Opens the first of several kinds that is available. */
export type OpenFirst = (kinds: readonly string[], options: OpenOptions) => Promise<ReopenableDevice>;

export interface OpenDevicesOptions extends Pick<RuntimeOptions, "handover"> {
  readonly kinds: readonly string[];
  readonly open: OpenOptions;
  /** The first device of a handover must be there. */
  readonly strict: boolean;
  readonly onProblem: (sentence: string) => void;
}

/** @throws FoveaError `unknown_device`, `device_unavailable`, and what opening a device throws; none stays open then */
export async function openDevices(
  { kinds, handover = false, open, strict, onProblem }: OpenDevicesOptions,
  targetsOf: (kind: string) => readonly string[],
  openFirst: OpenFirst,
): Promise<RuntimeDevices> {
  if (!handover) return { device: await openFirst(kinds, open) };
  const [to, from] = kinds;
  const { target, threads, ...both } = open;
  // A target is that of the device that has it.
  const isTarget = (kind: string): boolean => target !== undefined && targetsOf(kind).includes(target);
  const ofFirst = isTarget(to) || !isTarget(from);
  const pinned = target === undefined ? {} : { target };
  const interim = await openFirst([from], {
    ...both,
    ...(ofFirst ? {} : pinned),
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    return { device: await openFirst([to], { ...both, ...(ofFirst ? pinned : {}) }), interim };
  } catch (error) {
    const isAbsent = error instanceof FoveaError && error.code === "device_unavailable";
    if (!isAbsent || strict) {
      await interim.close();
      throw error;
    }
    onProblem(`Encoders stay on the device "${from}": ${error.message}`);
    return { device: interim };
  }
}
