/** Memory plan: scratch values that are never alive together share a slot; sizes stay symbolic. */
import { type Box, bounds, type Dim, dimKey } from "../core/dim.ts";

export interface Lifetime {
  readonly bytes: Dim;
  /** First and last step that touches the value. */
  readonly first: number;
  readonly last: number;
}

export interface MemoryPlan {
  /** Slot of each lifetime, in input order. */
  readonly slotOf: readonly number[];
  /** Distinct sizes per slot; a slot is as large as the largest. */
  readonly slots: readonly (readonly Dim[])[];
}

/** Greedy by first use; a free slot whose size at the upper corner fits best is taken, else the largest free one grows. */
export function planMemory(lifetimes: readonly Lifetime[], box: Box): MemoryPlan {
  const order = lifetimes.map((_, i) => i).sort((a, b) => lifetimes[a].first - lifetimes[b].first || a - b);
  const slots: { sizes: Dim[]; upper: number; freeAfter: number }[] = [];
  const slotOf: number[] = new Array(lifetimes.length).fill(-1);
  for (const i of order) {
    const { bytes, first, last } = lifetimes[i];
    const upper = bounds(bytes, box).max;
    let chosen = -1;
    slots.forEach((s, at) => {
      if (s.freeAfter >= first) return;
      const current = chosen < 0 ? undefined : slots[chosen];
      const fits = s.upper >= upper;
      const better =
        current === undefined ||
        (fits && (current.upper < upper || s.upper < current.upper)) ||
        (!fits && current.upper < upper && s.upper > current.upper);
      if (better) chosen = at;
    });
    if (chosen < 0) {
      chosen = slots.length;
      slots.push({ sizes: [], upper: 0, freeAfter: -1 });
    }
    const slot = slots[chosen];
    if (!slot.sizes.some((d) => dimKey(d) === dimKey(bytes))) slot.sizes.push(bytes);
    slot.upper = Math.max(slot.upper, upper);
    slot.freeAfter = last;
    slotOf[i] = chosen;
  }
  return { slotOf, slots: slots.map((s) => s.sizes) };
}

/** Throws nothing; returns the first pair of lifetimes that are alive together in one slot. */
export function findOverlap(lifetimes: readonly Lifetime[], plan: MemoryPlan): readonly [number, number] | undefined {
  for (let a = 0; a < lifetimes.length; a++) {
    for (let b = a + 1; b < lifetimes.length; b++) {
      if (plan.slotOf[a] !== plan.slotOf[b]) continue;
      if (lifetimes[a].first <= lifetimes[b].last && lifetimes[b].first <= lifetimes[a].last) return [a, b];
    }
  }
  return undefined;
}
