/** Whether an input that could run at once waits for others: what a call for all saves, against how soon they come. */
import type { CostCurve } from "./cost_curve.ts";

/** Share of what is known of the gaps between inputs that one more leaves in place. */
const KEEP = 0.8;

/** Gaps that an input waits for the next one before it gives up. */
const PATIENCE = 2;

/** When inputs of one form came, by a clock in milliseconds. */
export interface Arrivals {
  /** Mean of the latest gaps; undefined before the second input. */
  readonly gap: number | undefined;
  readonly last: number;
  note(now: number): void;
}

export function createArrivals(): Arrivals {
  let gap: number | undefined;
  let last = Number.NEGATIVE_INFINITY;
  return {
    get gap() {
      return gap;
    },
    get last() {
      return last;
    },
    note: (now) => {
      if (last > Number.NEGATIVE_INFINITY)
        gap = gap === undefined ? now - last : KEEP * gap + (1 - KEEP) * (now - last);
      last = now;
    },
  };
}

/** What could run at once: so many inputs of so many rows; the next one has `nextRows`. */
export interface Ready {
  readonly inputs: number;
  readonly rows: number;
  readonly nextRows: number;
}

/**
 * The moment until which it is better to wait for one more input than to run what is ready; that of the last arrival where it is
 * not. Of a call of n inputs that takes a + b n, one more would save a; it costs all of them the gap until it comes, and those
 * that are ready its b. The sum of all latencies is what is kept small, so that an idle device waits only where calls cost
 * much beside their inputs, as on a GPU.
 */
export function waitsUntil({ inputs, rows, nextRows }: Ready, curve: CostCurve, { gap, last }: Arrivals): number {
  const [own, next, both] = [rows, nextRows, rows + nextRows].map((n) => curve.predict(n));
  if (gap === undefined || own === undefined || next === undefined || both === undefined) return last;
  const saved = own + next - both;
  const isWorth = saved > (inputs + 1) * gap + inputs * (both - own);
  return isWorth ? last + PATIENCE * gap : last;
}
