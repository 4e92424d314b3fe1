/** What a benchmark takes and gives. */

export interface BenchOptions {
  readonly threads: number;
  readonly batch: number;
  readonly rounds: number;
  readonly runs: number;
}

export interface BenchRow {
  readonly name: string;
  /** Median time of a run in milliseconds. */
  readonly ms: number;
  readonly min: number;
  readonly gflops: number;
  /** How many times as fast as the first row: median over the rounds. */
  readonly ratio: number;
}

export interface BenchResult {
  readonly settings: Readonly<Record<string, string | number>>;
  /** Largest difference of the results over their standard deviation. */
  readonly difference: number;
  /** The peer first. */
  readonly rows: readonly BenchRow[];
}
