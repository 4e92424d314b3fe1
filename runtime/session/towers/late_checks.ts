/** Checks of inputs that are made while the device computes: a look at every number of a batch takes as long as a part of the run. */

export interface LateChecks {
  /** For `prepare`. */
  readonly add: (check: () => void) => void;
  /** Makes those that were not made yet. @throws what a check throws */
  readonly make: () => void;
}

export function createLateChecks(): LateChecks {
  const left: (() => void)[] = [];
  return {
    add: (check) => left.push(check),
    make: () => {
      // One that throws stays: a run that is begun again fails as well.
      for (; left.length > 0; left.shift()) left[0]();
    },
  };
}
