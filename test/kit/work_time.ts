/** How long work takes on machines that others use too. */
import process from "node:process";

/**
 * Fewest milliseconds of a run, out of as many as it takes to get to `enough`, 20 at most. A run counts by its wall time
 * or by the process's processor time, whichever is less: the work took no more than either.
 */
export function leastMs(work: () => void, enough: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 20 && least > enough; run++) {
    const [begin, used] = [performance.now(), process.cpuUsage()];
    work();
    const { user, system } = process.cpuUsage(used);
    least = Math.min(least, performance.now() - begin, (user + system) / 1000);
  }
  return least;
}
