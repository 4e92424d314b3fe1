/** What a benchmark takes and gives. */

export interface BenchOptions {
  /** A model's name, for benchmarks of models. */
  readonly model: string;
  readonly threads: number;
  readonly batch: number;
  readonly rounds: number;
  readonly runs: number;
  /** Peers to measure against. */
  readonly peers: readonly string[];
}

export interface BenchRow {
  readonly name: string;
  /** Median time of a run in milliseconds. */
  readonly ms: number;
  readonly min: number;
  /** Absent where what is timed is no arithmetic alone. */
  readonly gflops?: number;
  /** Bytes read and written in a second, in thousand millions; of kernels. */
  readonly gbytes?: number;
  /** Highest resident memory of a process in MiB, beyond that of a process that does nothing. */
  readonly peakMiB?: number;
  /** How many times as fast as the first row: median over the rounds. Of kernels, the share of what the ceilings allow. */
  readonly ratio: number;
}

/** What one thread can reach at most. */
export interface Ceilings {
  readonly gflops: number;
  /** Bytes read and written in a second, in thousand millions, by copies that touch so many bytes; ascending. */
  readonly copies: readonly { readonly bytes: number; readonly gbytes: number }[];
}

export interface BenchResult {
  readonly settings: Readonly<Record<string, string | number>>;
  /** Largest difference of the results over their standard deviation. */
  readonly difference?: number;
  readonly ceilings?: Ceilings;
  /** What others are measured against first. */
  readonly rows: readonly BenchRow[];
}

/** A line of a program's output, and an entry of the results' file. */
export interface BenchRecord extends BenchResult {
  readonly benchmark: string;
  /** Name and version of the runtime. */
  readonly runtime: string;
}
