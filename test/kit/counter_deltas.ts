/** Exact differences of a runtime's counters around a piece of work. */
import assert from "node:assert/strict";
import type { Encoder, RuntimeStats } from "../../runtime/session.ts";

/** What is counted; times and bytes are not. */
export interface CounterDeltas {
  /** Structures that were compiled. */
  readonly compiled: number;
  /** Structures that were taken from the cache. */
  readonly cacheHits: number;
  /** Structures that were taken from packs. */
  readonly packHits: number;
  /** Structures that an earlier component of the runtime had ready. */
  readonly shared: number;
  /** Artifacts of which something was proven. */
  readonly proven: number;
  /** Compiles after load. */
  readonly recompiles: number;
  /** Kernels that were put aside. */
  readonly quarantined: number;
  /** Code blobs that engines compiled, on all devices. */
  readonly modulesCompiled: number;
  /** Calls of `encode` and `readItems`. */
  readonly encodes: number;
  /** Geometries that towers planned and linked. */
  readonly planned: number;
}

/** Whose counters are compared. */
export interface Counted {
  /** A runtime, or anything with its figures. */
  readonly runtime: { stats(): RuntimeStats };
  /** For `encodes` and `planned`, which stay 0 without any. */
  readonly encoders?: readonly Pick<Encoder, "stats">[];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function countersOf({ runtime, encoders = [] }: Counted): CounterDeltas {
  const { counters, recompiles, quarantined, device, otherDevices } = runtime.stats();
  const { compiled, cacheHits, packHits, shared, proven } = counters;
  const own = encoders.map((e) => e.stats());
  return {
    ...{ compiled, cacheHits, packHits, shared, proven },
    recompiles: recompiles.length,
    quarantined: quarantined.length,
    modulesCompiled: sum([device, ...Object.values(otherDevices)].map((d) => d.modulesCompiled)),
    encodes: sum(own.map((s) => s.encodes)),
    planned: sum(own.flatMap((s) => Object.values(s.towers).map((t) => t.planned))),
  };
}

/**
 * Runs `work` and asserts by how much every counter rose: as `expected` says, and by 0 where it says nothing.
 * @throws AssertionError that shows all counters
 */
export async function assertCounterDeltas<T>(
  counted: Counted,
  expected: Partial<CounterDeltas>,
  work: () => T | Promise<T>,
): Promise<T> {
  const before = countersOf(counted);
  const result = await work();
  const names = Object.keys(before) as (keyof CounterDeltas)[];
  const after = countersOf(counted);
  const found = Object.fromEntries(names.map((name) => [name, after[name] - before[name]]));
  const wanted = Object.fromEntries(names.map((name) => [name, expected[name] ?? 0]));
  assert.deepEqual(found, wanted);
  return result;
}
