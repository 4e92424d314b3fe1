/** Times of the compiler's passes, by a clock that the caller brings: the compiler itself knows no time. */

/** One pass of a compile. */
export interface PassReport {
  readonly name: string;
  /** On the caller's clock. */
  readonly begin: number;
  /** Milliseconds; 0 where nobody brought a clock. */
  readonly ms: number;
}

export interface PassClock {
  /** Runs `work` and notes how long it took. */
  run<T>(name: string, work: () => T): T;
  /** In the order in which they ran. */
  readonly passes: readonly PassReport[];
}

/** @param now milliseconds on a clock that never goes back */
export function createPassClock(now: () => number = () => 0): PassClock {
  const passes: PassReport[] = [];
  return {
    passes,
    run: (name, work) => {
      const begin = now();
      const made = work();
      passes.push({ name, begin, ms: now() - begin });
      return made;
    },
  };
}
