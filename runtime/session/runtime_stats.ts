/** What a runtime did so far, and what it holds. */
import type { DeviceStats } from "../abi/device.ts";
import type { ArtifactCounters, Uncompiled } from "./artifacts/artifacts.ts";
import type { Recompile } from "./artifacts/journal.ts";
import type { Quarantined } from "./artifacts/quarantine.ts";
import type { RuntimeParts } from "./runtime_parts.ts";

/** Figures of a runtime, as of when they were asked for. */
export interface RuntimeStats {
  /** Of artifacts: compiled, found and proven since the runtime was created. */
  readonly counters: Readonly<ArtifactCounters>;
  /** Kernels that failed, in a proof or in a call, and were put aside. */
  readonly quarantined: readonly Quarantined[];
  /** Compiles after their component was loaded, oldest first; the last 1000. */
  readonly recompiles: readonly Recompile[];
  /** Components that run op by op, and what says so: a setting, or the encoder's own gate. */
  readonly uncompiled: readonly Uncompiled[];
  /** Of the runtime's own device. */
  readonly device: DeviceStats;
  /** Devices beside the runtime's own that components were placed on, by kind. */
  readonly otherDevices: Readonly<Record<string, DeviceStats>>;
}

/** The figures as of now. */
export function statsOf({ artifacts, journal, device, places }: RuntimeParts): RuntimeStats {
  return {
    counters: { ...artifacts.counters },
    quarantined: artifacts.quarantined,
    recompiles: [...journal.recompiles],
    uncompiled: [...artifacts.uncompiled.values()],
    device: device.stats(),
    otherDevices: Object.fromEntries([...places.others].map(([kind, other]) => [kind, other.stats()])),
  };
}
