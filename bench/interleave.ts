/** Timing of several things in one process, so that what else the machine does falls on all of them alike. */

import type { BenchRow } from "./benchmark.ts";

export interface Contender {
  readonly name: string;
  /** One run, from inputs in JavaScript to results in JavaScript. */
  readonly run: () => Promise<unknown>;
}

export interface InterleaveOptions {
  readonly rounds: number;
  /** Runs of one contender in a row in a round. */
  readonly runs: number;
  /** Runs before the first round, for caches to fill and engines to optimise. */
  readonly warmUp: number;
}

/** Milliseconds between two turns: threads of some engines look for work for a while after they have done theirs. */
const SETTLE = 50;

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE));

/** The middle of some numbers, or the mean of the two middle ones. @throws Error for none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error("There is no median of nothing.");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Takes turns, every other round in the opposite order.
 * @returns times in milliseconds, `[contender][round][run]`
 */
export async function interleave(contenders: readonly Contender[], options: InterleaveOptions): Promise<number[][][]> {
  for (const { run } of contenders) for (let i = 0; i < options.warmUp; i++) await run();
  const times = contenders.map((): number[][] => []);
  const order = [...contenders.keys()];
  for (let round = 0; round < options.rounds; round++) {
    for (const index of order) {
      const ms: number[] = [];
      await settle();
      for (let i = 0; i < options.runs; i++) {
        const begin = performance.now();
        await contenders[index].run();
        ms.push(performance.now() - begin);
      }
      times[index].push(ms);
    }
    order.reverse();
  }
  return times;
}

/** Median over the rounds of how many times as long the first took as the second, each by its median in that round. */
export function medianRatio(first: readonly (readonly number[])[], second: readonly (readonly number[])[]): number {
  return median(first.map((runs, round) => median(runs) / median(second[round])));
}

/**
 * A row for each contender.
 * @param times as {@link interleave} gives them
 * @param flops floating-point operations of a run; none where it is no arithmetic alone
 */
export function rowsOf(
  contenders: readonly Pick<Contender, "name">[],
  times: readonly (readonly (readonly number[])[])[],
  flops?: number,
): readonly BenchRow[] {
  return contenders.map(({ name }, i) => {
    const all = times[i].flat();
    const ms = median(all);
    const rate = flops === undefined ? {} : { gflops: flops / ms / 1e6 };
    return { name, ms, min: Math.min(...all), ...rate, ratio: medianRatio(times[0], times[i]) };
  });
}
