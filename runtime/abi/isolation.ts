/** What code of a plugin's files may touch, and who decides about it. */

/**
 * The least trusting first. `worker`: copies of its operands, in a worker of its own. `own-memory`: copies in a memory of its own,
 * on the device's threads. `shared-memory`: all of the device's memory, in place.
 */
export type Isolation = "worker" | "own-memory" | "shared-memory";

export const ISOLATIONS: readonly Isolation[] = ["worker", "own-memory", "shared-memory"];

/** What code of files gets that nobody chose anything for. */
export const DEFAULT_ISOLATION: Isolation = "own-memory";

/**
 * The isolation that holds: what the user chose, in the call, the configuration or `fovea.lock`; else what the description asks
 * for, as far as it trusts the code no more than the default does.
 */
export function grantedIsolation(chosen: Isolation | undefined, asked: Isolation | undefined): Isolation {
  if (chosen !== undefined) return chosen;
  const least = Math.min(...[asked ?? DEFAULT_ISOLATION, DEFAULT_ISOLATION].map((i) => ISOLATIONS.indexOf(i)));
  return ISOLATIONS[least];
}
