/** Ranges of one component made ready side by side: one compiles on the caller's thread while the device proves another. */
import type { Demand } from "./journal.ts";
import type { ProofScope } from "./proofs.ts";
import type { RangeSlot } from "./ready_component.ts";

/** Does work when all that was given before is done, and a turn later where that failed: whoever hears of it may give up. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** What the ranges of one component share while they are made ready. */
export interface Preparation {
  /** Lookups and compiles, one after the other. */
  readonly compiles: InTurn;
  /** So are proofs, which share a budget. */
  readonly proves: InTurn;
  readonly proofs: ProofScope;
}

function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => new Promise((resolve) => setTimeout(resolve, 0)));
    return mine;
  };
}

export function beginPreparation(proofs: ProofScope): Preparation {
  return { compiles: inTurn(), proves: inTurn(), proofs };
}

/**
 * Makes all of them ready, and ends the preparation; after a failure no other is begun.
 * @throws the first failure, when nothing is at work any more
 */
export async function obtainAll(
  slots: readonly RangeSlot[],
  demand: Demand,
  signal: AbortSignal | undefined,
  preparation: Preparation,
): Promise<void> {
  const given = new AbortController();
  const either = signal === undefined ? given.signal : AbortSignal.any([signal, given.signal]);
  const obtain = async (slot: RangeSlot): Promise<void> => {
    try {
      await slot.obtain(demand, either, preparation);
    } catch (error) {
      given.abort(error);
    }
  };
  try {
    // Those that hold a kernel which a later range's proof put aside are not ready any more.
    for (let open = slots; open.length > 0; open = slots.filter(({ ready }) => ready === undefined)) {
      await Promise.all(open.map(obtain));
      given.signal.throwIfAborted();
    }
  } finally {
    preparation.proofs.release();
  }
}
